// node esbuild.mjs [--production | --tests]: bundles the extension into dist/, or its tests into build/.

import { build } from 'esbuild'
import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const production = process.argv.includes('--production')
const shared = { bundle: true, platform: 'node', target: 'node20', format: 'cjs', logLevel: 'warning' }

if (process.argv.includes('--tests')) {
  rmSync('build', { recursive: true, force: true })
  await build({
    ...shared,
    entryPoints: readdirSync('test')
      .filter((name) => name.endsWith('.test.ts'))
      .map((name) => join('test', name)),
    outdir: 'build',
    alias: { vscode: './test/vscode.cjs' },
    sourcemap: 'inline',
  })
} else {
  rmSync('dist', { recursive: true, force: true })
  const output = { minify: production, sourcemap: !production, metafile: true }
  const bundles = await Promise.all([
    build({
      ...shared,
      ...output,
      entryPoints: ['src/extension.ts'],
      outfile: 'dist/extension.js',
      external: ['vscode', './library'],
      supported: { 'dynamic-import': false }, // but require, which takes a name without `.js`
    }),
    build({ ...shared, ...output, entryPoints: ['src/server/library.ts'], outfile: 'dist/library.js', external: ['vscode'] }),
    build({
      ...shared,
      ...output,
      platform: 'browser',
      target: 'es2022',
      format: 'iife',
      entryPoints: { main: 'src/chat/web/main.ts', style: 'src/chat/web/style.css' },
      outdir: 'dist/chat',
    }),
  ])
  const inputs = bundles.flatMap(({ metafile }) => Object.keys(metafile.inputs))
  writeFileSync('dist/THIRD-PARTY-NOTICES.txt', notices(inputs))
}

/** The licences of the packages in the bundle: each asks to be passed on with the code. */
function notices(inputs) {
  const folders = new Set(inputs.map((path) => path.match(/^.*node_modules\/(?:@[^/]+\/)?[^/]+/)?.[0]))
  folders.delete(undefined)
  return [...folders]
    .sort()
    .map((folder) => {
      const { name, version, license } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
      const file = readdirSync(folder).find((entry) => /^licen[cs]e/i.test(entry))
      if (file === undefined) throw new Error(`${name} ${version} has no licence file`)
      return `${name} ${version} (${license})\n\n${readFileSync(join(folder, file), 'utf8').trim()}\n`
    })
    .join(`\n${'-'.repeat(80)}\n\n`)
}

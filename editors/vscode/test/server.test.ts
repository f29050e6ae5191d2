import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'

import { BackOff } from '../src/server/backOff'
import { make } from '../src/server/environment'
import { run } from '../src/server/run'

const GOES_ON = { isCancellationRequested: false, onCancellationRequested: () => ({ dispose() {} }) }

/** Something that a test can stop. */
function stopper() {
  const listeners = new Set<() => void>()
  const stop = {
    isCancellationRequested: false,
    onCancellationRequested(listener: () => void) {
      listeners.add(listener)
      return { dispose: () => listeners.delete(listener) }
    },
    now() {
      stop.isCancellationRequested = true
      listeners.forEach((listener) => listener())
    },
  }
  return stop
}

test('a server that crashes is started later and later, at last not at all; a rest makes good', () => {
  let now = 0
  const backOff = new BackOff(() => now)
  assert.deepEqual([1, 2, 3, 4, 5, 6].map(() => backOff.crashed()), [500, 1000, 2000, 4000, 8000, undefined])
  now = 180_001
  assert.equal(backOff.crashed(), 500)
  assert.equal(backOff.crashed(), 1000)
  backOff.reset()
  assert.equal(backOff.crashed(), 500)
})

test('a program is heard line by line, and its exit code told', async () => {
  const lines: string[] = []
  const script = 'console.log("a\\nb"); console.error("c"); process.exit(3)'
  const program = { command: process.execPath, args: ['-e', script] }
  const code = await run(program, { out: (line) => lines.push(line), err: (line) => lines.push(line) }, GOES_ON)
  assert.equal(code, 3)
  assert.deepEqual(lines.sort(), ['a', 'b', 'c'])
  await assert.rejects(run({ command: '/gone/program', args: [] }, {}, GOES_ON), /ENOENT/)
})

test('a program is stopped with what it has started', async () => {
  const stop = stopper()
  let child = 0
  const script = `
    const child = require('child_process').spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'])
    console.log(child.pid); setInterval(() => {}, 1000)`
  const out = (line: string): void => {
    child = Number(line)
    stop.now()
  }
  assert.equal(await run({ command: process.execPath, args: ['-e', script] }, { out }, stop), null)
  for (let n = 0; n < 100 && isAlive(child); n++) await new Promise((resolve) => setTimeout(resolve, 20))
  assert.ok(!isAlive(child))
})

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

test('an environment that cannot be made, or is stopped, leaves nothing', async () => {
  const above = mkdtempSync(join(tmpdir(), 'kruk-'))
  const folder = join(above, 'server')
  const making = { folder, package: join(above, 'gone.whl'), python: undefined, say() {}, step() {} }
  await assert.rejects(make(making, GOES_ON), /The package .*gone\.whl could not be installed: .*gone\.whl/)
  assert.ok(!existsSync(folder))

  const stop = stopper()
  const step = (what: string): void => void (what.startsWith('installing') && stop.now())
  assert.equal(await make({ ...making, step }, stop), false)
  assert.ok(!existsSync(folder))
  rmSync(above, { recursive: true })
})

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { type Host, serverCommand, withArguments } from '../src/server/command'

function linux(...programs: string[]): Host {
  return {
    platform: 'linux',
    home: '/home/ala',
    path: '/usr/bin:relative:/home/ala/.local/bin',
    pathExt: '',
    before: [],
    after: [],
    isExecutable: (file) => programs.includes(file),
  }
}

function windows(...programs: string[]): Host {
  return {
    platform: 'win32',
    home: 'C:\\Users\\Ala',
    path: 'C:\\Windows;D:\\venv\\Scripts',
    pathExt: '.COM;.EXE;.BAT;.CMD',
    before: [],
    after: [],
    isExecutable: (file) => programs.includes(file),
  }
}

test('no setting: kruk serve from PATH', () => {
  const expected = { command: '/home/ala/.local/bin/kruk', args: ['serve'], shell: false }
  for (const setting of [undefined, null, []]) {
    assert.deepEqual(serverCommand(setting, linux('/home/ala/.local/bin/kruk')), expected)
  }
})

test('the active environment goes before PATH, our own environment after it', () => {
  const programs = ['/home/ala/.venv/bin/kruk', '/home/ala/.local/bin/kruk', '/home/ala/.vscode/kruk/bin/kruk']
  for (const [n, expected] of programs.entries()) {
    const host = { ...linux(...programs.slice(n)), before: ['/home/ala/.venv/bin'], after: ['/home/ala/.vscode/kruk/bin'] }
    assert.deepEqual(serverCommand([], host), { command: expected, args: ['serve'], shell: false })
  }
  const found = serverCommand([], { ...linux(), before: ['/home/ala/.venv/bin'] })
  assert.match('missing' in found ? found.missing : '', /neither in the active Python environment nor on PATH\.$/)
})

test('the same program runs other commands', () => {
  const module = { command: '/opt/python', args: ['-m', 'lsp_server', 'serve', '--stdio'], shell: false }
  assert.deepEqual(withArguments(module, ['models', 'list'])?.args, ['-m', 'lsp_server', 'models', 'list'])
  assert.equal(withArguments({ ...module, args: ['script.py'] }, ['models', 'list']), undefined)
})

test('a relative entry of PATH is passed over', () => {
  assert.ok('missing' in serverCommand([], linux('relative/kruk')))
})

test('a full path and its arguments are taken as they are', () => {
  const setting = ['/opt/my venv/python', '-m', 'lsp_server', 'serve']
  assert.deepEqual(serverCommand(setting, linux('/opt/my venv/python')), {
    command: '/opt/my venv/python',
    args: ['-m', 'lsp_server', 'serve'],
    shell: false,
  })
})

test('~ is the home folder', () => {
  const found = serverCommand(['~/venv/bin/kruk', 'serve'], linux('/home/ala/venv/bin/kruk'))
  assert.equal('command' in found && found.command, '/home/ala/venv/bin/kruk')
})

test('what cannot be started is said in one sentence', () => {
  const sentences = new Map<unknown, RegExp>([
    [[], /^The server was not found: kruk is not on PATH\.$/],
    [['/gone/kruk'], /no program at \/gone\/kruk\.$/],
    [['bin/kruk'], /must be a full path or a name on PATH, not bin\/kruk\.$/],
    ['kruk serve', /must be a list of texts/],
    [['kruk', 1], /must be a list of texts/],
    [[''], /must be a list of texts/],
  ])
  for (const [setting, sentence] of sentences) {
    const found = serverCommand(setting, linux())
    assert.match('missing' in found ? found.missing : '', sentence)
  }
})

test('Windows: PATHEXT completes the name', () => {
  assert.deepEqual(serverCommand([], windows('D:\\venv\\Scripts\\kruk.exe')), {
    command: 'D:\\venv\\Scripts\\kruk.exe',
    args: ['serve'],
    shell: false,
  })
})

test('Windows: a full path with or without its extension', () => {
  const host = windows('D:\\my venv\\kruk.exe')
  for (const name of ['D:\\my venv\\kruk', 'D:\\my venv\\kruk.exe']) {
    const found = serverCommand([name, 'serve'], host)
    assert.equal('command' in found && found.command, 'D:\\my venv\\kruk.exe')
  }
})

test('Windows: a file without an extension is no program', () => {
  assert.ok('missing' in serverCommand([], windows('D:\\venv\\Scripts\\kruk')))
})

test('Windows: a batch file goes through the shell, quoted', () => {
  const host = windows('D:\\my venv\\kruk.cmd')
  assert.deepEqual(serverCommand(['D:\\my venv\\kruk.cmd', 'serve', '--log=a & b'], host), {
    command: '"D:\\my venv\\kruk.cmd"',
    args: ['serve', '"--log=a & b"'],
    shell: true,
  })
  assert.ok('missing' in serverCommand(['D:\\my venv\\kruk.cmd', '%PATH%'], host))
})

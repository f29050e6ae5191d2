import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as vscode from 'vscode'

import { activePython, programsOf } from '../src/server/python'

const { recorded } = vscode as unknown as { recorded: { extensions: Map<string, unknown>; isTrusted?: boolean } }

test('the active interpreter is asked for, but not in a workspace that is not trusted', async () => {
  assert.equal(await activePython(), undefined)
  const environments = {
    getActiveEnvironmentPath: () => ({ path: '/home/ala/.venv' }),
    resolveEnvironment: async ({ path }: { path: string }) => ({ executable: { uri: { fsPath: `${path}/bin/python` } } }),
  }
  recorded.extensions.set('ms-python.python', { activate: async () => ({ environments }) })
  assert.equal(await activePython(), '/home/ala/.venv/bin/python')
  recorded.isTrusted = false
  assert.equal(await activePython(), undefined)
  recorded.isTrusted = true
  recorded.extensions.set('ms-python.python', { activate: () => Promise.reject(new Error('broken')) })
  assert.equal(await activePython(), undefined)
})

test("an environment's programs are beside its interpreter", () => {
  assert.deepEqual(programsOf('/home/ala/.venv/bin/python'), ['/home/ala/.venv/bin'])
  assert.deepEqual(programsOf('python'), [])
  assert.deepEqual(programsOf(undefined), [])
})

import assert from 'node:assert/strict'
import { test } from 'node:test'

import manifest from '../package.json'
import { serverSection } from '../src/settings'

test('what the extension alone reads is not sent', () => {
  const section = { model: 'm', completion: { enabled: false }, server: { command: ['x'] }, trace: { server: 'verbose' } }
  assert.deepEqual(serverSection(section), { model: 'm', completion: { enabled: false } })
  for (const none of [undefined, null, 'text']) assert.deepEqual(serverSection(none), {})
})

test('a workspace that is not trusted chooses neither a program nor a model', () => {
  const { properties } = manifest.contributes.configuration
  assert.deepEqual(manifest.capabilities.untrustedWorkspaces.restrictedConfigurations, [
    'kruk.server.command',
    'kruk.model',
    'kruk.chatModel',
  ])
  assert.equal(properties['kruk.server.command'].scope, 'machine')
  assert.equal(properties['kruk.model'].scope, 'machine-overridable')
})

import assert from 'node:assert/strict'
import { test } from 'node:test'

import manifest from '../package.json'
import { serverSection, toggled } from '../src/settings'

test('what the extension alone reads is not sent', () => {
  const section = { model: 'm', completion: { enabled: false }, server: { command: ['x'] }, trace: { server: 'verbose' } }
  assert.deepEqual(serverSection(section), { model: 'm', completion: { enabled: false } })
  for (const none of [undefined, null, 'text']) assert.deepEqual(serverSection(none), {})
})

test('a workspace that is not trusted chooses neither a program nor a model', () => {
  const { properties } = manifest.contributes.configuration
  assert.deepEqual(manifest.capabilities.untrustedWorkspaces.restrictedConfigurations, [
    'kruk.server.command',
    'kruk.server.package',
    'kruk.model',
    'kruk.chatModel',
    'kruk.draftModel',
    'kruk.adapters',
  ])
  assert.equal(properties['kruk.server.command'].scope, 'machine')
  assert.equal(properties['kruk.server.package'].scope, 'machine')
  assert.equal(properties['kruk.model'].scope, 'machine-overridable')
})

test('a name is put on a list, and taken from it', () => {
  assert.deepEqual(toggled([], 'go'), ['go'])
  assert.deepEqual(toggled(['c', 'go'], 'go'), ['c'])
})

test('no key is bound, and every command that a menu or a step of the walkthrough runs is there', () => {
  const { commands, menus, walkthroughs } = manifest.contributes
  assert.ok(!('keybindings' in manifest.contributes))
  const known = new Set(commands.map(({ command }) => command))
  const used = [...menus['kruk.editor'], ...menus['view/title']].map(({ command }) => command)
  const links = walkthroughs.flatMap(({ steps }) => steps.flatMap(({ description }) => description.match(/kruk\.[\w.]+(?=\))/g)))
  for (const command of [...used, ...links]) assert.ok(command !== null && known.has(command), String(command))
})

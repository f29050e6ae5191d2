import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as vscode from 'vscode'

import manifest from '../package.json'
import { activate, deactivate } from '../src/extension'

interface Recorded {
  commands: Map<string, () => Promise<void>>
  messages: { text: string; buttons: string[] }[]
  providers: Map<string, unknown>
  items: { text: string; accessibilityInformation: { label: string }; tooltip: { value: string; isTrusted?: unknown } }[]
  settings: Record<string, unknown>
}

const { recorded } = vscode as unknown as { recorded: Recorded }

test('a server that is not found: one message with two buttons, and the status bar says so', async () => {
  recorded.settings['kruk.server.command'] = ['/gone/kruk']
  const workspaceState = { get: () => undefined, update: async () => undefined }
  const context = { subscriptions: [], extensionUri: '/extension', globalStorageUri: '/storage', workspaceState }
  activate({ ...context, extension: { id: 'kruk.kruk' } } as unknown as vscode.ExtensionContext)
  for (let n = 0; n < 50 && recorded.messages.length === 0; n++) await new Promise((resolve) => setTimeout(resolve, 10))

  assert.deepEqual(recorded.messages, [
    {
      text: 'Kruk: The server was not found: no program at /gone/kruk.',
      buttons: ['Get Started', 'Open Settings'],
    },
  ])
  const [item] = recorded.items
  assert.equal(item?.text, '$(error) Kruk: error')
  assert.equal(item.accessibilityInformation.label, 'Kruk: error')
  assert.match(item.tooltip.value, /no program at \/gone\/kruk/)
  assert.ok(!item.tooltip.isTrusted)

  const contributed = manifest.contributes.commands.map(({ command }) => command)
  assert.deepEqual([...recorded.commands.keys()].sort(), [...contributed].sort())
  assert.ok(recorded.providers.has('kruk'))

  recorded.messages.length = 0
  await recorded.commands.get('kruk.why')?.()
  assert.deepEqual(recorded.messages, [{ text: 'Kruk: The server is not running.', buttons: ['Show Log'] }])
  await deactivate()
})

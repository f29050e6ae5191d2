import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as vscode from 'vscode'

import { information, offerModel } from '../src/languageModel'
import type { Server } from '../src/server/server'

const { recorded } = vscode as unknown as { recorded: { providers: Map<string, any> } }

test('a model is offered when it can be talked to', () => {
  assert.deepEqual(information({ state: 'loading' }), [])
  assert.deepEqual(information({ state: 'ready', chatModel: 'base', canChat: false }), [])
  const [offered] = information({ state: 'ready', model: 'base', chatModel: 'm', canChat: true, contextTokens: 4096 }) as any[]
  assert.equal(offered.id, 'm')
  assert.equal(offered.maxInputTokens + offered.maxOutputTokens, 4096)
})

test('what others ask goes to the server, and its words come back', async () => {
  const asked: unknown[] = []
  const server = {
    async chat(params: object, stream: { heard(text: string): void }) {
      asked.push(params)
      stream.heard('It ')
      stream.heard('adds.')
    },
    countTokens: async (text: string) => text.length,
  } as unknown as Server
  assert.ok(offerModel(server, () => ({ state: 'ready' }), (() => undefined) as never))
  const provider = recorded.providers.get('kruk')
  const messages = [
    { role: 1, content: [{ value: 'What does ' }, { value: 'it do?' }, { data: new Uint8Array(1) }] },
    { role: 2, content: 'Which?' },
  ]
  const said: { value: string }[] = []
  await provider.provideLanguageModelChatResponse({}, messages, {}, { report: (part: never) => said.push(part) }, {})
  assert.deepEqual(asked, [
    {
      messages: [
        { role: 'user', content: 'What does it do?' },
        { role: 'assistant', content: 'Which?' },
      ],
    },
  ])
  assert.equal(said.map(({ value }) => value).join(''), 'It adds.')
  assert.equal(await provider.provideTokenCount({}, 'four'), 4)
  assert.equal(await provider.provideTokenCount({}, messages[1]), 6)
})

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { Conversations } from '../src/chat/conversations'
import { fenced, type Speaker, Talk, type Voice } from '../src/chat/talk'

const memory = () => ({ get: () => undefined, update: async () => undefined })

/** A speaker that the test speaks for. */
class Server implements Speaker {
  asked: unknown[] = []
  voice!: Voice
  end!: (result: unknown) => void
  fail!: (error: Error) => void

  private hold(voice: Voice) {
    this.voice = voice
    const answer = new Promise((resolve, reject) => {
      this.end = resolve
      this.fail = reject
    })
    return { cancel: () => this.fail(new Error('cancelled')), answer }
  }

  chat(messages: readonly object[], _conversation: string, voice: Voice) {
    this.asked.push(messages)
    return this.hold(voice)
  }

  explain(argument: object, voice: Voice) {
    this.asked.push(argument)
    return this.hold(voice)
  }
}

function begin() {
  const conversations = new Conversations(memory())
  const server = new Server()
  const seen: [string, boolean][] = []
  const talk = new Talk(conversations, server, (isBusy) => seen.push([conversations.current.turns.at(-1)?.text ?? '', isBusy]))
  return { conversations, server, seen, talk }
}

test('an answer comes in pieces, then whole, with what the model saw', async () => {
  const { conversations, server, seen, talk } = begin()
  const done = talk.ask('Why?')
  server.voice.heard('Be')
  server.voice.heard('cause')
  server.end({ text: 'Because.', note: 'Sees a.py.' })
  await done
  assert.deepEqual(seen, [
    ['', true],
    ['Be', true],
    ['Because', true],
    ['Because.', false],
  ])
  assert.deepEqual(conversations.current.turns[1], { role: 'assistant', text: 'Because.', note: 'Sees a.py.' })

  void talk.ask('And then?')
  assert.deepEqual(server.asked[1], [
    { role: 'user', content: 'Why?' },
    { role: 'assistant', content: 'Because.' },
    { role: 'user', content: 'And then?' },
  ])
})

test('what was said before it was stopped is kept, and marked', async () => {
  const { conversations, server, talk } = begin()
  const done = talk.ask('Why?')
  server.voice.heard('Be')
  await assert.rejects(talk.ask('Another'), /still being answered/)
  talk.stop()
  await done
  assert.deepEqual(conversations.current.turns[1], { role: 'assistant', text: 'Be', failure: 'Stopped.' })
  assert.ok(!talk.isBusy)
})

test('a failure is told in its place', async () => {
  const { conversations, server, talk } = begin()
  const done = talk.ask('Why?')
  server.fail(new Error('There is no model.'))
  await done
  assert.equal(conversations.current.turns[1]?.failure, 'There is no model.')
})

test('an explanation can be asked about: the code is in the conversation', async () => {
  const { conversations, server, talk } = begin()
  conversations.put(conversations.begin().id, [{ role: 'user', text: 'before' }])
  const done = talk.explain({ uri: 'file:///a.py' })
  server.end({ text: 'It adds.', name: 'add', code: 'def add(a, b): ...', language: 'python' })
  await done
  assert.equal(conversations.all.length, 2)
  assert.equal(conversations.current.turns[0]?.text, 'Explain `add`.\n\n```python\ndef add(a, b): ...\n```')
  assert.equal(conversations.current.turns[1]?.text, 'It adds.')
})

test('an explanation stops the answer before it', async () => {
  const { conversations, server, talk } = begin()
  const before = talk.ask('Why?')
  const done = talk.explain({ uri: 'file:///a.py' })
  await before
  await new Promise(setImmediate)
  server.end({ text: 'It adds.', name: '', code: 'x', language: '' })
  await done
  assert.deepEqual(conversations.all.map((it) => it.turns[1]), [
    { role: 'assistant', text: 'It adds.' },
    { role: 'assistant', text: '', failure: 'Stopped.' },
  ])
})

test('a reason why there is no explanation is told', async () => {
  const { conversations, server, talk } = begin()
  const done = talk.explain({})
  server.end({ applied: false, reason: 'It was cancelled.' })
  await done
  assert.equal(conversations.current.turns[1]?.failure, 'It was cancelled.')
})

test('code cannot close the block that it is in', () => {
  assert.equal(fenced('```\nx\n```', 'md'), '````md\n```\nx\n```\n````')
})

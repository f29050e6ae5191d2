import assert from 'node:assert/strict'
import { test } from 'node:test'

import { Conversations, messagesOf, MOST, type Store, titleOf, type Turn } from '../src/chat/conversations'

class Memory implements Store {
  values = new Map<string, unknown>()
  get(key: string): unknown {
    return structuredClone(this.values.get(key))
  }
  async update(key: string, value: unknown): Promise<void> {
    this.values.set(key, value)
  }
}

const user = (text: string): Turn => ({ role: 'user', text })
const kruk = (text: string): Turn => ({ role: 'assistant', text })

test('conversations outlive a session, the newest on the screen', () => {
  const store = new Memory()
  let now = 0
  const before = new Conversations(store, () => ++now)
  for (const text of ['first', 'second']) before.put(before.begin().id, [user(text)])
  before.begin()

  const after = new Conversations(store, () => ++now)
  assert.deepEqual(after.all.map(titleOf), ['second', 'first'])
  assert.equal(titleOf(after.current), 'second')
})

test('one that was removed is gone, also when its answer comes later', () => {
  const conversations = new Conversations(new Memory())
  const { id } = conversations.begin()
  conversations.put(id, [user('a')])
  conversations.remove(id)
  conversations.put(id, [user('a'), kruk('b')])
  assert.deepEqual(conversations.all, [])
  assert.deepEqual(conversations.current.turns, [])
})

test('the oldest go when there are too many', () => {
  let now = 0
  const conversations = new Conversations(new Memory(), () => ++now)
  for (let n = 0; n <= MOST; n++) conversations.put(conversations.begin().id, [user(`question ${n}`)])
  assert.equal(conversations.all.length, MOST)
  assert.equal(conversations.all.map(titleOf).at(-1), 'question 1')
})

test('what is stored and is none is passed over', () => {
  const store = new Memory()
  store.values.set('kruk.conversations', [null, { id: 1 }, { id: 'a', changed: 1, turns: [{ role: 'system', text: '' }] }])
  assert.deepEqual(new Conversations(store).all, [])
})

test('the title is the first line of the first question', () => {
  const conversation = (text: string) => ({ id: '', changed: 0, turns: [user(text)] })
  assert.equal(titleOf(conversation('Why?\nBecause')), 'Why?')
  assert.equal(titleOf(conversation('x'.repeat(80))).length, 60)
})

test('the model does not see questions that were not answered', () => {
  const failed: Turn = { role: 'assistant', text: '', failure: 'Stopped.' }
  assert.deepEqual(messagesOf([user('a'), failed, user('b'), kruk('B'), user('c')]), [
    { role: 'user', content: 'b' },
    { role: 'assistant', content: 'B' },
    { role: 'user', content: 'c' },
  ])
})

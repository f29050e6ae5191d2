import assert from 'node:assert/strict'
import { test } from 'node:test'

import { why } from '../src/status/why'

test('nothing asked for yet', () => {
  assert.match(why(null), /^No suggestion has been asked for yet\./)
  assert.equal(why(undefined), why(null))
})

test('a reason becomes a sentence, with the times that are worth telling', () => {
  const rooms = [
    { room: 'door', ms: 0.04 },
    { room: 'trigger', ms: 1.26 },
    { room: 'model', ms: 94.6 },
  ]
  assert.equal(
    why({ reason: 'the model had nothing to add', rooms, totalMs: 95.9 }),
    'Nothing was suggested: the model had nothing to add. It took 96 ms (trigger 1.3, model 95).',
  )
  assert.equal(
    why({ reason: 'Completions are off.', rooms: rooms.slice(0, 1), totalMs: 0.1 }),
    'Nothing was suggested: Completions are off.',
  )
})

test('no reason: there was a suggestion', () => {
  for (const reason of [null, '', undefined]) {
    assert.equal(
      why({ ...(reason === undefined ? {} : { reason }), rooms: [{ room: 'model', ms: 140.4 }] }),
      'The last request was answered with a suggestion. It took 140 ms (model 140).',
    )
  }
})

import assert from 'node:assert/strict'
import { test } from 'node:test'

import { about, doing, readModels, readProgress } from '../src/models/models'

const ROW = {
  id: 'qwen-0.5b',
  title: 'Qwen 0.5B',
  kind: 'instruct',
  fim: true,
  file: '/home/ala/qwen.gguf',
  size_bytes: 491_400_064,
  memory_bytes: 700_000_000,
  licence: 'Apache-2.0',
  commercial: true,
  installed: true,
}

test('the list of models is read and put in words', () => {
  const stranger = { id: 'mine', file: '/models/mine.gguf', size_bytes: 2_000_000_000, installed: true }
  const [known, other] = readModels(JSON.stringify([ROW, stranger]))
  assert.equal(known && about(known), '491 MB · 700 MB RAM · completes and chats · Apache-2.0')
  assert.equal(other && about(other), '2.0 GB')
  const [base] = readModels(JSON.stringify([{ ...ROW, kind: 'base', size_bytes: null, commercial: false }]))
  assert.equal(base && about(base), '700 MB RAM · completes · Apache-2.0 · no commercial use')
  assert.throws(() => readModels('{}'))
})

test('progress lines are read, other lines are not', () => {
  const line = '{"stage": "download", "done_bytes": 49000000, "total_bytes": 491400064, "text": ""}'
  const told = readProgress(line)
  assert.equal(told && doing(told), '49 MB of 491 MB')
  assert.equal(doing({ stage: 'source', done: 0, total: undefined, text: 'Hugging Face' }), 'from Hugging Face')
  for (const other of ['', 'Looking in indexes', '3', 'null', '{}']) assert.equal(readProgress(other), undefined)
})

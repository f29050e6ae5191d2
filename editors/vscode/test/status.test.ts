import assert from 'node:assert/strict'
import { test } from 'node:test'

import { entries } from '../src/status/menu'
import { readStatus, shown, type Status, STOPPED } from '../src/status/status'

test('every state has its text', () => {
  const texts: [Status, string, string][] = [
    [{ state: 'loading' }, '$(loading~spin) Kruk: loading', 'Kruk: loading'],
    [{ state: 'loading', percent: 41.7 }, '$(loading~spin) Kruk: loading 42 %', 'Kruk: loading 42 %'],
    [{ state: 'loading', percent: 250 }, '$(loading~spin) Kruk: loading 100 %', 'Kruk: loading 100 %'],
    [{ state: 'ready' }, '$(check) Kruk', 'Kruk: ready'],
    [{ state: 'busy' }, '$(loading~spin) Kruk', 'Kruk: busy'],
    [{ state: 'off' }, '$(circle-slash) Kruk: off', 'Kruk: off'],
    [{ state: 'error' }, '$(error) Kruk: error', 'Kruk: error'],
    [{ state: 'error', missingModel: 'm' }, '$(cloud-download) Kruk: no model yet', 'Kruk: no model yet'],
  ]
  for (const [status, text, label] of texts) {
    assert.equal(shown(status).text, text)
    assert.equal(shown(status).label, label)
  }
})

test('the tooltip names the model and the message', () => {
  assert.deepEqual(shown({ state: 'ready', message: 'Loaded in 1 s.', model: 'qwen-0.5b' }).tooltip, [
    'Kruk: ready',
    'Loaded in 1 s.',
    'Model: qwen-0.5b',
  ])
  assert.equal(shown({ state: 'ready', tokensPerSecond: 7.25 }).tooltip[1], 'Speed: 7.3 tokens per second')
  assert.deepEqual(shown({ state: 'ready' }).tooltip, ['Kruk: ready'])
})

test('only an error alarms', () => {
  assert.ok(shown(STOPPED).alarm)
  assert.ok(!shown({ state: 'off' }).alarm)
})

test('a status is read, and nonsense is not', () => {
  assert.deepEqual(readStatus({ state: 'loading', percent: 3, model: '', message: null, more: 1 }), {
    state: 'loading',
    percent: 3,
  })
  const able = { state: 'ready', canChat: true, contextTokens: 4096, tokensPerSecond: null, missingModel: null }
  assert.deepEqual(readStatus(able), { state: 'ready', canChat: true, contextTokens: 4096 })
  for (const sent of [null, undefined, 'ready', {}, { state: 'sleeping' }]) assert.equal(readStatus(sent), undefined)
})

test('the menu offers what can be done now', () => {
  const commands = (status: Status, running: boolean): string[] => entries(status, running, {}).map((entry) => entry.command)
  assert.deepEqual(commands({ state: 'ready' }, true), [
    'kruk.toggleCompletions',
    'kruk.why',
    'kruk.chooseModel',
    'kruk.openChat',
    'kruk.showLog',
    'kruk.restartServer',
    'kruk.getStarted',
  ])
  assert.deepEqual(commands(STOPPED, false), [
    'kruk.restartServer',
    'kruk.installServer',
    'workbench.action.openSettings',
    'kruk.showLog',
    'kruk.getStarted',
  ])
  assert.match(entries({ state: 'off' }, true, {})[0]?.label ?? '', /completions on$/)
  assert.match(entries({ state: 'busy' }, true, {})[0]?.label ?? '', /completions off$/)
  const speaking: Status = { state: 'ready', model: 'm', tokensPerSecond: 41.7 }
  assert.equal(entries(speaking, true, {})[2]?.description, 'm, 42 tokens/s')
  assert.match(entries({ state: 'ready' }, true, { language: 'go' })[1]?.label ?? '', /completions off for go$/)
  const off = { language: 'go', isDisabled: true }
  assert.match(entries({ state: 'ready' }, true, off)[1]?.label ?? '', /completions on for go$/)
  assert.equal(commands({ state: 'error', missingModel: 'm' }, true)[0], 'kruk.downloadModel')
})

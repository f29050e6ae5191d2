import assert from 'node:assert/strict'
import { test } from 'node:test'

import { entries } from '../src/menu'
import { readStatus, shown, type Status, STOPPED } from '../src/status'

test('every state has its text', () => {
  const texts: [Status, string, string][] = [
    [{ state: 'loading' }, '$(loading~spin) Kruk: loading', 'Kruk: loading'],
    [{ state: 'loading', percent: 41.7 }, '$(loading~spin) Kruk: loading 42 %', 'Kruk: loading 42 %'],
    [{ state: 'loading', percent: 250 }, '$(loading~spin) Kruk: loading 100 %', 'Kruk: loading 100 %'],
    [{ state: 'ready' }, '$(check) Kruk', 'Kruk: ready'],
    [{ state: 'busy' }, '$(loading~spin) Kruk', 'Kruk: busy'],
    [{ state: 'off' }, '$(circle-slash) Kruk: off', 'Kruk: off'],
    [{ state: 'error' }, '$(error) Kruk: error', 'Kruk: error'],
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
  for (const sent of [null, undefined, 'ready', {}, { state: 'sleeping' }]) assert.equal(readStatus(sent), undefined)
})

test('the menu offers what can be done now', () => {
  const commands = (status: Status, running: boolean): string[] => entries(status, running).map((entry) => entry.command)
  assert.deepEqual(commands({ state: 'ready' }, true), [
    'kruk.toggleCompletions',
    'kruk.why',
    'kruk.chooseModel',
    'kruk.showLog',
    'kruk.restartServer',
  ])
  assert.deepEqual(commands(STOPPED, false), ['kruk.restartServer', 'workbench.action.openSettings', 'kruk.showLog'])
  assert.match(entries({ state: 'off' }, true)[0]?.label ?? '', /completions on$/)
  assert.match(entries({ state: 'busy' }, true)[0]?.label ?? '', /completions off$/)
  assert.equal(entries({ state: 'ready', model: 'm' }, true)[2]?.description, 'm')
})

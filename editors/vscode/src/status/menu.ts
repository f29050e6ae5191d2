/** The entries of the menu behind the status bar item. */

import { SETTING } from '../server/command'
import { pace, type Status } from './status'

export interface Entry {
  readonly label: string
  readonly description?: string
  readonly command: string
  readonly args?: readonly unknown[]
}

/** What the menu depends on besides the server's state. */
export interface Place {
  /** The language of the file at hand, and whether suggestions are turned off in it. */
  readonly language?: string
  readonly isDisabled?: boolean
}

export const SHOW_LOG: Entry = { label: 'Show Log', command: 'kruk.showLog' }
export const GET_STARTED: Entry = { label: 'Get Started', command: 'kruk.getStarted' }
export const OPEN_SETTINGS: Entry = {
  label: 'Open Settings',
  command: 'workbench.action.openSettings',
  args: [SETTING],
}

/** What can be done now: with no server running, only what may bring one back. */
export function entries(status: Status, running: boolean, place: Place): readonly Entry[] {
  const log: Entry = { ...SHOW_LOG, label: '$(output) Show log' }
  const restart: Entry = {
    label: running ? '$(debug-restart) Restart server' : '$(debug-start) Start server',
    command: 'kruk.restartServer',
  }
  const started: Entry = { ...GET_STARTED, label: '$(book) Get started' }
  if (!running) {
    return [
      restart,
      { label: '$(desktop-download) Install server', command: 'kruk.installServer' },
      { ...OPEN_SETTINGS, label: '$(gear) Open settings', description: SETTING },
      log,
      started,
    ]
  }
  const language: Entry[] =
    place.language === undefined
      ? []
      : [
          {
            label: `$(code) Turn completions ${place.isDisabled === true ? 'on' : 'off'} for ${place.language}`,
            command: 'kruk.toggleLanguage',
          },
        ]
  const missing: Entry[] =
    status.missingModel === undefined
      ? []
      : [{ label: '$(cloud-download) Download model', description: status.missingModel, command: 'kruk.downloadModel' }]
  return [
    ...missing,
    {
      label: status.state === 'off' ? '$(play) Turn completions on' : '$(circle-slash) Turn completions off',
      command: 'kruk.toggleCompletions',
    },
    ...language,
    { label: '$(question) Why was nothing suggested?', command: 'kruk.why' },
    { label: '$(chip) Choose model…', command: 'kruk.chooseModel', ...model(status) },
    { label: '$(comment-discussion) Open chat', command: 'kruk.openChat' },
    log,
    restart,
    started,
  ]
}

function model({ model, tokensPerSecond }: Status): { description?: string } {
  const parts = [
    ...(model === undefined ? [] : [model]),
    ...(tokensPerSecond === undefined ? [] : [`${pace(tokensPerSecond)} tokens/s`]),
  ]
  return parts.length === 0 ? {} : { description: parts.join(', ') }
}

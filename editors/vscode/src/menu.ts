/** The entries of the menu behind the status bar item. */

import { SETTING } from './command'
import type { Status } from './status'

export interface Entry {
  readonly label: string
  readonly description?: string
  readonly command: string
  readonly args?: readonly unknown[]
}

export const SHOW_LOG: Entry = { label: 'Show Log', command: 'kruk.showLog' }
export const OPEN_SETTINGS: Entry = {
  label: 'Open Settings',
  command: 'workbench.action.openSettings',
  args: [SETTING],
}

/** What can be done now: with no server running, only what may bring one back. */
export function entries(status: Status, running: boolean): readonly Entry[] {
  const log: Entry = { ...SHOW_LOG, label: '$(output) Show log' }
  const restart: Entry = {
    label: running ? '$(debug-restart) Restart server' : '$(debug-start) Start server',
    command: 'kruk.restartServer',
  }
  if (!running) {
    return [restart, { ...OPEN_SETTINGS, label: '$(gear) Open settings', description: SETTING }, log]
  }
  return [
    {
      label: status.state === 'off' ? '$(play) Turn completions on' : '$(circle-slash) Turn completions off',
      command: 'kruk.toggleCompletions',
    },
    { label: '$(question) Why was nothing suggested?', command: 'kruk.why' },
    {
      label: '$(chip) Choose model…',
      command: 'kruk.chooseModel',
      ...(status.model === undefined ? {} : { description: status.model }),
    },
    log,
    restart,
  ]
}

/** The server's state as the status bar shows it. */

const STATES = ['loading', 'ready', 'busy', 'off', 'error'] as const

export interface Status {
  readonly state: (typeof STATES)[number]
  readonly message?: string
  readonly model?: string
  /** 0 to 100, while a model is being loaded. */
  readonly percent?: number
}

export interface Shown {
  /** The item's text; `$(name)` is an icon. */
  readonly text: string
  /** The same for a screen reader. */
  readonly label: string
  /** Lines of plain text. */
  readonly tooltip: readonly string[]
  readonly alarm: boolean
}

export const STARTING: Status = { state: 'loading', message: 'The server is starting.' }
export const STOPPED: Status = { state: 'error', message: 'The server has stopped.' }

/** Read what the server sent; undefined when it is no status. */
export function readStatus(sent: unknown): Status | undefined {
  if (typeof sent !== 'object' || sent === null) return undefined
  const { state, message, model, percent } = sent as Record<string, unknown>
  const known = STATES.find((name) => name === state)
  if (known === undefined) return undefined
  return {
    state: known,
    ...(typeof message === 'string' && message !== '' ? { message } : {}),
    ...(typeof model === 'string' && model !== '' ? { model } : {}),
    ...(typeof percent === 'number' && Number.isFinite(percent) ? { percent } : {}),
  }
}

export function shown(status: Status): Shown {
  const { icon, words } = look(status)
  const quiet = status.state === 'ready' || status.state === 'busy'
  return {
    text: quiet ? `$(${icon}) Kruk` : `$(${icon}) Kruk: ${words}`,
    label: `Kruk: ${words}`,
    tooltip: [
      `Kruk: ${words}`,
      ...(status.message === undefined ? [] : [status.message]),
      ...(status.model === undefined ? [] : [`Model: ${status.model}`]),
    ],
    alarm: status.state === 'error',
  }
}

function look({ state, percent }: Status): { icon: string; words: string } {
  switch (state) {
    case 'loading':
      return { icon: 'loading~spin', words: percent === undefined ? 'loading' : `loading ${clamped(percent)} %` }
    case 'ready':
      return { icon: 'check', words: 'ready' }
    case 'busy':
      return { icon: 'loading~spin', words: 'busy' }
    case 'off':
      return { icon: 'circle-slash', words: 'off' }
    case 'error':
      return { icon: 'error', words: 'error' }
  }
}

function clamped(percent: number): number {
  return Math.round(Math.min(100, Math.max(0, percent)))
}

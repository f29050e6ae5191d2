/** The server's state as the status bar shows it. */

const STATES = ['loading', 'ready', 'busy', 'off', 'error'] as const

export interface Status {
  readonly state: (typeof STATES)[number]
  readonly message?: string
  readonly model?: string
  /** 0 to 100, while a model is being loaded. */
  readonly percent?: number
  readonly tokensPerSecond?: number
  /** The model that answers, which may be another. */
  readonly chatModel?: string
  /** How many tokens a prompt and its answer can have there. */
  readonly contextTokens?: number
  /** Whether it follows instructions. */
  readonly canChat?: boolean
  /** What has to be downloaded before anything works. */
  readonly missingModel?: string
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
  const values = sent as Record<string, unknown>
  const known = STATES.find((name) => name === values['state'])
  if (known === undefined) return undefined
  const texts = ['message', 'model', 'chatModel', 'missingModel'].filter((name) => isText(values[name]))
  const numbers = ['percent', 'tokensPerSecond', 'contextTokens'].filter((name) => Number.isFinite(values[name]))
  const read = Object.fromEntries([...texts, ...numbers].map((name) => [name, values[name]]))
  return { state: known, ...read, ...(typeof values['canChat'] === 'boolean' ? { canChat: values['canChat'] } : {}) }
}

function isText(value: unknown): boolean {
  return typeof value === 'string' && value !== ''
}

export function shown(status: Status): Shown {
  const { icon, words } = look(status)
  const isQuiet = status.state === 'ready' || status.state === 'busy'
  return {
    text: isQuiet ? `$(${icon}) Kruk` : `$(${icon}) Kruk: ${words}`,
    label: `Kruk: ${words}`,
    tooltip: [
      `Kruk: ${words}`,
      ...(status.message === undefined ? [] : [status.message]),
      ...(status.model === undefined ? [] : [`Model: ${status.model}`]),
      ...(status.tokensPerSecond === undefined ? [] : [`Speed: ${pace(status.tokensPerSecond)} tokens per second`]),
    ],
    alarm: status.state === 'error',
  }
}

export function pace(tokensPerSecond: number): string {
  return tokensPerSecond < 10 ? tokensPerSecond.toFixed(1) : String(Math.round(tokensPerSecond))
}

function look({ state, percent, missingModel }: Status): { icon: string; words: string } {
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
      return missingModel === undefined
        ? { icon: 'error', words: 'error' }
        : { icon: 'cloud-download', words: 'no model yet' }
  }
}

function clamped(percent: number): number {
  return Math.round(Math.min(100, Math.max(0, percent)))
}

/** What is said: questions go to the server, answers come back piece by piece. One answer at a time. */

import type { Conversations, Turn } from './conversations'
import { messagesOf } from './conversations'

export interface Voice {
  heard(text: string): void
}

export interface Asked {
  /** Stops it. */
  cancel(): void
  readonly answer: Promise<unknown>
}

/** How the server is asked. */
export interface Speaker {
  /** The last message is the question. conversation: tells conversations apart that begin alike. */
  chat(messages: readonly object[], conversation: string, voice: Voice): Asked
  /** An explanation of the code at a place, which the server's action looks up. */
  explain(argument: object, voice: Voice): Asked
}

/** Who hears that turns have changed; `isBusy`: the last one goes on. */
export type OnChange = (isBusy: boolean) => void

const STOPPED = 'Stopped.'

export class Talk {
  private running: Asked | undefined
  private wasStopped = false

  constructor(
    private readonly conversations: Conversations,
    private readonly speaker: Speaker,
    private readonly onChange: OnChange,
  ) {}

  get isBusy(): boolean {
    return this.running !== undefined
  }

  /** Answer a question in the conversation on the screen. */
  async ask(text: string): Promise<void> {
    const { id, turns } = this.conversations.current
    const question: Turn = { role: 'user', text }
    const messages = messagesOf([...turns, question])
    await this.say(id, [...turns, question], (voice) => this.speaker.chat(messages, id, voice))
  }

  /** Explain some code, in a conversation of its own: whoever asks further has the code in it. */
  async explain(argument: object): Promise<void> {
    if (this.running !== undefined) {
      this.stop()
      await this.running.answer.catch(() => undefined)
    }
    const { id } = this.conversations.begin()
    const question: Turn = { role: 'user', text: 'Explain this code.' }
    const result = await this.say(id, [question], (voice) => this.speaker.explain(argument, voice))
    const { name, code, language } = (result ?? {}) as Record<string, unknown>
    if (typeof code !== 'string' || code === '') return
    const title = typeof name === 'string' && name !== '' ? `Explain \`${name}\`.` : question.text
    const asked: Turn = { role: 'user', text: `${title}\n\n${fenced(code, String(language ?? ''))}` }
    this.conversations.put(id, [asked, ...this.conversations.turnsOf(id).slice(1)])
    this.onChange(this.isBusy)
  }

  stop(): void {
    this.wasStopped = this.isBusy
    this.running?.cancel()
  }

  private async say(id: string, before: readonly Turn[], ask: (voice: Voice) => Asked): Promise<unknown> {
    if (this.isBusy) throw new Error('The question before is still being answered. Stop it first.')
    let text = ''
    const show = (turn: Partial<Turn>): void => {
      this.conversations.put(id, [...before, { role: 'assistant', text, ...turn }])
    }
    show({})
    this.wasStopped = false
    const heard = (piece: string): void => {
      if (!this.isBusy) return
      text += piece
      show({})
      this.onChange(true)
    }
    try {
      this.running = ask({ heard })
      this.onChange(true)
      const result = await this.running.answer
      const { text: whole, note, reason } = (result ?? {}) as Record<string, unknown>
      if (typeof whole === 'string') text = whole
      if (typeof reason === 'string') show({ failure: reason })
      else show(typeof note === 'string' && note !== '' ? { note } : {})
      return result
    } catch (error) {
      show({ failure: this.wasStopped ? STOPPED : error instanceof Error ? error.message : String(error) })
      return undefined
    } finally {
      this.running = undefined
      this.onChange(false)
    }
  }
}

/** Code in a block that nothing in it can close. */
export function fenced(code: string, language: string): string {
  const runs = [...code.matchAll(/`{3,}/g)].map(([run]) => run.length + 1)
  const fence = '`'.repeat(Math.max(3, ...runs))
  return `${fence}${language}\n${code}\n${fence}`
}

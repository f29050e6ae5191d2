/** Conversations, kept from one session to the next. Knows nothing of VS Code but where things are stored. */

export interface Turn {
  readonly role: 'user' | 'assistant'
  readonly text: string
  /** What the model was shown besides, and what not. */
  readonly note?: string
  /** Why there is no answer, or only a part of one. */
  readonly failure?: string
}

export interface Conversation {
  readonly id: string
  readonly turns: readonly Turn[]
  /** When it was changed last, in milliseconds of the epoch. */
  readonly changed: number
}

export interface Store {
  get(key: string): unknown
  update(key: string, value: unknown): PromiseLike<void>
}

const KEY = 'kruk.conversations'
/** The oldest go when there are more. */
export const MOST = 50
const TITLE_LENGTH = 60

export class Conversations {
  private kept: Conversation[]
  private currentId: string | undefined

  constructor(
    private readonly store: Store,
    private readonly now: () => number = Date.now,
  ) {
    const stored = store.get(KEY)
    this.kept = Array.isArray(stored) ? stored.filter(isConversation) : []
    this.currentId = this.all[0]?.id
  }

  /** All that have a turn, the newest first. */
  get all(): readonly Conversation[] {
    return this.kept.filter((it) => it.turns.length > 0).sort((a, b) => b.changed - a.changed)
  }

  /** The one on the screen; a new one when there is none. */
  get current(): Conversation {
    return this.kept.find(({ id }) => id === this.currentId) ?? this.begin()
  }

  /** Begin a new conversation, and put it on the screen. */
  begin(): Conversation {
    this.kept = this.kept.filter((it) => it.turns.length > 0)
    const begun = { id: `${this.now().toString(36)}-${Math.random().toString(36).slice(2, 8)}`, turns: [], changed: this.now() }
    this.kept.push(begun)
    this.currentId = begun.id
    return begun
  }

  select(id: string): void {
    if (this.kept.some((it) => it.id === id)) this.currentId = id
  }

  remove(id: string): void {
    this.kept = this.kept.filter((it) => it.id !== id)
    if (id === this.currentId) this.currentId = this.all[0]?.id
    this.save()
  }

  /** Give a conversation other turns. One that was removed meanwhile stays removed. */
  put(id: string, turns: readonly Turn[]): void {
    this.kept = this.kept.map((it) => (it.id === id ? { ...it, turns, changed: this.now() } : it))
    this.save()
  }

  turnsOf(id: string): readonly Turn[] {
    return this.kept.find((it) => it.id === id)?.turns ?? []
  }

  private save(): void {
    this.kept = this.kept.filter((it) => it.id === this.currentId || this.all.slice(0, MOST).includes(it))
    void this.store.update(KEY, this.all)
  }
}

/** The first line of the first question. */
export function titleOf({ turns }: Conversation): string {
  const line = (turns[0]?.text ?? '').split('\n', 1)[0]?.trim() ?? ''
  if (line === '') return 'New conversation'
  return line.length > TITLE_LENGTH ? `${line.slice(0, TITLE_LENGTH - 1)}…` : line
}

/** The turns as the model is to see them: a question that was not answered is left out. */
export function messagesOf(turns: readonly Turn[]): { role: string; content: string }[] {
  const answered = turns.filter((turn, index) => {
    const answer = turn.role === 'assistant' ? turn : turns[index + 1]
    return index === turns.length - 1 || (answer?.role === 'assistant' && answer.text.trim() !== '')
  })
  return answered.map(({ role, text }) => ({ role, content: text }))
}

function isConversation(value: unknown): value is Conversation {
  if (typeof value !== 'object' || value === null) return false
  const { id, turns, changed } = value as Record<string, unknown>
  return typeof id === 'string' && typeof changed === 'number' && Array.isArray(turns) && turns.every(isTurn)
}

function isTurn(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return false
  const { role, text } = value as Record<string, unknown>
  return (role === 'user' || role === 'assistant') && typeof text === 'string'
}

/** The trace of the last completion in words. */

export interface Room {
  readonly room: string
  readonly ms: number
}

export interface LastCompletion {
  /** Why nothing was suggested; empty or absent when something was. */
  readonly reason?: string | null
  readonly rooms?: readonly Room[]
  readonly totalMs?: number
}

const WORTH_TELLING_MS = 1

/** Say what became of the last request, and where its time went. */
export function why(last: LastCompletion | null | undefined): string {
  if (last === null || last === undefined) {
    return 'No suggestion has been asked for yet. Type in a file, or run “Trigger Inline Suggestion”.'
  }
  const outcome = last.reason
    ? `Nothing was suggested: ${sentence(last.reason)}`
    : 'The last request was answered with a suggestion.'
  const rooms = (last.rooms ?? []).filter((room) => typeof room.ms === 'number')
  const total = last.totalMs ?? rooms.reduce((sum, room) => sum + room.ms, 0)
  if (total < WORTH_TELLING_MS) return outcome
  const parts = rooms
    .filter((room) => room.ms >= WORTH_TELLING_MS)
    .map((room) => `${room.room} ${milliseconds(room.ms)}`)
  return `${outcome} It took ${milliseconds(total)} ms${parts.length === 0 ? '' : ` (${parts.join(', ')})`}.`
}

function sentence(reason: string): string {
  const text = reason.trim()
  return /[.!?…]$/.test(text) ? text : `${text}.`
}

function milliseconds(value: number): string {
  return value < 10 ? String(Math.round(value * 10) / 10) : String(Math.round(value))
}

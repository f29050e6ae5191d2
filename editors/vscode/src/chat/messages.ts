/** What the chat's page and the extension say to each other. */

import type { Turn } from './conversations'

/** To the page. */
export type ToPage =
  /** Show these turns. isBusy: the last one is still being said. */
  | { readonly type: 'show'; readonly turns: readonly Turn[]; readonly isBusy: boolean }
  /** The last turn has grown, or is over. */
  | { readonly type: 'turn'; readonly turn: Turn; readonly isBusy: boolean }
  /** Take the keyboard, and put this before what has been typed. */
  | { readonly type: 'write'; readonly text: string }
  /** Tell the user what came of a button. */
  | { readonly type: 'tell'; readonly text: string }

/** From the page. */
export type FromPage =
  | { readonly type: 'loaded' }
  | { readonly type: 'stop' }
  | { readonly type: 'ask'; readonly text: string }
  | { readonly type: CodeUse; readonly code: string }

export const CODE_USES = ['copy', 'insert', 'apply'] as const
export type CodeUse = (typeof CODE_USES)[number]

/** Read what a page sent; undefined when it is none of these. */
export function readMessage(sent: unknown): FromPage | undefined {
  if (typeof sent !== 'object' || sent === null) return undefined
  const { type, text, code } = sent as Record<string, unknown>
  if (type === 'loaded' || type === 'stop') return { type }
  if (type === 'ask') return typeof text === 'string' && text.trim() !== '' ? { type, text: text.trim() } : undefined
  const use = CODE_USES.find((name) => name === type)
  return use !== undefined && typeof code === 'string' ? { type: use, code } : undefined
}

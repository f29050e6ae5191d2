/** Kruk's model for VS Code's own chat and for other extensions, where VS Code can take it. */

import * as vscode from 'vscode'

import type { Server } from './server/server'
import type { Status } from './status/status'

const VENDOR = 'kruk'
/** Of the prompt and its answer together; the server leaves so much for the answer at least. */
const ANSWER_SHARE = 0.3

/** What is needed of an API that is newer than the oldest VS Code we run in. */
interface Api {
  registerLanguageModelChatProvider?(vendor: string, provider: object): vscode.Disposable
}

interface Part {
  readonly value?: unknown
}

interface Message {
  readonly role: number
  readonly content: string | readonly (Part | string)[]
}

interface Progress {
  report(part: unknown): void
}

/** Offer the model; undefined where VS Code takes none. */
export function offerModel(
  server: Server,
  status: () => Status,
  onChange: vscode.Event<void>,
): vscode.Disposable | undefined {
  const api = vscode.lm as (typeof vscode.lm & Api) | undefined
  const { LanguageModelTextPart: TextPart } = vscode as unknown as { LanguageModelTextPart: new (text: string) => object }
  return api?.registerLanguageModelChatProvider?.(VENDOR, {
    onDidChangeLanguageModelChatInformation: onChange,
    provideLanguageModelChatInformation: () => information(status()),
    async provideLanguageModelChatResponse(
      _model: unknown,
      messages: readonly Message[],
      _options: unknown,
      progress: Progress,
      cancel: vscode.CancellationToken,
    ) {
      const say = (text: string): void => progress.report(new TextPart(text))
      await server.chat({ messages: messages.map(asSent) }, { heard: say, cancel })
    },
    provideTokenCount: (_model: unknown, text: string | Message) =>
      server.countTokens(typeof text === 'string' ? text : asSent(text).content),
  })
}

/** The model that is loaded, when it is one to talk to. */
export function information({ chatModel, canChat, contextTokens = 0 }: Status): object[] {
  if (chatModel === undefined || canChat !== true) return []
  const maxOutputTokens = Math.floor(contextTokens * ANSWER_SHARE)
  return [
    {
      id: chatModel,
      name: `Kruk: ${chatModel}`,
      family: chatModel,
      version: '1',
      tooltip: 'Runs on this machine, inside the Kruk server.',
      maxInputTokens: contextTokens - maxOutputTokens,
      maxOutputTokens,
      capabilities: { imageInput: false, toolCalling: false },
    },
  ]
}

function asSent({ role, content }: Message): { role: string; content: string } {
  const parts = typeof content === 'string' ? [content] : content
  const text = parts.map((part) => (typeof part === 'string' ? part : typeof part.value === 'string' ? part.value : ''))
  return { role: role === vscode.LanguageModelChatMessageRole.Assistant ? 'assistant' : 'user', content: text.join('') }
}

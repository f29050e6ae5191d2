/** The server process and the client that speaks with it. */

import { accessSync, constants, statSync } from 'node:fs'
import { homedir } from 'node:os'
import { createInterface } from 'node:readline'
import * as vscode from 'vscode'
import {
  CloseAction,
  DidChangeConfigurationNotification,
  ErrorCodes,
  type ErrorHandler,
  type Executable,
  LanguageClient,
  type LanguageClientOptions,
  ResponseError,
  RevealOutputChannelOn,
  State,
} from 'vscode-languageclient/node'

import { type Found, type Host, serverCommand } from './command'
import { serverSection } from './settings'
import { readStatus, STARTING, type Status, STOPPED } from './status'
import type { LastCompletion } from './why'

const SECTION = 'kruk'
const SELECTOR = [{ scheme: 'file' }, { scheme: 'untitled' }]
/** How much of stderr is shown when the server has ended unasked, and how long its end may take to arrive. */
const LAST_LINES = 30
const LAST_LINES_AFTER_MS = 200

const ENDED_AT_ONCE = 'The server ended as soon as it was started. The log has what it wrote.'
const KEEPS_CRASHING = 'The server has crashed 5 times within 3 minutes and is not started again.'

const BROKEN_PIPE: ReadonlySet<number> = new Set([
  ErrorCodes.MessageWriteError,
  ErrorCodes.MessageReadError,
  ErrorCodes.PendingResponseRejected,
  ErrorCodes.ConnectionInactive,
])

/** A language client that leaves it to `Server` to speak to the user: what goes wrong is only logged. */
class QuietClient extends LanguageClient {
  override error(message: string, data?: unknown): void {
    super.error(message, data, false)
  }
}

export interface Listener {
  /** There is a new state. */
  status(status: Status): void
  /** There is no program to start; a sentence for the user. */
  missing(sentence: string): void
  /** The server could not be started, or keeps crashing; a sentence for the user. */
  failed(sentence: string): void
}

export class Server {
  private client: LanguageClient | undefined
  private queue: Promise<void> = Promise.resolve()
  private readonly stderr: string[] = []

  constructor(
    private readonly log: vscode.LogOutputChannel,
    private readonly listener: Listener,
  ) {}

  get running(): boolean {
    return this.client?.state === State.Running
  }

  /** Start the server, or start it anew; one start or stop at a time. */
  restart(): Promise<void> {
    return this.enqueue(async () => {
      await this.end()
      this.begin()
    })
  }

  stop(): Promise<void> {
    return this.enqueue(() => this.end())
  }

  /** The trace of the last completion; null when there was none. */
  lastCompletion(): Promise<LastCompletion | null> {
    return this.started().sendRequest<LastCompletion | null>('kruk/lastCompletion')
  }

  /** Tell the server where the cursor rests: somebody may soon type there. */
  cursorMoved(document: vscode.TextDocument, position: vscode.Position): void {
    const client = this.client
    if (client?.state !== State.Running || vscode.languages.match(SELECTOR, document) === 0) return
    const textDocument = client.code2ProtocolConverter.asTextDocumentIdentifier(document)
    const params = { textDocument, position: client.code2ProtocolConverter.asPosition(position) }
    client.sendNotification('kruk/didMoveCursor', params).catch((error: unknown) => this.log.debug(String(error)))
  }

  /** A file and what is selected in it, as the server's commands take it. */
  placeOf({ document, selection }: vscode.TextEditor): object {
    const { code2ProtocolConverter: convert } = this.started()
    return { uri: convert.asUri(document.uri), range: convert.asRange(selection) }
  }

  /** Diagnostics as they were sent by the server that found them. */
  asSent(diagnostics: vscode.Diagnostic[]): object[] {
    return this.started().code2ProtocolConverter.asDiagnosticsSync(diagnostics)
  }

  private started(): LanguageClient {
    if (this.client === undefined) throw new Error('The server is not running.')
    return this.client
  }

  private enqueue(step: () => Promise<void>): Promise<void> {
    this.queue = this.queue.then(step).catch((error: unknown) => this.log.error(String(error)))
    return this.queue
  }

  private begin(): void {
    const found = serverCommand(vscode.workspace.getConfiguration(SECTION).get('server.command'), host())
    if ('missing' in found) {
      this.log.warn(found.missing)
      this.listener.status({ state: 'error', message: found.missing })
      this.listener.missing(found.missing)
      return
    }
    this.log.info(`Starting ${[found.command, ...found.args].join(' ')}`)
    this.stderr.length = 0
    const client = new QuietClient(SECTION, 'Kruk', executable(found), this.options())
    client.clientOptions.errorHandler = this.errorHandler(client)
    this.client = client
    client.onNotification('kruk/didChangeStatus', (sent: unknown) => this.tell(client, sent))
    client.onDidChangeState(({ newState }) => {
      if (this.client !== client) return
      if (newState === State.Starting) this.listener.status(STARTING)
      else if (newState === State.Running) void this.askStatus(client)
      else this.listener.status(STOPPED)
    })
    // Not awaited: a server that never answers could not be restarted.
    client.start().catch((error: unknown) => this.giveUp(client, whyNotStarted(error)))
  }

  private async end(): Promise<void> {
    const client = this.client
    this.client = undefined
    if (client === undefined) return
    const process = client.serverProcess
    try {
      await client.dispose()
    } catch (error) {
      // It did not stop when asked, or was still starting and cannot be asked.
      this.log.debug(String(error))
      process?.kill()
    }
  }

  /** The default restarts with their limits; none where a restart would only fail again. */
  private errorHandler(client: LanguageClient): ErrorHandler {
    const byDefault = client.createDefaultErrorHandler()
    return {
      error: (error, message, count) => byDefault.error(error, message, count),
      closed: async () => {
        this.logLastLines()
        // Only a server that has been running may do better the next time. (One that ends at once is noticed
        // here or by `start`, whichever comes first.)
        const mayRestart = this.client === client && client.state === State.Running
        const decision = mayRestart ? await byDefault.closed() : { action: CloseAction.DoNotRestart }
        if (decision.action === CloseAction.DoNotRestart) {
          this.giveUp(client, mayRestart ? KEEPS_CRASHING : ENDED_AT_ONCE)
        }
        return { ...decision, handled: true }
      },
    }
  }

  /** What the server logs comes as messages too, so its stderr matters only when it has crashed. */
  private logLastLines(): void {
    setTimeout(() => {
      const lines = this.stderr.splice(0)
      if (lines.length > 0) this.log.error(`The server's last lines on stderr:\n${lines.join('\n')}`)
    }, LAST_LINES_AFTER_MS)
  }

  /** Say once that this client's server will not run, and leave nothing of it behind. */
  private giveUp(client: LanguageClient, sentence: string): void {
    if (this.client !== client) return
    this.client = undefined
    client.serverProcess?.kill()
    this.logLastLines()
    this.log.error(sentence)
    this.listener.status({ state: 'error', message: sentence })
    this.listener.failed(sentence)
  }

  private async askStatus(client: LanguageClient): Promise<void> {
    try {
      this.tell(client, await client.sendRequest('kruk/status'))
    } catch (error) {
      this.log.warn(`kruk/status: ${String(error)}`)
    }
  }

  private tell(client: LanguageClient, sent: unknown): void {
    const status = readStatus(sent)
    if (status !== undefined && this.client === client) this.listener.status(status)
  }

  private options(): LanguageClientOptions {
    return {
      documentSelector: SELECTOR,
      outputChannel: this.log,
      stdioOptions: {
        stdout: () => undefined, // the protocol's own
        stderr: (stream) => {
          createInterface({ input: stream }).on('line', (line) => {
            this.log.debug(line)
            this.stderr.push(line)
            if (this.stderr.length > LAST_LINES) this.stderr.shift()
          })
        },
      },
      // A request that failed is in the log; a pop-up at every keystroke would help nobody.
      revealOutputChannelOn: RevealOutputChannelOn.Never,
      initializationFailedHandler: () => false,
      initializationOptions: () => this.section(),
      synchronize: { configurationSection: SECTION },
      middleware: {
        workspace: {
          didChangeConfiguration: async () => {
            const settings = { [SECTION]: this.section() }
            await this.client?.sendNotification(DidChangeConfigurationNotification.type, { settings })
          },
          configuration: async (params, token, next) => {
            const answers = await next(params, token)
            if (!Array.isArray(answers)) return answers
            return answers.map((answer: unknown, index) =>
              params.items[index]?.section === SECTION ? serverSection(answer) : answer,
            )
          },
        },
      },
    }
  }

  private section(): Record<string, unknown> {
    return serverSection(vscode.workspace.getConfiguration().get(SECTION))
  }
}

/** Say why `initialize` failed: the pipe broke, or the program did not start, or it answered with an error. */
function whyNotStarted(error: unknown): string {
  if (error instanceof ResponseError && BROKEN_PIPE.has(error.code)) return ENDED_AT_ONCE
  return `The server could not be started: ${error instanceof Error ? error.message : String(error)}`
}

function executable(found: Found): Executable {
  // Not in the workspace: `python -m` looks for modules in the folder it is started in first.
  return { command: found.command, args: [...found.args], options: { cwd: homedir(), shell: found.shell } }
}

function host(): Host {
  return {
    platform: process.platform,
    home: homedir(),
    path: process.env['PATH'] ?? '',
    pathExt: process.env['PATHEXT'] ?? '.COM;.EXE;.BAT;.CMD',
    isExecutable(file) {
      try {
        accessSync(file, constants.X_OK)
        return statSync(file).isFile()
      } catch {
        return false
      }
    },
  }
}

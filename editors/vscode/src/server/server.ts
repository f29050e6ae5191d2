/** The server process and the client that speaks with it. */

import { homedir } from 'node:os'
import { createInterface } from 'node:readline'
import * as vscode from 'vscode'
import type {
  ErrorHandler,
  Executable,
  LanguageClient,
  LanguageClientOptions,
  MessageType,
} from 'vscode-languageclient/node'

import { serverSection } from '../settings'
import { readStatus, STARTING, type Status, STOPPED } from '../status/status'
import type { LastCompletion } from '../status/why'
import { BackOff } from './backOff'
import { type Found, serverCommand } from './command'
import { programs } from './environment'
import { host } from './host'
import { activePython, programsOf } from './python'

const SECTION = 'kruk'
export const SELECTOR = [{ scheme: 'file' }, { scheme: 'untitled' }]
/** How much of stderr is shown when the server has ended unasked, and how long its end may take to arrive. */
const LAST_LINES = 30
const LAST_LINES_AFTER_MS = 200

const ENDED_AT_ONCE = 'The server ended as soon as it was started. The log has what it wrote.'
const KEEPS_CRASHING = 'The server has crashed again and again within 3 minutes and is not started any more.'
const CRASHED = 'The server has ended unexpectedly and is started again.'

/** Loaded behind the activation, for which VS Code waits. */
type Library = typeof import('vscode-languageclient/node')

export type Severity = 'error' | 'warning' | 'information'
const SEVERITIES: Partial<Record<MessageType, Severity>> = { 1: 'error', 2: 'warning' }

export interface Listener {
  /** There is a new state. */
  status(status: Status): void
  /** There is no program to start; a sentence for the user. */
  missing(sentence: string): void
  /** The server could not be started, or keeps crashing; a sentence for the user. */
  failed(sentence: string): void
  /** The server has crashed and is started again soon; a sentence for the user. */
  crashed(sentence: string): void
  /** The server has something to say to the user. */
  message(severity: Severity, text: string): void
  /** Commands of the server that VS Code has a better place for; false for all others. */
  takesCommand(command: string, argument: unknown): boolean
}

interface Report {
  readonly kind: string
  readonly message?: string
}

/** Something that runs in the server and speaks while it does. */
export interface Stream {
  heard(text: string): void
  readonly cancel: vscode.CancellationToken
}

export class Server {
  private library: Library | undefined
  private client: LanguageClient | undefined
  private queue: Promise<void> = Promise.resolve()
  private found: Found | undefined
  private startsAgain: NodeJS.Timeout | undefined
  private nStreams = 0
  private readonly stderr: string[] = []
  private readonly backOff = new BackOff()

  /** ownEnvironment: the folder of the environment that is made when the user asks for it. */
  constructor(
    private readonly log: vscode.LogOutputChannel,
    private readonly ownEnvironment: string,
    private readonly listener: Listener,
  ) {}

  get running(): boolean {
    return this.client !== undefined && this.client.state === this.library?.State.Running
  }

  /** The program that was started last. */
  get program(): Found | undefined {
    return this.found
  }

  /** Start the server, or start it anew; one start or stop at a time. */
  restart(): Promise<void> {
    this.backOff.reset()
    return this.again()
  }

  stop(): Promise<void> {
    clearTimeout(this.startsAgain)
    return this.enqueue(() => this.end())
  }

  // -- what the server is asked ----------------------------------------------------------------------------

  /** The trace of the last completion; null when there was none. */
  lastCompletion(): Promise<LastCompletion | null> {
    return this.started().sendRequest<LastCompletion | null>('kruk/lastCompletion')
  }

  /** Answer the last turn of a conversation. */
  chat(params: object, stream: Stream): Promise<unknown> {
    return this.streamed(stream, (client, token) => {
      return client.sendRequest('kruk/chat', { ...params, workDoneToken: token }, stream.cancel)
    })
  }

  /** Run a command that speaks, such as `kruk.explain`. */
  streamedCommand(command: string, argument: object, stream: Stream): Promise<unknown> {
    return this.streamed(stream, (client, token) => {
      const params = { command, arguments: [argument], workDoneToken: token }
      return client.sendRequest('workspace/executeCommand', params, stream.cancel)
    })
  }

  async countTokens(text: string): Promise<number> {
    return (await this.started().sendRequest<{ tokens: number }>('kruk/countTokens', { text })).tokens
  }

  /** Have the server read the settings again, and try again what went wrong with them. */
  async sendSettings(): Promise<void> {
    const settings = { [SECTION]: this.section() }
    await this.client?.sendNotification('workspace/didChangeConfiguration', { settings })
  }

  /** Tell the server where the cursor rests: somebody may soon type there. */
  cursorMoved(document: vscode.TextDocument, position: vscode.Position): void {
    const client = this.client
    if (client === undefined || !this.running || vscode.languages.match(SELECTOR, document) === 0) return
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

  private async streamed<T>(
    stream: Stream,
    ask: (client: LanguageClient, token: string) => Promise<T>,
  ): Promise<T> {
    const client = this.started()
    this.nStreams += 1
    const token = `kruk-vscode-${this.nStreams}`
    const hearing = client.onProgress(new (await this.load()).ProgressType<Report>(), token, (value) => {
      if (value.kind === 'report' && value.message !== undefined) stream.heard(value.message)
    })
    try {
      return await ask(client, token)
    } finally {
      hearing.dispose()
    }
  }

  private started(): LanguageClient {
    if (this.client === undefined) throw new Error('The server is not running.')
    return this.client
  }

  // -- its life --------------------------------------------------------------------------------------------

  private again(): Promise<void> {
    clearTimeout(this.startsAgain)
    return this.enqueue(async () => {
      await this.end()
      await this.begin()
    })
  }

  private enqueue(step: () => Promise<void>): Promise<void> {
    this.queue = this.queue.then(step).catch((error: unknown) => this.log.error(String(error)))
    return this.queue
  }

  private async begin(): Promise<void> {
    const setting: unknown = vscode.workspace.getConfiguration(SECTION).get('server.command')
    const isSet = Array.isArray(setting) && setting.length > 0
    const python = isSet ? undefined : await activePython()
    const found = serverCommand(setting, host(programsOf(python), [programs(this.ownEnvironment)]))
    if ('missing' in found) {
      this.log.warn(found.missing)
      this.listener.status({ state: 'error', message: found.missing })
      this.listener.missing(found.missing)
      return
    }
    this.found = found
    this.log.info(`Starting ${[found.command, ...found.args].join(' ')}`)
    this.stderr.length = 0
    const library = await this.load()
    const { State } = library
    const client = new (quiet(library))(SECTION, 'Kruk', executable(found), this.options(library))
    client.clientOptions.errorHandler = this.errorHandler(client, library)
    this.client = client
    const startedAt = performance.now()
    let wasReady = false
    client.onNotification('kruk/didChangeStatus', (sent: unknown) => {
      const status = this.tell(client, sent)
      if (wasReady || status?.state !== 'ready') return
      wasReady = true
      this.log.info(`The model is ready ${Math.round(performance.now() - startedAt)} ms after the server's start`)
    })
    client.onNotification(library.ShowMessageNotification.type, ({ type, message }) => {
      this.listener.message(SEVERITIES[type] ?? 'information', message)
    })
    client.onDidChangeState(({ newState }) => {
      if (this.client !== client) return
      if (newState === State.Starting) this.listener.status(STARTING)
      else if (newState === State.Running) void this.askStatus(client)
      else this.listener.status(STOPPED)
    })
    // Not awaited: a server that never answers could not be restarted.
    client
      .start()
      .then(() => this.log.info(`The server answered ${Math.round(performance.now() - startedAt)} ms after its start`))
      .catch((error: unknown) => this.giveUp(client, whyNotStarted(error, library)))
  }

  private async load(): Promise<Library> {
    this.library ??= await import('./library')
    return this.library
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

  /** Start again what has been running, each time a little later; nothing where it would only fail again. */
  private errorHandler(client: LanguageClient, { CloseAction, State }: Library): ErrorHandler {
    const byDefault = client.createDefaultErrorHandler()
    return {
      error: (error, message, count) => byDefault.error(error, message, count),
      closed: () => {
        this.logLastLines()
        // Only a server that has been running may do better the next time. (One that ends at once is noticed
        // here or by `start`, whichever comes first.)
        const hasRun = this.client === client && client.state === State.Running
        const delayMs = hasRun ? this.backOff.crashed() : undefined
        if (delayMs === undefined) this.giveUp(client, hasRun ? KEEPS_CRASHING : ENDED_AT_ONCE)
        else this.startLater(client, delayMs)
        return { action: CloseAction.DoNotRestart, handled: true }
      },
    }
  }

  private startLater(client: LanguageClient, delayMs: number): void {
    this.client = undefined
    client.serverProcess?.kill()
    this.log.warn(`${CRASHED} In ${delayMs} ms.`)
    this.listener.status({ state: 'loading', message: CRASHED })
    this.listener.crashed(CRASHED)
    this.startsAgain = setTimeout(() => void this.again(), delayMs)
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

  private tell(client: LanguageClient, sent: unknown): Status | undefined {
    const status = readStatus(sent)
    if (status !== undefined && this.client === client) this.listener.status(status)
    return status
  }

  private options({ RevealOutputChannelOn }: Library): LanguageClientOptions {
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
        executeCommand: (command, args: unknown[], next) =>
          this.listener.takesCommand(command, args[0]) ? undefined : next(command, args),
        workspace: {
          didChangeConfiguration: () => this.sendSettings(),
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

/** A language client that leaves it to `Server` to speak to the user: what goes wrong is only logged. */
function quiet({ LanguageClient }: Library): typeof LanguageClient {
  return class extends LanguageClient {
    override error(message: string, data?: unknown): void {
      super.error(message, data, false)
    }
  }
}

/** Say why `initialize` failed: the pipe broke, or the program did not start, or it answered with an error. */
function whyNotStarted(error: unknown, { ErrorCodes, ResponseError }: Library): string {
  const broken: readonly number[] = [
    ErrorCodes.MessageWriteError,
    ErrorCodes.MessageReadError,
    ErrorCodes.PendingResponseRejected,
    ErrorCodes.ConnectionInactive,
  ]
  if (error instanceof ResponseError && broken.includes(error.code)) return ENDED_AT_ONCE
  return `The server could not be started: ${error instanceof Error ? error.message : String(error)}`
}

function executable(found: Found): Executable {
  // Not in the workspace: `python -m` looks for modules in the folder it is started in first.
  return { command: found.command, args: [...found.args], options: { cwd: homedir(), shell: found.shell } }
}

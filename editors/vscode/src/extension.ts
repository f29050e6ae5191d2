/** Wires the server, the status bar item, the chat and the commands together. */

import { performance } from 'node:perf_hooks'
import * as vscode from 'vscode'

import { ACTIONS, commandOf, here, instruction, problems } from './actions'
import { ChatView, VIEW } from './chat/view'
import { offerModel } from './languageModel'
import { download, pickModel, useModel } from './models/choose'
import { SETTING } from './server/command'
import { make } from './server/environment'
import { activePython, onOtherPython } from './server/python'
import { SELECTOR, Server } from './server/server'
import { toggled } from './settings'
import { entries, type Entry, GET_STARTED, OPEN_SETTINGS, type Place, SHOW_LOG } from './status/menu'
import { StatusBar } from './status/statusBar'
import { why } from './status/why'
import { openExample, Steps } from './walkthrough'

/** How long a cursor has to stand still before the server makes ready for typing there. */
const REST_MS = 150
const WALKTHROUGH = 'start'
const LANGUAGES = 'completion.disabledLanguages'

const DOWNLOAD: Entry = { label: 'Download', command: 'kruk.downloadModel' }
const CHOOSE: Entry = { label: 'Choose Another', command: 'kruk.chooseModel' }

let server: Server | undefined
let resting: NodeJS.Timeout | undefined

export function activate(context: vscode.ExtensionContext): void {
  const startedAt = performance.now()
  const log = vscode.window.createOutputChannel('Kruk', { log: true })
  const bar = new StatusBar()
  const changed = new vscode.EventEmitter<void>()
  const ownEnvironment = vscode.Uri.joinPath(context.globalStorageUri, 'server').fsPath
  let offered: string | undefined

  const running: Server = new Server(log, ownEnvironment, {
    status(status) {
      const isOther = status.chatModel !== bar.status.chatModel || status.state === 'error' || bar.status.state === 'error'
      bar.show(status)
      if (isOther) changed.fire()
      setContext('kruk.isRunning', running.running)
      steps.hear(status)
      if (status.missingModel !== undefined && status.missingModel !== offered) {
        offered = status.missingModel
        void offerHelp(`The model ${offered} is not on this machine.`, [DOWNLOAD, CHOOSE], vscode.window.showWarningMessage)
      }
    },
    missing: (sentence) => void offerHelp(sentence, [GET_STARTED, OPEN_SETTINGS]),
    failed: (sentence) => void offerHelp(sentence, [SHOW_LOG, OPEN_SETTINGS, GET_STARTED]),
    crashed: (sentence) => void offerHelp(sentence, [SHOW_LOG], vscode.window.showWarningMessage),
    message(severity, text) {
      log.info(text)
      // Said already, with something to press.
      if (bar.status.missingModel !== undefined && text === `Kruk: ${bar.status.message}`) return
      if (severity === 'error') void vscode.window.showErrorMessage(text)
      else if (severity === 'warning') void vscode.window.showWarningMessage(text)
      else void vscode.window.showInformationMessage(text)
    },
    takesCommand(id, argument) {
      if (id === 'kruk.accepted') steps.accepted()
      if (id === 'kruk.explain') void chat.explain((argument ?? {}) as object)
      else if (id === 'kruk.newChat') void vscode.commands.executeCommand('kruk.startChat')
      else return false
      return true
    },
  })
  server = running
  const steps = new Steps(() => running.running)

  const chat = new ChatView(context.extensionUri, context.workspaceState, running, log, (editor) => ({
    ...running.placeOf(editor),
    diagnostics: running.asSent(problems(editor)),
  }))

  /** Register a command whose failure becomes a message and a line in the log. */
  const command = (id: string, action: () => unknown): vscode.Disposable =>
    vscode.commands.registerCommand(id, async () => {
      try {
        await action()
      } catch (error) {
        const sentence = error instanceof Error ? error.message : String(error)
        log.error(`${id}: ${sentence}`)
        await offerHelp(sentence, [SHOW_LOG])
      }
    })

  /** The same for a command that the server carries out. */
  const serverCommand = (id: string, action: () => unknown): vscode.Disposable =>
    command(id, () => {
      if (!running.running) throw new Error('The server is not running.')
      return action()
    })

  /** Get a model and make it the one that is used. */
  const getModel = async (id: string): Promise<void> => {
    if (!(await download(running.program, id, log))) return
    offered = undefined
    if (bar.status.missingModel !== id) await useModel(id)
    await running.sendSettings() // which has the server look again
  }

  context.subscriptions.push(
    log,
    bar,
    changed,
    steps,
    vscode.window.registerWebviewViewProvider(VIEW, chat),
    command('kruk.menu', async () => {
      const offered = entries(bar.status, running.running, place())
      const chosen = await vscode.window.showQuickPick(offered, { title: 'Kruk' })
      await press(chosen?.label, offered)
    }),
    command('kruk.getStarted', async () => {
      const walkthrough = `${context.extension.id}#${WALKTHROUGH}`
      await vscode.commands.executeCommand('workbench.action.openWalkthrough', walkthrough)
      steps.later()
    }),
    command('kruk.showLog', () => log.show()),
    command('kruk.restartServer', () => running.restart()),
    command('kruk.installServer', async () => {
      if (await installServer(ownEnvironment, log)) await running.restart()
    }),
    command('kruk.tryIt', openExample),
    command('kruk.toggleLanguage', async () => {
      const settings = vscode.workspace.getConfiguration('kruk')
      const languages = toggled(settings.get<string[]>(LANGUAGES) ?? [], here().document.languageId)
      await settings.update(LANGUAGES, languages, vscode.ConfigurationTarget.Global)
    }),
    serverCommand('kruk.toggleCompletions', () => vscode.commands.executeCommand('kruk.toggle', { show: false })),
    command('kruk.chooseModel', async () => {
      const chosen = await pickModel(running.program, bar.status.model)
      if (chosen === undefined) return
      if (typeof chosen === 'string' || chosen.isInstalled) await useModel(typeof chosen === 'string' ? chosen : chosen.id)
      else await getModel(chosen.id)
    }),
    serverCommand('kruk.downloadModel', async () => {
      const id = bar.status.missingModel
      if (id !== undefined) await getModel(id)
      else await vscode.window.showInformationMessage(`Kruk: ${bar.status.model ?? 'The model'} is on this machine.`)
    }),
    serverCommand('kruk.why', async () => {
      const last = await running.lastCompletion()
      log.info(`Last completion: ${JSON.stringify(last)}`)
      await press(await vscode.window.showInformationMessage(why(last), SHOW_LOG.label), [SHOW_LOG])
    }),
    ...ACTIONS.map((name) => serverCommand(commandOf(name), () => runAction(running, name))),
    command('kruk.openChat', () => chat.open()),
    command('kruk.startChat', () => {
      const isSelected = vscode.window.activeTextEditor?.selection.isEmpty === false
      return chat.newConversation(isSelected ? '@selection' : '')
    }),
    command('kruk.stopChat', () => chat.stop()),
    command('kruk.showConversations', () => chat.history()),
    vscode.window.onDidChangeTextEditorSelection(({ textEditor, selections }) => {
      clearTimeout(resting)
      const position = selections[0]?.active
      if (position === undefined) return
      resting = setTimeout(() => running.cursorMoved(textEditor.document, position), REST_MS)
    }),
    vscode.workspace.onDidChangeConfiguration((change) => {
      if (change.affectsConfiguration(SETTING)) void running.restart()
    }),
    // What the workspace says of Python and of models counts from now on.
    vscode.workspace.onDidGrantWorkspaceTrust(() => void running.restart()),
  )
  const model = offerModel(running, () => bar.status, changed.event)
  if (model !== undefined) context.subscriptions.push(model)
  // Behind the activation, for whose end VS Code waits.
  setImmediate(() => {
    void running.restart()
    void onOtherPython(() => {
      if (!running.running) void running.restart()
    }).then((listening) => listening && context.subscriptions.push(listening))
  })
  log.info(`Activated in ${(performance.now() - startedAt).toFixed(1)} ms`)
}

export async function deactivate(): Promise<void> {
  clearTimeout(resting)
  await server?.stop()
}

/** Run an action of the server at the selection. What comes of it, the server shows. */
async function runAction(running: Server, name: string): Promise<void> {
  const editor = here()
  const words = name === 'edit' ? await instruction() : ''
  if (words === undefined) return
  const argument = { ...running.placeOf(editor), version: editor.document.version, instruction: words }
  const diagnostics = name === 'fix' ? running.asSent(problems(editor)) : []
  await vscode.commands.executeCommand(`kruk.${name}`, { ...argument, diagnostics })
}

/** Make an environment with the server in it; false when the user stopped it. */
async function installServer(folder: string, log: vscode.LogOutputChannel): Promise<boolean> {
  const wanted = vscode.workspace.getConfiguration('kruk').get<string>('server.package')?.trim() || 'kruk'
  const python = await activePython()
  const options = { location: vscode.ProgressLocation.Notification, title: 'Kruk: installing the server', cancellable: true }
  return await vscode.window.withProgress(options, async (progress, stop) => {
    const step = (message: string): void => progress.report({ message })
    const isMade = await make({ folder, package: wanted, python, say: (line) => log.info(line), step }, stop)
    log.info(isMade ? `The server is in ${folder}` : 'The installation was stopped.')
    return isMade
  })
}

function place(): Place {
  const document = vscode.window.activeTextEditor?.document
  if (document === undefined || vscode.languages.match(SELECTOR, document) === 0) return {}
  const disabled = vscode.workspace.getConfiguration('kruk').get<string[]>(LANGUAGES) ?? []
  return { language: document.languageId, isDisabled: disabled.includes(document.languageId) }
}

const contexts = new Map<string, boolean>()

/** Tell menus and the walkthrough; only what is new, because states come with every key stroke. */
function setContext(name: string, value: boolean): void {
  if (contexts.get(name) === value) return
  contexts.set(name, value)
  void vscode.commands.executeCommand('setContext', name, value)
}

/** Show a message with a button for each entry. */
async function offerHelp(
  sentence: string,
  offered: readonly Entry[],
  show: (text: string, ...labels: string[]) => Thenable<string | undefined> = vscode.window.showErrorMessage,
): Promise<void> {
  const labels = offered.map((entry) => entry.label)
  await press(await show(`Kruk: ${sentence}`, ...labels), offered)
}

/** Run the command of the entry with this label; undefined when the user pressed nothing. */
async function press(label: string | undefined, offered: readonly Entry[]): Promise<void> {
  const entry = offered.find((candidate) => candidate.label === label)
  if (entry !== undefined) await vscode.commands.executeCommand(entry.command, ...(entry.args ?? []))
}

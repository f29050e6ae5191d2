/** Wires the server, the status bar item and the commands together. */

import * as vscode from 'vscode'

import { ACTIONS, commandOf, here, instruction, problems } from './actions'
import { SETTING } from './command'
import { entries, type Entry, OPEN_SETTINGS, SHOW_LOG } from './menu'
import { Server } from './server'
import { StatusBar } from './statusBar'
import { why } from './why'

/** How long a cursor has to stand still before the server makes ready for typing there. */
const REST_MS = 150

let server: Server | undefined
let resting: NodeJS.Timeout | undefined

export function activate(context: vscode.ExtensionContext): void {
  const log = vscode.window.createOutputChannel('Kruk', { log: true })
  const bar = new StatusBar()
  const running = new Server(log, {
    status: (status) => bar.show(status),
    missing: (sentence) => void offerHelp(sentence, [OPEN_SETTINGS, howToInstall(context.extensionUri)]),
    failed: (sentence) => void offerHelp(sentence, [SHOW_LOG, OPEN_SETTINGS, howToInstall(context.extensionUri)]),
  })
  server = running

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

  context.subscriptions.push(
    log,
    bar,
    command('kruk.menu', async () => {
      const offered = entries(bar.status, running.running)
      const chosen = await vscode.window.showQuickPick(offered, { title: 'Kruk' })
      await press(chosen?.label, offered)
    }),
    command('kruk.showLog', () => log.show()),
    command('kruk.restartServer', () => running.restart()),
    serverCommand('kruk.toggleCompletions', () => vscode.commands.executeCommand('kruk.toggle')),
    serverCommand('kruk.chooseModel', () => chooseModel(bar.status.model)),
    serverCommand('kruk.why', async () => {
      const last = await running.lastCompletion()
      log.info(`Last completion: ${JSON.stringify(last)}`)
      await press(await vscode.window.showInformationMessage(why(last), SHOW_LOG.label), [SHOW_LOG])
    }),
    ...ACTIONS.map((name) => serverCommand(commandOf(name), () => runAction(running, name))),
    serverCommand('kruk.startChat', () => {
      const editor = vscode.window.activeTextEditor
      const place = editor?.selection.isEmpty === false ? running.placeOf(editor) : {}
      return vscode.commands.executeCommand('kruk.newChat', place)
    }),
    serverCommand('kruk.sendChat', () => vscode.commands.executeCommand('kruk.chat', running.placeOf(here()))),
    vscode.window.onDidChangeTextEditorSelection(({ textEditor, selections }) => {
      clearTimeout(resting)
      const position = selections[0]?.active
      if (position === undefined) return
      resting = setTimeout(() => running.cursorMoved(textEditor.document, position), REST_MS)
    }),
    vscode.workspace.onDidChangeConfiguration((change) => {
      if (change.affectsConfiguration(SETTING)) void running.restart()
    }),
  )
  void running.restart()
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

async function chooseModel(present: string | undefined): Promise<void> {
  const typed = await vscode.window.showInputBox({
    title: 'Kruk: Choose Model',
    prompt: 'An id from `kruk models list`, or the path of a GGUF file',
    value: present ?? '',
    ignoreFocusOut: true,
  })
  const model = typed?.trim()
  if (model) await vscode.commands.executeCommand('kruk.useModel', model)
}

function howToInstall(extension: vscode.Uri): Entry {
  const page = vscode.Uri.joinPath(extension, 'install.md')
  return { label: 'How to Install', command: 'markdown.showPreview', args: [page] }
}

/** Show an error with a button for each entry. */
async function offerHelp(sentence: string, offered: readonly Entry[]): Promise<void> {
  const labels = offered.map((entry) => entry.label)
  await press(await vscode.window.showErrorMessage(`Kruk: ${sentence}`, ...labels), offered)
}

/** Run the command of the entry with this label; undefined when the user pressed nothing. */
async function press(label: string | undefined, offered: readonly Entry[]): Promise<void> {
  const entry = offered.find((candidate) => candidate.label === label)
  if (entry !== undefined) await vscode.commands.executeCommand(entry.command, ...(entry.args ?? []))
}

/** Choosing a model, and downloading it with progress and a way to stop. */

import * as vscode from 'vscode'

import { type Found, withArguments } from '../server/command'
import { run } from '../server/run'
import { about, doing, type Model, readModels, readProgress } from './models'

const SETTING = 'model'
const NEVER: vscode.CancellationToken = {
  isCancellationRequested: false,
  onCancellationRequested: () => new vscode.Disposable(() => undefined),
}

type Item = vscode.QuickPickItem & ({ readonly model: Model } | { readonly model?: never; readonly opens?: boolean })

/** Let the user choose; undefined when they thought better of it. present: the model in use. */
export async function pickModel(program: Found | undefined, present: string | undefined): Promise<Model | string | undefined> {
  const models = readModels(await output(kruk(program, ['models', 'list', '--json'])))
  const here = models.filter((model) => model.isInstalled)
  const others = models.filter((model) => !model.isInstalled)
  const item = (icon: string) => (model: Model): Item => ({
    label: `$(${model.id === present ? 'check' : icon}) ${model.id}`,
    description: about(model),
    model,
  })
  const group = (label: string): Item => ({ label, kind: vscode.QuickPickItemKind.Separator })
  const chosen = await vscode.window.showQuickPick<Item>(
    [
      group('on this machine'),
      ...here.map(item('chip')),
      { label: '$(folder-opened) A GGUF file…', opens: true },
      group('to download'),
      ...others.map(item('cloud-download')),
    ],
    { title: 'Kruk: Choose Model', placeHolder: 'The model for completions and chat', matchOnDescription: true },
  )
  if (chosen?.model !== undefined) return chosen.model
  return chosen === undefined ? undefined : await pickFile()
}

/** Make a model the user's choice. */
export async function useModel(name: string): Promise<void> {
  const settings = vscode.workspace.getConfiguration('kruk')
  const present = settings.inspect<string>(SETTING)
  // Where a workspace has its own, that is the one in force.
  const isOfWorkspace = vscode.workspace.isTrusted && present?.workspaceValue !== undefined
  const target = isOfWorkspace ? vscode.ConfigurationTarget.Workspace : vscode.ConfigurationTarget.Global
  await settings.update(SETTING, name, target)
}

/** Download a model; false when the user stopped it. What has come is kept for the next time. */
export async function download(
  program: Found | undefined,
  id: string,
  log: vscode.LogOutputChannel,
): Promise<boolean> {
  const found = kruk(program, ['models', 'pull', id, '--json'])
  return await vscode.window.withProgress(
    { location: vscode.ProgressLocation.Notification, title: `Kruk: downloading ${id}`, cancellable: true },
    async (progress, stop) => {
      let percent = 0
      let stage = ''
      const errors: string[] = []
      const out = (line: string): void => {
        const told = readProgress(line)
        if (told === undefined) return
        const now = told.total ? Math.floor((100 * told.done) / told.total) : percent
        progress.report({ message: doing(told), increment: Math.max(0, now - percent) })
        percent = Math.max(percent, now)
        if (told.stage !== stage && doing(told) !== '') log.info(`${id}: ${doing(told)}`)
        stage = told.stage
      }
      const err = (line: string): void => {
        log.info(`${id}: ${line}`)
        errors.push(line)
      }
      const code = await run(found, { out, err }, stop)
      if (code === 0) return true
      if (code === null) {
        log.info(`${id}: stopped at ${percent} %`)
        return false
      }
      const sentence = errors.find((line) => line.startsWith('error: ')) ?? errors.at(-1) ?? `exit code ${code}`
      throw new Error(`${id} was not downloaded: ${sentence.replace(/^error: /, '')}`)
    },
  )
}

async function pickFile(): Promise<string | undefined> {
  const [file] =
    (await vscode.window.showOpenDialog({
      title: 'Kruk: Choose Model',
      openLabel: 'Use This Model',
      filters: { 'Models (GGUF)': ['gguf'] },
    })) ?? []
  return file?.fsPath
}

function kruk(program: Found | undefined, args: readonly string[]): Found {
  if (program === undefined) throw new Error('There is no server to ask for models. Install or start it first.')
  const found = withArguments(program, args)
  if (found === undefined) {
    throw new Error('Models can be listed and downloaded when `kruk serve` is the program that starts the server.')
  }
  return found
}

async function output(found: Found): Promise<string> {
  const lines: string[] = []
  const errors: string[] = []
  const code = await run(found, { out: (line) => lines.push(line), err: (line) => errors.push(line) }, NEVER)
  if (code !== 0) throw new Error(`${found.args.join(' ')} failed: ${errors.at(-1) ?? `exit code ${code}`}`)
  return lines.join('\n')
}

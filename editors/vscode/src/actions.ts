/** The server's actions as commands of the palette, and what each is told of the place. */

import * as vscode from 'vscode'

import manifest from '../package.json'

const RUN = 'kruk.run.'

/** Names of the actions; `kruk.run.<name>` here runs `kruk.<name>` of the server. */
export const ACTIONS = manifest.contributes.commands
  .map(({ command }) => command)
  .filter((command) => command.startsWith(RUN))
  .map((command) => command.slice(RUN.length))

export function commandOf(action: string): string {
  return RUN + action
}

/** Where the user is; throws when that is in no file. */
export function here(): vscode.TextEditor {
  const editor = vscode.window.activeTextEditor
  if (editor === undefined) throw new Error('No file is open. Open one and put the cursor into the code.')
  return editor
}

/** The problems that the selection touches. */
export function problems({ document, selection }: vscode.TextEditor): vscode.Diagnostic[] {
  const lines = new vscode.Range(selection.start.line, 0, selection.end.line + 1, 0)
  return vscode.languages.getDiagnostics(document.uri).filter(({ range }) => range.intersection(lines) !== undefined)
}

/** What to change, in the user's words; undefined when they thought better of it. */
export async function instruction(): Promise<string | undefined> {
  const typed = await vscode.window.showInputBox({
    title: 'Kruk: Edit',
    prompt: 'What to change in the selected code, or in the definition at the cursor',
    ignoreFocusOut: true,
  })
  return typed?.trim() || undefined
}

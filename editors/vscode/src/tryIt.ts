/** The walkthrough's example: a file in which a suggestion comes at once. */

import * as vscode from 'vscode'

const BEFORE = `# Press Tab to accept the grey text, Ctrl+Right to accept a word of it, Escape to hide it.


def celsius_to_fahrenheit(celsius):
    return celsius * 9 / 5 + 32


def fahrenheit_to_celsius(fahrenheit):
    return `

export async function openExample(): Promise<void> {
  const document = await vscode.workspace.openTextDocument({ language: 'python', content: BEFORE })
  const editor = await vscode.window.showTextDocument(document)
  const end = document.lineAt(document.lineCount - 1).range.end
  editor.selection = new vscode.Selection(end, end)
  await vscode.commands.executeCommand('editor.action.inlineSuggest.trigger')
}

/** The walkthrough: its example, and which of its steps are done. */

import * as vscode from 'vscode'

import type { Status } from './status/status'

/** So long the page may take to open. */
const OPENING_MS = 1000

const BEFORE = `# Press Tab to accept the grey text, Ctrl+Right to accept a word of it, Escape to hide it.


def celsius_to_fahrenheit(celsius):
    return celsius * 9 / 5 + 32


def fahrenheit_to_celsius(fahrenheit):
    return `

/**
 * Tells the walkthrough what is done. VS Code looks for contexts that become true while the walkthrough is open, and never
 * again for those that were true when it opened; so ours are true for a moment only, whenever there is news.
 */
export class Steps implements vscode.Disposable {
  private state: Status['state'] | undefined
  private timer: NodeJS.Timeout | undefined
  private hasAccepted = false
  private readonly listening = vscode.window.onDidChangeActiveTextEditor((editor) => {
    if (editor === undefined) this.later() // a page that is no text, perhaps the walkthrough
  })

  constructor(private readonly isRunning: () => boolean) {}

  /** Hear of a new state. */
  hear({ state }: Status): void {
    const now = state === 'busy' ? 'ready' : state
    if (now === this.state) return
    this.state = now
    this.tell()
  }

  /** A suggestion was accepted. */
  accepted(): void {
    if (this.hasAccepted) return
    this.hasAccepted = true
    this.tell()
  }

  /** The walkthrough is being opened. */
  later(): void {
    clearTimeout(this.timer)
    this.timer = setTimeout(() => this.tell(), OPENING_MS)
  }

  dispose(): void {
    clearTimeout(this.timer)
    this.listening.dispose()
  }

  private tell(): void {
    if (this.isRunning()) pulse('kruk.hasServer')
    if (this.state === 'ready') pulse('kruk.hasModel')
    if (this.hasAccepted) pulse('kruk.hasAccepted')
  }
}

function pulse(name: string): void {
  for (const value of [true, false]) void vscode.commands.executeCommand('setContext', name, value)
}

/** Open a file in which a suggestion comes at once. */
export async function openExample(): Promise<void> {
  const document = await vscode.workspace.openTextDocument({ language: 'python', content: BEFORE })
  const editor = await vscode.window.showTextDocument(document)
  const end = document.lineAt(document.lineCount - 1).range.end
  editor.selection = new vscode.Selection(end, end)
  await vscode.commands.executeCommand('editor.action.inlineSuggest.trigger')
}

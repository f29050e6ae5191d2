/** The status bar item. */

import * as vscode from 'vscode'

import { shown, STARTING, type Status } from './status'

/** Most completions are over sooner; an icon that changes at every keystroke would only distract. */
const BUSY_AFTER_MS = 250

export class StatusBar implements vscode.Disposable {
  private readonly item = vscode.window.createStatusBarItem('kruk.status', vscode.StatusBarAlignment.Right, 100)
  private timer: NodeJS.Timeout | undefined
  private latest: Status = STARTING

  constructor() {
    this.item.name = 'Kruk'
    this.item.command = 'kruk.menu'
    this.draw()
    this.item.show()
  }

  get status(): Status {
    return this.latest
  }

  show(status: Status): void {
    clearTimeout(this.timer)
    this.latest = status
    if (status.state === 'busy') this.timer = setTimeout(() => this.draw(), BUSY_AFTER_MS)
    else this.draw()
  }

  dispose(): void {
    clearTimeout(this.timer)
    this.item.dispose()
  }

  private draw(): void {
    const { text, label, tooltip, alarm } = shown(this.latest)
    this.item.text = text
    this.item.accessibilityInformation = { label }
    // Not trusted, and only escaped text: what a server says cannot become a link or a command.
    const markdown = new vscode.MarkdownString()
    tooltip.forEach((line, index) => markdown.appendMarkdown(index === 0 ? '' : '\n\n').appendText(line))
    this.item.tooltip = markdown
    this.item.backgroundColor = alarm ? new vscode.ThemeColor('statusBarItem.errorBackground') : undefined
  }
}

/** The chat in the side bar: a page that shows the conversation on the screen, and what its buttons do. */

import * as vscode from 'vscode'

import { SELECTOR, type Server } from '../server/server'
import { type Conversation, Conversations, titleOf, type Turn } from './conversations'
import { type CodeUse, readMessage, type ToPage } from './messages'
import { page } from './page'
import { type Asked, type Speaker, Talk, type Voice } from './talk'

export const VIEW = 'kruk.chat'
/** Tells menus whether an answer can be stopped. */
const BUSY_CONTEXT = 'kruk.isAnswering'

/** Where the user is in the code; throws when that is nowhere. */
export type FocusOf = (editor: vscode.TextEditor) => object

export class ChatView implements vscode.WebviewViewProvider {
  private view: vscode.WebviewView | undefined
  private isLoaded = false
  private unsent: ToPage[] = []
  private shown: readonly Turn[] = []
  private readonly conversations: Conversations
  private readonly talk: Talk

  constructor(
    private readonly extension: vscode.Uri,
    store: vscode.Memento,
    private readonly server: Server,
    private readonly log: vscode.LogOutputChannel,
    focusOf: FocusOf,
  ) {
    this.conversations = new Conversations(store)
    this.talk = new Talk(this.conversations, speaker(server, focusOf), (isBusy) => this.onChange(isBusy))
  }

  resolveWebviewView(view: vscode.WebviewView): void {
    this.view = view
    this.isLoaded = false
    const root = vscode.Uri.joinPath(this.extension, 'dist', 'chat')
    const at = (name: string): string => view.webview.asWebviewUri(vscode.Uri.joinPath(root, name)).toString()
    view.webview.options = { enableScripts: true, localResourceRoots: [root] }
    view.webview.onDidReceiveMessage((sent: unknown) => void this.receive(sent))
    view.onDidChangeVisibility(() => {
      if (!view.visible) this.isLoaded = false // a hidden page is thrown away
    })
    view.onDidDispose(() => {
      if (this.view === view) this.view = undefined
    })
    view.webview.html = page({ script: at('main.js'), style: at('style.css'), origin: view.webview.cspSource })
  }

  /** Show the chat and put the cursor into it, with this before what has been typed. */
  async open(text = ''): Promise<void> {
    await vscode.commands.executeCommand(`${VIEW}.focus`)
    this.post({ type: 'write', text })
  }

  async newConversation(text = ''): Promise<void> {
    this.talk.stop()
    this.conversations.begin()
    this.showAll()
    await this.open(text)
  }

  async explain(argument: object): Promise<void> {
    await vscode.commands.executeCommand(`${VIEW}.focus`, { preserveFocus: true })
    await this.telling(() => this.talk.explain(argument))
  }

  stop(): void {
    this.talk.stop()
  }

  /** Let the user go back to another conversation, or delete one. */
  history(): void {
    const picker = vscode.window.createQuickPick<vscode.QuickPickItem & { readonly id: string }>()
    const trash = { iconPath: new vscode.ThemeIcon('trash'), tooltip: 'Delete This Conversation' }
    const list = (): void => {
      picker.items = this.conversations.all.map((it) => ({
        id: it.id,
        label: titleOf(it),
        description: when(it),
        buttons: [trash],
      }))
    }
    list()
    picker.title = 'Kruk: Conversations'
    picker.placeholder = picker.items.length > 0 ? 'Go back to a conversation' : 'There is no conversation yet'
    picker.onDidAccept(async () => {
      const [chosen] = picker.selectedItems
      picker.hide()
      if (chosen === undefined) return
      this.talk.stop()
      this.conversations.select(chosen.id)
      this.showAll()
      await this.open()
    })
    picker.onDidTriggerItemButton(({ item }) => {
      if (item.id === this.conversations.current.id) this.talk.stop()
      this.conversations.remove(item.id)
      this.showAll()
      list()
    })
    picker.onDidHide(() => picker.dispose())
    picker.show()
  }

  private onChange(isBusy: boolean): void {
    void vscode.commands.executeCommand('setContext', BUSY_CONTEXT, isBusy)
    const { turns } = this.conversations.current
    const turn = turns.at(-1)
    const isNew = turns.length !== this.shown.length || turns.slice(0, -1).some((it, n) => it !== this.shown[n])
    if (turn === undefined || isNew) this.showAll(isBusy)
    else this.post({ type: 'turn', turn, isBusy }, false)
  }

  private showAll(isBusy = this.talk.isBusy): void {
    this.shown = this.conversations.current.turns
    this.post({ type: 'show', turns: this.shown, isBusy }, false)
  }

  /** Say something to the page. isKept: what cannot be said yet is said when it has been loaded. */
  private post(message: ToPage, isKept = true): void {
    if (this.isLoaded) void this.view?.webview.postMessage(message)
    else if (isKept) this.unsent.push(message)
  }

  private async receive(sent: unknown): Promise<void> {
    const message = readMessage(sent)
    switch (message?.type) {
      case 'loaded':
        this.isLoaded = true
        this.showAll()
        this.unsent.splice(0).forEach((kept) => this.post(kept))
        break
      case 'ask':
        await this.telling(() => this.talk.ask(message.text))
        break
      case 'stop':
        this.talk.stop()
        break
      case 'copy':
      case 'insert':
      case 'apply':
        await this.telling(async () => {
          this.post({ type: 'tell', text: await this.use(message.type, message.code) })
        })
    }
  }

  /** Do something; what goes wrong is told in the chat. */
  private async telling(action: () => Promise<void>): Promise<void> {
    try {
      await action()
    } catch (error) {
      const text = error instanceof Error ? error.message : String(error)
      this.log.warn(`Chat: ${text}`)
      this.post({ type: 'tell', text })
    }
  }

  /** Do something with code of an answer; returns what to tell the user. */
  private async use(how: CodeUse, code: string): Promise<string> {
    if (how === 'copy') {
      await vscode.env.clipboard.writeText(code)
      return 'Copied.'
    }
    const editor = vscode.window.activeTextEditor
    if (editor === undefined || vscode.languages.match(SELECTOR, editor.document) === 0) {
      throw new Error('No file is open in the editor. Open the one that the code is for.')
    }
    const name = vscode.workspace.asRelativePath(editor.document.uri)
    if (how === 'insert') {
      const isDone = await editor.edit((edit) => edit.replace(editor.selection, code))
      if (!isDone) throw new Error(`${name} could not be changed. Is it read-only?`)
    } else {
      const result = await vscode.commands.executeCommand('kruk.apply', { ...this.server.placeOf(editor), code })
      const { leftOut = 0 } = (result ?? {}) as { leftOut?: number }
      if (leftOut > 0) return `Applied to ${name}, but for ${leftOut} line${leftOut === 1 ? '' : 's'} that define nothing.`
    }
    await vscode.window.showTextDocument(editor.document, { viewColumn: editor.viewColumn ?? vscode.ViewColumn.Active })
    return how === 'insert' ? `Inserted into ${name}.` : `Applied to ${name}.`
  }
}

function speaker(server: Server, focusOf: FocusOf): Speaker {
  /** Ask with a way to cancel. */
  const asked = (ask: (cancel: vscode.CancellationToken) => Promise<unknown>): Asked => {
    const source = new vscode.CancellationTokenSource()
    return { cancel: () => source.cancel(), answer: ask(source.token).finally(() => source.dispose()) }
  }
  return {
    chat(messages, conversationId, voice: Voice) {
      const editor = vscode.window.activeTextEditor
      const isOurs = editor !== undefined && vscode.languages.match(SELECTOR, editor.document) > 0
      return asked(async (cancel) => {
        const focus = isOurs ? { focus: focusOf(editor) } : {}
        return await server.chat({ messages, conversationId, ...focus }, { heard: (text) => voice.heard(text), cancel })
      })
    },
    explain(argument, voice: Voice) {
      return asked(async (cancel) => {
        const stream = { heard: (text: string) => voice.heard(text), cancel }
        return await server.streamedCommand('kruk.explain', { ...argument, show: false }, stream)
      })
    },
  }
}

function when({ changed }: Conversation): string {
  return new Date(changed).toLocaleString([], { dateStyle: 'medium', timeStyle: 'short' })
}

/** The chat's page at work: shows turns, sends questions. Runs in the view, without access to anything else. */

import type { Turn } from '../conversations'
import { CODE_USES, type CodeUse, type FromPage, type ToPage } from '../messages'
import { type Node as Tree, tree } from './tree'

declare function acquireVsCodeApi(): {
  postMessage(message: FromPage): void
  getState(): unknown
  setState(state: unknown): void
}

const vscode = acquireVsCodeApi()
const turns = byId<HTMLElement>('turns')
const said = byId<HTMLElement>('said')
const form = byId<HTMLFormElement>('form')
const question = byId<HTMLTextAreaElement>('question')
const send = byId<HTMLButtonElement>('send')
const stop = byId<HTMLButtonElement>('stop')

const LABELS: Record<CodeUse, string> = { copy: 'Copy', insert: 'Insert', apply: 'Apply' }
const HINTS: Record<CodeUse, string> = {
  copy: 'Copy the code',
  insert: 'Insert the code at the cursor',
  apply: 'Put the code in place of what is selected, or of the definition that it defines anew',
}
const EXAMPLES = ['What does @selection do?', 'Find a bug in @src/main.py:10-40', 'Write a commit message for @diff']
/** So near to the end that the reader follows along. */
const NEAR_PX = 60

let isBusy = false

function byId<T extends HTMLElement>(id: string): T {
  return document.getElementById(id) as T
}

window.addEventListener('message', ({ data }: MessageEvent<ToPage>) => {
  switch (data.type) {
    case 'show':
      turns.replaceChildren(...(data.turns.length > 0 ? data.turns.map(article) : [welcome()]))
      setBusy(data.isBusy)
      turns.scrollTop = turns.scrollHeight
      break
    case 'turn':
      replaceLast(data.turn)
      setBusy(data.isBusy)
      break
    case 'write':
      if (data.text !== '') question.value = `${data.text} ${question.value}`
      grow()
      question.focus()
      break
    case 'tell':
      tell(data.text)
  }
})

form.addEventListener('submit', (event) => {
  event.preventDefault()
  const text = question.value.trim()
  if (text === '' || isBusy) return
  vscode.postMessage({ type: 'ask', text })
  question.value = ''
  grow()
})

stop.addEventListener('click', () => vscode.postMessage({ type: 'stop' }))

question.addEventListener('keydown', (event) => {
  // While a word is being composed, Enter ends the word.
  if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) {
    event.preventDefault()
    form.requestSubmit()
  }
})

window.addEventListener('keydown', (event) => {
  if (event.key === 'Escape' && isBusy) vscode.postMessage({ type: 'stop' })
})

question.addEventListener('input', grow)

/** As tall as what is typed, and remembered while the view is hidden. */
function grow(): void {
  question.style.height = 'auto'
  question.style.height = `${question.scrollHeight}px`
  vscode.setState({ question: question.value })
}

function setBusy(now: boolean): void {
  if (isBusy && !now) tell('Kruk has answered.')
  if (!isBusy && now) tell('Kruk is answering.')
  isBusy = now
  turns.setAttribute('aria-busy', String(now))
  send.hidden = now
  stop.hidden = !now
}

/** For screen readers; the others see it for a moment. */
function tell(text: string): void {
  said.textContent = text
}

function replaceLast(turn: Turn): void {
  const isAtEnd = turns.scrollHeight - turns.scrollTop - turns.clientHeight < NEAR_PX
  const last = turns.lastElementChild
  if (last === null) turns.append(article(turn))
  else last.replaceWith(article(turn))
  if (isAtEnd) turns.scrollTop = turns.scrollHeight
}

function article(turn: Turn): HTMLElement {
  const name = turn.role === 'user' ? 'You' : 'Kruk'
  const made = element('article', turn.role)
  made.setAttribute('aria-label', name)
  made.append(element('h2', '', name))
  if (turn.note !== undefined) made.append(element('p', 'note', turn.note))
  const body = element('div', 'body')
  body.append(...tree(turn.text).map((node) => build(node, turn.role === 'assistant')))
  if (turn.role === 'assistant' && turn.text === '' && turn.failure === undefined) {
    body.append(element('p', 'waiting', 'Thinking…'))
  }
  made.append(body)
  if (turn.failure !== undefined) made.append(element('p', 'failure', turn.failure))
  return made
}

function welcome(): HTMLElement {
  const made = element('div', 'welcome')
  made.append(
    element('h2', '', 'Ask about your code'),
    element('p', '', 'The model runs on this machine. Nothing that you write leaves it.'),
    element('p', '', 'Mention what it should see: @file.py:10-20, @name, @selection, @diagnostics or @diff.'),
  )
  const list = element('ul', '')
  for (const example of EXAMPLES) {
    const button = element('button', 'example', example)
    button.addEventListener('click', () => {
      question.value = example
      grow()
      question.focus()
    })
    const item = element('li', '')
    item.append(button)
    list.append(item)
  }
  made.append(list)
  return made
}

function build(node: Tree, isAnswer: boolean): Node {
  if (typeof node === 'string') return document.createTextNode(node)
  if ('code' in node) return block(node.code, node.language, isAnswer)
  const made = document.createElement(node.tag)
  if (node.href !== undefined) {
    made.setAttribute('href', node.href)
    made.title = node.href
  }
  if (node.start !== undefined) made.setAttribute('start', String(node.start))
  made.append(...node.children.map((child) => build(child, isAnswer)))
  return made
}

function block(code: string, language: string, isAnswer: boolean): HTMLElement {
  const made = element('figure', 'code')
  if (isAnswer) {
    const bar = element('figcaption', '')
    bar.append(element('span', '', language))
    for (const use of CODE_USES) {
      const button = element('button', '', LABELS[use])
      button.title = HINTS[use]
      button.setAttribute('aria-label', HINTS[use])
      button.addEventListener('click', () => vscode.postMessage({ type: use, code }))
      bar.append(button)
    }
    made.append(bar)
  }
  const pre = element('pre', '')
  pre.tabIndex = 0 // it scrolls sideways, by the keyboard too
  pre.append(element('code', '', code))
  made.append(pre)
  return made
}

function element(tag: string, className: string, text?: string): HTMLElement {
  const made = document.createElement(tag)
  if (className !== '') made.className = className
  if (text !== undefined) made.textContent = text
  return made
}

const state = vscode.getState() as { question?: string } | undefined
question.value = state?.question ?? ''
vscode.postMessage({ type: 'loaded' })

/**
 * Markdown as a tree of the few elements that a chat needs. No text of a model ever becomes HTML: elements are made one
 * by one from this tree, and what is not on its list stays text.
 */

import { lexer, type Token, type Tokens } from 'marked'

export type Tag =
  | 'p' | 'h3' | 'h4' | 'ul' | 'ol' | 'li' | 'blockquote' | 'hr' | 'br' | 'strong' | 'em' | 'del' | 'code' | 'a'
  | 'table' | 'thead' | 'tbody' | 'tr' | 'th' | 'td' // prettier-ignore

export type Node =
  | string
  /** `href` of a link, `start` of a numbered list. */
  | { readonly tag: Tag; readonly children: readonly Node[]; readonly href?: string; readonly start?: number }
  | { readonly code: string; readonly language: string }

/** Links lead to the web and to mail, and VS Code asks before it opens one. */
const MAY_OPEN = /^(?:https?:\/\/|mailto:)/i

export function tree(markdown: string): Node[] {
  return blocks(lexer(markdown, { gfm: true }))
}

function blocks(tokens: readonly Token[]): Node[] {
  return tokens.flatMap((token): Node[] => {
    switch (token.type) {
      case 'space':
      case 'def':
        return []
      case 'code':
        return [{ code: (token as Tokens.Code).text, language: languageOf((token as Tokens.Code).lang) }]
      case 'heading':
        return [element((token as Tokens.Heading).depth < 3 ? 'h3' : 'h4', inline(token))]
      case 'blockquote':
        return [element('blockquote', blocks((token as Tokens.Blockquote).tokens))]
      case 'hr':
        return [element('hr', [])]
      case 'list':
        return [list(token as Tokens.List)]
      case 'table':
        return [table(token as Tokens.Table)]
      case 'paragraph':
        return [element('p', inline(token))]
      default: // text of a tight list, HTML
        return inline(token)
    }
  })
}

function list({ ordered, start, items }: Tokens.List): Node {
  const children = items.map((item) => {
    const mark = item.task ? [item.checked === true ? '☑ ' : '☐ '] : []
    return element('li', [...mark, ...blocks(item.tokens.filter(({ type }) => type !== 'checkbox'))])
  })
  const from = Number(start)
  return ordered && from !== 1 && Number.isSafeInteger(from)
    ? { tag: 'ol', children, start: from }
    : element(ordered ? 'ol' : 'ul', children)
}

function table({ header, rows }: Tokens.Table): Node {
  const row = (cells: readonly Tokens.TableCell[], tag: 'th' | 'td'): Node =>
    element('tr', cells.map((cell) => element(tag, spans(cell.tokens))))
  return element('table', [
    element('thead', [row(header, 'th')]),
    element('tbody', rows.map((cells) => row(cells, 'td'))),
  ])
}

function inline(token: Token): Node[] {
  return 'tokens' in token && token.tokens !== undefined ? spans(token.tokens) : [text(token)]
}

function spans(tokens: readonly Token[]): Node[] {
  return tokens.flatMap((token): Node[] => {
    switch (token.type) {
      case 'strong':
      case 'em':
      case 'del':
        return [element(token.type, inline(token))]
      case 'codespan':
        return [element('code', [(token as Tokens.Codespan).text])]
      case 'br':
        return [element('br', [])]
      case 'link': {
        const { href } = token as Tokens.Link
        return MAY_OPEN.test(href) ? [{ tag: 'a', children: inline(token), href }] : inline(token)
      }
      case 'image': // never loaded: it would tell somebody that it was
        return [`[image: ${(token as Tokens.Image).text}]`]
      default:
        return inline(token)
    }
  })
}

function text(token: Token): string {
  const raw = 'text' in token && typeof token.text === 'string' ? token.text : token.raw
  return token.type === 'html' ? token.raw : decoded(raw)
}

const NAMED: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'", nbsp: '\u00a0' }

/** The entities that models write. */
function decoded(raw: string): string {
  return raw.replace(/&(?:#(\d{1,6})|([a-z]+));/g, (whole, code: string | undefined, name: string | undefined) => {
    if (code !== undefined) return String.fromCodePoint(Number(code))
    return (name === undefined ? undefined : NAMED[name]) ?? whole
  })
}

function languageOf(info: string | undefined): string {
  return /^[\w+#.-]+/.exec(info ?? '')?.[0] ?? ''
}

function element(tag: Tag, children: readonly Node[]): Node {
  return { tag, children }
}

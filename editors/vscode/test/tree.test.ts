import assert from 'node:assert/strict'
import { test } from 'node:test'

import { readMessage } from '../src/chat/messages'
import { page } from '../src/chat/page'
import { type Node, tree } from '../src/chat/web/tree'

/** The tree as text: `tag(children)`. */
function drawn(nodes: readonly Node[]): string {
  return nodes
    .map((node) => {
      if (typeof node === 'string') return node
      if ('code' in node) return `code:${node.language}(${node.code})`
      return `${node.tag}${node.href === undefined ? '' : `[${node.href}]`}(${drawn(node.children)})`
    })
    .join('')
}

function check(markdown: string, expected: string): void {
  assert.equal(drawn(tree(markdown)), expected)
}

test('what models write', () => {
  check('# Head\n\nIt *is* **so**, `a<b`.', 'h3(Head)p(It em(is) strong(so), code(a<b).)')
  check('- a\n- b\n\n3. c', 'ul(li(a)li(b))ol(li(c))')
  check('- [x] done', 'ul(li(☑ done))')
  check('```python\ndef f():\n    pass\n```', 'code:python(def f():\n    pass)')
  check('~~~c++ {.x}\nint a;\n~~~', 'code:c++(int a;)')
  check('| a | b |\n|---|---|\n| 1 | 2 |', 'table(thead(tr(th(a)th(b)))tbody(tr(td(1)td(2))))')
  check('> said', 'blockquote(p(said))')
  check('a &lt; b &amp;&amp; c &#39;d&#39; &unknown;', "p(a < b && c 'd' &unknown;)")
})

test('a code block that is still being written', () => {
  check('Look:\n\n```py\nx = 1', 'p(Look:)code:py(x = 1)')
})

test('HTML stays text', () => {
  check('<img src=x onerror=alert(1)>', '<img src=x onerror=alert(1)>')
  check('a <b onclick="x()">b</b>', 'p(a <b onclick="x()">b</b>)')
  check('<script>alert(1)</script>', '<script>alert(1)</script>')
})

test('only links to the web and to mail are links, and no image is loaded', () => {
  check('[a](https://a.example/x)', 'p(a[https://a.example/x](a))')
  check('[a](mailto:a@b.example)', 'p(a[mailto:a@b.example](a))')
  for (const href of ['command:kruk.showLog', 'javascript:alert(1)', 'vscode://x', 'file:///etc/passwd', '//x.example', 'a.py']) {
    check(`[a](${href})`, 'p(a)')
  }
  check('![a](https://a.example/x.png)', 'p([image: a])')
})

test('deep nesting ends', () => {
  assert.ok(drawn(tree(`${'> '.repeat(200)}x`)).includes('x'))
  assert.ok(drawn(tree(`${'*a '.repeat(500)}`)).length > 0)
})

test('the page may run one script and load one style, and nothing else', () => {
  const html = page({ script: 'https://host/main.js', style: 'https://host/style.css', origin: 'https://host' }, 'once')
  const policy = /content="([^"]+)"/.exec(html)?.[1]
  assert.equal(policy, "default-src 'none'; style-src https://host; script-src 'nonce-once'")
  assert.equal(html.match(/<script/g)?.length, 1)
  assert.match(html, /<script nonce="once" src="https:\/\/host\/main\.js">/)
  const other = page({ script: '', style: '', origin: '' })
  assert.notEqual(other, page({ script: '', style: '', origin: '' }), 'each page has a nonce of its own')
})

test('a message from the page is read, and nonsense is not', () => {
  assert.deepEqual(readMessage({ type: 'ask', text: ' Why? ' }), { type: 'ask', text: 'Why?' })
  assert.deepEqual(readMessage({ type: 'apply', code: 'x', more: 1 }), { type: 'apply', code: 'x' })
  for (const sent of [null, 'ask', {}, { type: 'ask', text: ' ' }, { type: 'copy' }, { type: 'run', code: 'x' }]) {
    assert.equal(readMessage(sent), undefined)
  }
})

// A browser with VS Code or JupyterLab in it, driven from Python: one JSON command a line on stdin, one JSON answer a line on
// stdout. Ends with stdin, and by itself after LIFE_MS.
//
// node vscode_drive.js NODE_MODULES CHROMIUM

const path = require('node:path')
const readline = require('node:readline')

const [nodeModules, chromiumPath] = process.argv.slice(2)
const { chromium } = require(path.join(nodeModules, 'playwright-core'))

const LIFE_MS = 280_000
const WAIT_MS = 40_000
const STATUS = '.statusbar-item[id$="kruk.status"]'

// Chromium runs as root in containers, and without the others it tries to reach its maker's hosts at every start.
const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

let page

const commands = {
  /** Open a page of the workbench and wait for a line of text in its editor. */
  async open({ url }) {
    await page.goto(url, { waitUntil: 'domcontentloaded' })
    await page.locator('.monaco-editor .view-lines').first().waitFor()
  },

  /** Open any page and wait for an element of it. */
  async visit({ url, selector }) {
    await page.goto(url, { waitUntil: 'domcontentloaded' })
    await page.locator(selector).first().waitFor()
  },

  async click({ selector, n = 0 }) {
    await page.locator(selector).nth(n).click()
  },

  /** The texts of all elements of a kind. */
  async texts({ selector }) {
    return page.locator(selector).allInnerTexts()
  },

  /** Put the cursor behind the last character of the file. */
  async end() {
    await page.locator('.monaco-editor .view-lines').first().click()
    await page.keyboard.press('Control+End')
  },

  /** Type at a person's speed. */
  async type({ text }) {
    for (const character of text) {
      await page.keyboard.press(character === '\n' ? 'Enter' : character)
      await page.waitForTimeout(80 + Math.random() * 40)
    }
  },

  async press({ key }) {
    await page.keyboard.press(key)
  },

  /** The ghost text once it has stayed the same for a moment; '' when there is none before the time is over. */
  async ghost({ ms }) {
    const until = Date.now() + ms
    let before = ''
    while (Date.now() < until) {
      const now = await page.evaluate(ghostText)
      if (now !== '' && now === before) return now
      before = now
      await page.waitForTimeout(200)
    }
    return ''
  },

  /** What the status bar item says, once that matches; the last label when it never does. */
  async status({ pattern, ms }) {
    const wanted = new RegExp(pattern)
    const until = Date.now() + ms
    let label = ''
    while (Date.now() < until) {
      label = (await page.locator(STATUS).getAttribute('aria-label').catch(() => null)) ?? ''
      if (wanted.test(label)) break
      await page.waitForTimeout(100)
    }
    return { label, text: (await page.locator(STATUS).innerText()).trim() }
  },

  /** Click the status bar item and choose an entry of its menu. */
  async choose({ entry }) {
    await page.locator(`${STATUS} a`).click()
    await commands.pick({ text: entry })
  },

  /** The texts of the notifications that contain `part`, with their buttons; waits for the first, [] without one. */
  async notifications({ part, ms = WAIT_MS }) {
    const toasts = page.locator('.notification-toast', { hasText: part })
    await toasts.first().waitFor({ timeout: ms }).catch(() => undefined)
    return toasts.evaluateAll((elements) =>
      elements.map((element) => ({
        text: element.querySelector('.notification-list-item-message').innerText,
        buttons: [...element.querySelectorAll('.notification-list-item-buttons-container .monaco-button')].map(
          (button) => button.innerText,
        ),
      })),
    )
  },

  async pressButton({ name }) {
    await page.locator('.notification-toast .monaco-button', { hasText: name }).click()
  },

  /** Run a command by its title, as from the palette. */
  async run({ title }) {
    await page.keyboard.press('F1')
    await page.locator('.quick-input-widget input.input').fill(`>${title}`)
    await page.locator('.quick-input-list .monaco-list-row', { hasText: title }).first().click()
  },

  /** Choose an entry of the list that is open. */
  async pick({ text }) {
    const focused = page.locator('.quick-input-list .monaco-list-row.focused .label-name')
    const label = async () => (await focused.innerText()).trim().replace(/…$/, '')
    await page.locator('.quick-input-list .monaco-list-row', { hasText: text }).first().waitFor()
    await page.locator('.quick-input-widget input.input').fill(text)
    await until(async () => {
      if ((await label()) === text) return true
      await page.keyboard.press('ArrowDown')
      return false
    }, text)
    await page.keyboard.press('Enter')
    await page.locator('.quick-input-list .monaco-list-row.focused', { hasText: text }).waitFor({ state: 'hidden' })
  },

  /** Choose from Kruk's entries in the editor's own menu, which opens at the cursor. */
  async contextMenu({ entry }) {
    await page.keyboard.press('Shift+F10')
    const item = (text) => page.locator('.monaco-menu .action-menu-item', { hasText: text })
    await item('Kruk').first().hover()
    await item(entry).last().hover()
    await page.keyboard.press('Enter') // a click that follows at once on the opening is not taken for one
  },

  /** Choose from the light bulb's menu. */
  async codeAction({ title }) {
    const row = page.locator('.action-widget .monaco-list-row', { hasText: title }).first()
    await until(async () => {
      // The menu closes when a server has news of the file.
      if (!(await row.isVisible())) await page.keyboard.press('Control+.')
      await page.waitForTimeout(1000)
      return row.isVisible()
    }, title)
    await row.click()
  },

  /** Wait until the status bar counts so many errors. */
  async problems({ n }) {
    const label = page.locator('.statusbar-item[id="status.problems"]')
    await until(async () => Number((await label.innerText()).trim().split(/\s+/)[0]) >= n, 'problems')
  },

  /** Write a question into the chat and send it. */
  async askChat({ text }) {
    const chat = await chatFrame()
    await chat.locator('#question').click()
    for (const character of text) await page.keyboard.press(character, { delay: 10 })
    await page.keyboard.press('Enter')
    await until(async () => (await chat.locator('article.assistant').count()) > 0, 'an answer to begin')
  },

  /** The turns in the chat, once none is being said any more. */
  async chatTurns({ n }) {
    const chat = await chatFrame()
    const turns = chat.locator('article')
    const isDone = async () =>
      (await turns.count()) >= n && (await chat.locator('#turns').getAttribute('aria-busy')) === 'false'
    await until(isDone, `${n} turns`)
    return turns.evaluateAll((articles) =>
      articles.map((article) => ({
        who: article.getAttribute('aria-label'),
        text: article.querySelector('.body').innerText,
        code: [...article.querySelectorAll('pre')].map((pre) => pre.textContent),
        failure: article.querySelector('.failure')?.innerText ?? '',
        elements: [...new Set([...article.querySelectorAll('.body *')].map((found) => found.localName))],
      })),
    )
  },

  /** Press a button of the last code block in the chat; returns what the chat says to it. */
  async chatCode({ button }) {
    const chat = await chatFrame()
    const said = chat.locator('#said')
    await said.evaluate((found) => (found.textContent = ''))
    await chat.locator('article.assistant figure').last().getByText(button, { exact: true }).click()
    await until(async () => (await said.innerText()) !== '', 'the chat to say what it did')
    return said.innerText()
  },

  /** Whether the steps of the walkthrough are done, by their titles. */
  async steps() {
    await page.locator('.getting-started-step').first().waitFor()
    return page.locator('.getting-started-step').evaluateAll((steps) =>
      Object.fromEntries(
        steps.map((step) => [
          step.querySelector('.step-title').innerText.trim(),
          step.querySelector('[role="checkbox"]').getAttribute('aria-checked') === 'true',
        ]),
      ),
    )
  },

  /** Wait until a step of the walkthrough is done. */
  async stepDone({ title }) {
    await until(async () => (await commands.steps())[title], title)
  },

  async openStep({ title }) {
    const step = page.locator('.getting-started-step', { hasText: title })
    if ((await step.getAttribute('aria-expanded')) !== 'true') await step.locator('.step-title').click()
  },

  /** Press a button of the step that is open. */
  async stepButton({ name }) {
    await page.locator('.getting-started-step.expanded .monaco-button', { hasText: name }).click()
  },

  /** Wait for a text in the editor. */
  async untilEditor({ text }) {
    const shown = async () => (await page.locator('.editor-instance .view-lines').first().innerText()).replace(/\u00a0/g, ' ')
    await until(async () => (await shown()).includes(text), text)
  },

  /** Wait until the menu of the status bar item says something, such as the name of a model. */
  async menuSays({ text }) {
    const rows = page.locator('.quick-input-list .monaco-list-row')
    await until(async () => {
      await page.locator(`${STATUS} a`).click()
      await rows.first().waitFor()
      const said = (await rows.allInnerTexts()).join('\n')
      await page.keyboard.press('Escape')
      return said.includes(text)
    }, text)
  },

  /** Put the cursor somewhere, counted from 1. */
  async goTo({ line, column }) {
    await page.keyboard.press('Control+g')
    await page.locator('.quick-input-widget input.input').fill(`:${line}:${column}`)
    await page.keyboard.press('Enter')
  },

  /** Bring the tab of a file to the front. */
  async tab({ name }) {
    await page.locator('.tab', { hasText: name }).first().click()
    await page.locator('.editor-instance .view-lines').first().waitFor()
  },

  /** VS Code's own figure for the extension's activation, in milliseconds. */
  async activation({ name }) {
    const size = page.viewportSize()
    await page.setViewportSize({ ...size, height: 3000 }) // the list has only the rows that can be seen
    await commands.run({ title: 'Developer: Show Running Extensions' })
    const row = page.locator('.runtime-extensions-editor .extension', { hasText: name }).first()
    await row.locator('.activation-time').waitFor()
    const said = await row.locator('.activation-time').innerText()
    await page.setViewportSize(size)
    return said
  },

  /** A picture without messages in front, once everything has been drawn. */
  async picture({ file }) {
    const toasts = page.locator('.notification-toast')
    for (let n = await toasts.count(); n > 0; n--) {
      await toasts.first().hover()
      await toasts.first().locator('.codicon-notifications-clear').click()
    }
    await page.mouse.move(900, 650)
    await page.waitForTimeout(1500)
    await page.screenshot({ path: file })
  },

  async screenshot({ file }) {
    await page.screenshot({ path: file })
  },
}

/** Look again and again until `look` gives true. */
async function until(look, what) {
  const end = Date.now() + WAIT_MS
  while (!(await look().catch(() => false))) {
    if (Date.now() > end) throw new Error(`not within ${WAIT_MS} ms: ${what}`)
    await page.waitForTimeout(100)
  }
}

/** The chat's page, two frames deep among those of other views. */
async function chatFrame() {
  let found
  await until(async () => {
    for (const frame of page.frames()) {
      if ((await frame.locator('#question').count().catch(() => 0)) > 0) found = frame
    }
    return found !== undefined && !found.isDetached()
  }, 'the chat')
  return found
}

/** Runs in the page: the ghost text behind the cursor, and the lines of it below. */
function ghostText() {
  const texts = (selector) =>
    [...document.querySelectorAll(selector)]
      .sort((a, b) => a.getBoundingClientRect().top - b.getBoundingClientRect().top)
      .map((element) => element.textContent.replace(/\u00a0/g, ' '))
  return [texts('.ghost-text-decoration').join(''), ...texts('.suggest-preview-text .view-line')].join('\n')
}

async function main() {
  setTimeout(() => process.exit(3), LIFE_MS).unref()
  const browser = await chromium.launch({ executablePath: chromiumPath, headless: true, args: FLAGS })
  page = await browser.newPage({ viewport: { width: 1340, height: 800 } })
  page.setDefaultTimeout(WAIT_MS)
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const { do: name, ...given } = JSON.parse(line)
    let answer
    try {
      answer = { value: (await commands[name](given)) ?? null }
    } catch (error) {
      answer = { error: `${name}: ${error.message}` }
    }
    process.stdout.write(`${JSON.stringify(answer)}\n`)
  }
  await browser.close()
}

void main()

// A browser with VS Code in it, driven from Python: one JSON command a line on stdin, one JSON answer a line on
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
    await page.locator('.quick-input-list .monaco-list-row', { hasText: entry }).click()
  },

  /** The texts of the notifications that contain `part`, with their buttons; waits for the first. */
  async notifications({ part }) {
    const toasts = page.locator('.notification-toast', { hasText: part })
    await toasts.first().waitFor()
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

  /** Wait for a heading in a page shown by an extension, such as a preview of Markdown. */
  async heading({ text }) {
    const shown = page.frameLocator('iframe.webview').frameLocator('iframe').getByRole('heading', { name: text })
    await shown.waitFor()
  },

  async screenshot({ file }) {
    await page.screenshot({ path: file })
  },
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
  page = await browser.newPage({ viewport: { width: 1280, height: 800 } })
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

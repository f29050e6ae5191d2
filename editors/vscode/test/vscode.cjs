// Stands in for the `vscode` module: what the tests look at is recorded, every other name is an empty class.

const recorded = { commands: new Map(), messages: [], items: [], settings: {}, log: [], providers: new Map(), extensions: new Map() }

class Disposable {
  dispose() {}
}

class MarkdownString {
  value = ''
  appendMarkdown(text) {
    this.value += text
    return this
  }
  appendText(text) {
    this.value += text
    return this
  }
}

class EventEmitter {
  event = () => new Disposable()
  fire() {}
  dispose() {}
}

class LanguageModelTextPart {
  constructor(value) {
    this.value = value
  }
}

const logged = (text) => recorded.log.push(text)

const known = {
  recorded,
  version: '1.91.0',
  Disposable,
  MarkdownString,
  EventEmitter,
  LanguageModelTextPart,
  LanguageModelChatMessageRole: { User: 1, Assistant: 2 },
  lm: {
    registerLanguageModelChatProvider(vendor, provider) {
      recorded.providers.set(vendor, provider)
      return new Disposable()
    },
  },
  extensions: { getExtension: (id) => recorded.extensions.get(id) },
  StatusBarAlignment: { Left: 1, Right: 2 },
  ThemeColor: class {
    constructor(id) {
      this.id = id
    }
  },
  Uri: { joinPath: (base, ...parts) => ({ fsPath: [base, ...parts].join('/') }) },
  commands: {
    registerCommand(id, action) {
      recorded.commands.set(id, action)
      return new Disposable()
    },
    executeCommand: async (id, ...args) => recorded.commands.get(id)?.(...args),
  },
  window: {
    createOutputChannel: () => ({ info: logged, warn: logged, error: logged, debug: logged, show() {}, dispose() {} }),
    createStatusBarItem() {
      const item = { show() {}, dispose() {} }
      recorded.items.push(item)
      return item
    },
    onDidChangeTextEditorSelection: () => ({ dispose() {} }),
    onDidChangeActiveTextEditor: () => new Disposable(),
    registerWebviewViewProvider: () => new Disposable(),
    async showErrorMessage(text, ...buttons) {
      recorded.messages.push({ text, buttons })
      return undefined
    },
  },
  workspace: {
    getConfiguration: (section) => ({
      get: (name) => recorded.settings[section === undefined ? name : `${section}.${name}`],
    }),
    onDidChangeConfiguration: () => new Disposable(),
    onDidGrantWorkspaceTrust: () => new Disposable(),
    get isTrusted() {
      return recorded.isTrusted ?? true
    },
  },
}

module.exports = new Proxy(known, { get: (target, name) => (name in target ? target[name] : class {}) })

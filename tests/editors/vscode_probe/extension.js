// Another extension that asks Kruk's model by VS Code's own interface. The answer goes to a file in the workspace.

const vscode = require('vscode')

exports.activate = ({ subscriptions }) => {
  subscriptions.push(vscode.commands.registerCommand('probe.ask', ask))
}

async function ask() {
  const told = {}
  try {
    const [model] = await vscode.lm.selectChatModels({ vendor: 'kruk' })
    told.name = model?.name
    told.tokens = await model.countTokens('def add(a, b):')
    const question = vscode.LanguageModelChatMessage.User('Say hello in one word.')
    const { text } = await model.sendRequest([question], {}, new vscode.CancellationTokenSource().token)
    told.text = ''
    for await (const piece of text) told.text += piece
  } catch (error) {
    told.error = String(error)
  }
  const [folder] = vscode.workspace.workspaceFolders
  await vscode.workspace.fs.writeFile(vscode.Uri.joinPath(folder.uri, 'told.json'), Buffer.from(JSON.stringify(told)))
}

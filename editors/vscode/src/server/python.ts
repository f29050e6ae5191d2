/** The Python environment that is active in this window, as the Python extension knows it. */

import * as path from 'node:path'
import * as vscode from 'vscode'

const EXTENSION = 'ms-python.python'
/** The server must not wait long for somebody else's extension. */
const PATIENCE_MS = 3000

interface PythonApi {
  readonly environments: {
    getActiveEnvironmentPath(): { readonly path: string }
    resolveEnvironment(at: { readonly path: string }): Promise<
      { readonly executable: { readonly uri?: vscode.Uri } } | undefined
    >
    onDidChangeActiveEnvironmentPath(listener: () => void): vscode.Disposable
  }
}

/** The interpreter, or undefined. What a workspace that is not trusted suggests is not looked at. */
export async function activePython(): Promise<string | undefined> {
  if (!vscode.workspace.isTrusted) return undefined
  const late = new Promise<undefined>((resolve) => setTimeout(resolve, PATIENCE_MS, undefined).unref())
  return await Promise.race([interpreter(), late]).catch(() => undefined)
}

/** Call when another environment becomes active; of no effect without the Python extension. */
export async function onOtherPython(listener: () => void): Promise<vscode.Disposable | undefined> {
  const api = await pythonApi().catch(() => undefined)
  return api?.environments.onDidChangeActiveEnvironmentPath(listener)
}

/** The folder with the programs of an interpreter's environment. */
export function programsOf(interpreter: string | undefined): string[] {
  return interpreter !== undefined && path.isAbsolute(interpreter) ? [path.dirname(interpreter)] : []
}

async function interpreter(): Promise<string | undefined> {
  const environments = (await pythonApi())?.environments
  if (environments === undefined) return undefined
  return (await environments.resolveEnvironment(environments.getActiveEnvironmentPath()))?.executable.uri?.fsPath
}

async function pythonApi(): Promise<PythonApi | undefined> {
  return await vscode.extensions.getExtension<PythonApi>(EXTENSION)?.activate()
}

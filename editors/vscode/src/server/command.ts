/** Which program starts the server: the user's setting, else `kruk` where it is likely to be. */

import * as path from 'node:path'

/** What the answer depends on, so that a test can stand on another machine. */
export interface Host {
  readonly platform: NodeJS.Platform
  readonly home: string
  /** The environment's PATH and, on Windows, PATHEXT. */
  readonly path: string
  readonly pathExt: string
  /** Folders to look in before PATH, such as that of the active Python environment, and after it. */
  readonly before: readonly string[]
  readonly after: readonly string[]
  /** Whether the path is a file that may be executed. */
  isExecutable(file: string): boolean
}

export interface Found {
  readonly command: string
  readonly args: readonly string[]
  /** Batch files on Windows start only through the shell; command and args are quoted for it. */
  readonly shell: boolean
}

export interface Missing {
  /** One sentence for the user. */
  readonly missing: string
}

export const SETTING = 'kruk.server.command'
const DEFAULT: readonly [string, ...string[]] = ['kruk', 'serve']

/** Find the program that the value of `kruk.server.command` means. */
export function serverCommand(setting: unknown, host: Host): Found | Missing {
  if (setting !== undefined && setting !== null && !isTexts(setting)) {
    return { missing: `The setting ${SETTING} must be a list of texts, such as ["/path/to/kruk", "serve"].` }
  }
  const [name, ...args] = setting?.[0] === undefined ? DEFAULT : ([...setting] as [string, ...string[]])
  const paths = host.platform === 'win32' ? path.win32 : path.posix
  const wanted = /^~[\\/]/.test(name) ? paths.join(host.home, name.slice(2)) : name

  if (paths.isAbsolute(wanted)) {
    const file = withExtension(wanted, host)
    if (file === undefined) return { missing: `The server was not found: no program at ${wanted}.` }
    return found(file, args, host)
  }
  if (paths.basename(wanted) !== wanted) {
    return { missing: `The program in ${SETTING} must be a full path or a name on PATH, not ${wanted}.` }
  }
  for (const folder of [...host.before, ...host.path.split(paths.delimiter), ...host.after]) {
    // A relative entry would let the folder that happens to be open choose the program.
    const file = paths.isAbsolute(folder) ? withExtension(paths.join(folder, wanted), host) : undefined
    if (file !== undefined) return found(file, args, host)
  }
  const python = host.before.length > 0 ? 'neither in the active Python environment nor' : 'not'
  return { missing: `The server was not found: ${wanted} is ${python} on PATH.` }
}

/** The same program with other arguments, such as `models list`; undefined when it is not `kruk` that is started. */
export function withArguments(found: Found, args: readonly string[]): Found | undefined {
  const at = found.args.indexOf('serve')
  return at < 0 ? undefined : { ...found, args: [...found.args.slice(0, at), ...args] }
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'string' && item !== '')
}

/** The file itself or, on Windows, the first one that PATHEXT completes. */
function withExtension(file: string, host: Host): string | undefined {
  const extensions = host.platform === 'win32' ? host.pathExt.split(';').filter((extension) => extension !== '') : []
  const complete = host.platform !== 'win32' || path.win32.extname(file) !== ''
  const candidates = [...(complete ? [file] : []), ...extensions.map((extension) => file + extension.toLowerCase())]
  return candidates.find((candidate) => host.isExecutable(candidate))
}

function found(command: string, args: readonly string[], host: Host): Found | Missing {
  const shell = host.platform === 'win32' && /\.(bat|cmd)$/i.test(command)
  if (!shell) return { command, args, shell }
  const words = [command, ...args]
  if (words.some((word) => /["%]/.test(word))) {
    return { missing: `The batch file ${command} cannot be started with a " or a % in its path or arguments.` }
  }
  const [file, ...rest] = words.map((word) => (/^[\w./\\:=-]+$/.test(word) ? word : `"${word}"`))
  return { command: file ?? command, args: rest, shell }
}

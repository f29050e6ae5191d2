/** A program that runs to its end, line by line, and can be stopped with all that it started. */

import { type ChildProcess, spawn } from 'node:child_process'
import { homedir } from 'node:os'
import { createInterface } from 'node:readline'

export interface Program {
  readonly command: string
  readonly args: readonly string[]
  readonly shell?: boolean
  readonly env?: Readonly<Record<string, string>>
}

export interface Listener {
  out?(line: string): void
  err?(line: string): void
}

export interface Stop {
  readonly isCancellationRequested: boolean
  onCancellationRequested(stop: () => void): { dispose(): void }
}

/** How long a program may take to end by itself when it is told to stop. */
const PATIENCE_MS = 4000

/** Run a program to its end and return its exit code; rejects when it cannot be started. Null: it was stopped. */
export function run(program: Program, listener: Listener, stop: Stop): Promise<number | null> {
  return new Promise((resolve, reject) => {
    if (stop.isCancellationRequested) return resolve(null)
    const child = spawn(program.command, [...program.args], {
      cwd: homedir(), // not in the workspace: `python -m` looks for modules in the folder it is started in first
      env: { ...process.env, PYTHONUNBUFFERED: '1', PYTHONUTF8: '1', ...program.env },
      stdio: ['ignore', 'pipe', 'pipe'],
      shell: program.shell ?? false,
      detached: process.platform !== 'win32', // a group of its own, to be stopped as one
      windowsHide: true,
    })
    createInterface({ input: child.stdout }).on('line', (line) => listener.out?.(line))
    createInterface({ input: child.stderr }).on('line', (line) => listener.err?.(line))
    let timer: NodeJS.Timeout | undefined
    const stopping = stop.onCancellationRequested(() => {
      signal(child, 'SIGINT')
      timer = setTimeout(() => signal(child, 'SIGKILL'), PATIENCE_MS)
    })
    const ended = (): void => {
      clearTimeout(timer)
      stopping.dispose()
    }
    child.on('error', (error) => {
      ended()
      reject(error)
    })
    child.on('close', (code) => {
      ended()
      resolve(stop.isCancellationRequested ? null : (code ?? 1))
    })
  })
}

function signal(child: ChildProcess, name: NodeJS.Signals): void {
  if (child.pid === undefined) return
  try {
    if (process.platform === 'win32') spawn('taskkill', ['/pid', String(child.pid), '/T', '/F'], { windowsHide: true })
    else process.kill(-child.pid, name)
  } catch {
    // It has ended meanwhile.
  }
}

/** A Python environment of our own, made when the user asks for it, with the server in it. */

import { rm } from 'node:fs/promises'
import * as path from 'node:path'

import { run, type Stop } from './run'

export interface Making {
  /** Where the environment is to be. */
  readonly folder: string
  /** What pip is to install: a name, with a version perhaps, a folder or a wheel. */
  readonly package: string
  /** The interpreter of the active environment, tried first. */
  readonly python: string | undefined
  say(line: string): void
  step(what: string): void
}

/** llama.cpp without the parts that Kruk does not use takes two thirds of the time to compile. */
const CMAKE_ARGS = ['LLAVA_BUILD', 'LLAMA_BUILD_TOOLS', 'LLAMA_BUILD_TESTS', 'LLAMA_BUILD_EXAMPLES', 'LLAMA_BUILD_SERVER']
  .concat('LLAMA_CURL')
  .map((name) => `-D${name}=OFF`)
  .join(' ')

const IS_NEW_ENOUGH = 'import sys, venv; sys.exit(sys.version_info < (3, 10))'

/** The folder of an environment's programs. */
export function programs(folder: string): string {
  return path.join(folder, process.platform === 'win32' ? 'Scripts' : 'bin')
}

/** Make the environment; false when it was stopped, and nothing is left of it then. Throws a sentence for the user. */
export async function make(making: Making, stop: Stop): Promise<boolean> {
  try {
    if (await tryToMake(making, stop)) return true
  } catch (error) {
    await rm(making.folder, { recursive: true, force: true })
    throw error
  }
  await rm(making.folder, { recursive: true, force: true })
  return false
}

async function tryToMake(making: Making, stop: Stop): Promise<boolean> {
  making.step('looking for Python')
  const python = await findPython(making, stop)
  if (stop.isCancellationRequested) return false
  if (python === undefined) {
    throw new Error('No Python 3.10 or newer was found. Install one from python.org or your system, then try again.')
  }
  making.step('making an environment')
  if (!(await passes(making, [...python, '-m', 'venv', '--clear', making.folder], 'The environment', stop))) return false
  making.step(`installing ${making.package}`)
  const pip = [path.join(programs(making.folder), 'python'), '-m', 'pip', '--disable-pip-version-check', '--no-input']
  const install = [...pip, 'install', '--progress-bar', 'off', making.package]
  return await passes(making, install, `The package ${making.package}`, stop)
}

/** Run one step; false when it was stopped. */
async function passes(making: Making, words: readonly string[], what: string, stop: Stop): Promise<boolean> {
  const [command = '', ...args] = words
  making.say(`> ${words.join(' ')}`)
  let last = ''
  const line = (text: string): void => {
    making.say(text)
    if (text.trim() === '') return
    last = text.trim()
    making.step(last.length > 60 ? `${last.slice(0, 59)}…` : last)
  }
  const env = process.env['CMAKE_ARGS'] === undefined ? { CMAKE_ARGS } : {}
  const code = await run({ command, args, env }, { out: line, err: line }, stop)
  if (code !== null && code !== 0) throw new Error(`${what} could not be installed: ${last || `exit code ${code}`}`)
  return code === 0
}

async function findPython(making: Making, stop: Stop): Promise<readonly string[] | undefined> {
  const names = process.platform === 'win32' ? [['py', '-3'], ['python']] : [['python3'], ['python']]
  for (const words of [...(making.python === undefined ? [] : [[making.python]]), ...names]) {
    const [command = '', ...args] = words
    const code = await run({ command, args: [...args, '-c', IS_NEW_ENOUGH] }, {}, stop).catch(() => 1)
    if (code === 0) return words
  }
  return undefined
}

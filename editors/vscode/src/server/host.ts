/** This machine, as the search for the server sees it. */

import { accessSync, constants, statSync } from 'node:fs'
import { homedir } from 'node:os'

import type { Host } from './command'

export function host(before: readonly string[], after: readonly string[]): Host {
  return {
    platform: process.platform,
    home: homedir(),
    path: process.env['PATH'] ?? '',
    pathExt: process.env['PATHEXT'] ?? '.COM;.EXE;.BAT;.CMD',
    before,
    after,
    isExecutable(file) {
      try {
        accessSync(file, constants.X_OK)
        return statSync(file).isFile()
      } catch {
        return false
      }
    },
  }
}

/** What `kruk models` says to scripts, read and put in words. */

export interface Model {
  readonly id: string
  readonly title: string
  readonly file: string
  readonly bytes: number | undefined
  readonly memoryBytes: number | undefined
  readonly isInstruct: boolean
  readonly fillsIn: boolean
  readonly licence: string
  readonly isCommercial: boolean
  readonly isInstalled: boolean
}

/** Read the answer to `kruk models list --json`. Throws when it is none. */
export function readModels(text: string): Model[] {
  const rows: unknown = JSON.parse(text)
  if (!Array.isArray(rows)) throw new Error('`kruk models list` gave no list.')
  return rows.map((row: Record<string, unknown>) => ({
    id: String(row['id']),
    title: typeof row['title'] === 'string' ? row['title'] : String(row['id']),
    file: String(row['file'] ?? ''),
    bytes: number(row['size_bytes']),
    memoryBytes: number(row['memory_bytes']),
    isInstruct: row['kind'] === 'instruct',
    fillsIn: row['fim'] !== false,
    licence: String(row['licence'] ?? ''),
    isCommercial: row['commercial'] !== false,
    isInstalled: row['installed'] === true,
  }))
}

/** What one should know before choosing a model. */
export function about(model: Model): string {
  const does = model.isInstruct ? (model.fillsIn ? 'completes and chats' : 'chats') : 'completes'
  return [
    model.bytes === undefined ? '' : size(model.bytes),
    model.memoryBytes === undefined ? '' : `${size(model.memoryBytes)} RAM`,
    model.title === model.id ? '' : does,
    model.licence,
    model.isCommercial ? '' : 'no commercial use',
  ]
    .filter((part) => part !== '')
    .join(' · ')
}

export interface Progress {
  readonly stage: string
  readonly done: number
  readonly total: number | undefined
  readonly text: string
}

/** Read one line of `kruk models pull --json`; undefined when it is something else. */
export function readProgress(line: string): Progress | undefined {
  let row: unknown
  try {
    row = JSON.parse(line)
  } catch {
    return undefined
  }
  if (typeof row !== 'object' || row === null || !('stage' in row)) return undefined
  const { stage, done_bytes, total_bytes, text } = row as Record<string, unknown>
  return { stage: String(stage), done: number(done_bytes) ?? 0, total: number(total_bytes), text: String(text ?? '') }
}

/** Say what a download is doing. */
export function doing({ stage, done, total, text }: Progress): string {
  switch (stage) {
    case 'source':
      return `from ${text}`
    case 'failed':
      return `no luck with ${text}`
    case 'download':
      return total === undefined ? size(done) : `${size(done)} of ${size(total)}`
    case 'verify':
      return 'checking its hash'
    default:
      return text
  }
}

export function size(bytes: number): string {
  if (bytes >= 1e9) return `${(bytes / 1e9).toFixed(1)} GB`
  return bytes >= 1e6 ? `${Math.round(bytes / 1e6)} MB` : `${Math.round(bytes / 1e3)} kB`
}

function number(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isFinite(value) ? value : undefined
}

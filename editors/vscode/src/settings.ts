/** The settings that are the server's business. */

const EXTENSION_ONLY = new Set(['server', 'trace'])

/** The `kruk` section as plain JSON, without what the extension alone reads. */
export function serverSection(section: unknown): Record<string, unknown> {
  if (typeof section !== 'object' || section === null) return {}
  const plain = JSON.parse(JSON.stringify(section)) as Record<string, unknown>
  return Object.fromEntries(Object.entries(plain).filter(([name]) => !EXTENSION_ONLY.has(name)))
}

/** A list with one more name, or without it when it was there. */
export function toggled(names: readonly string[], name: string): string[] {
  return names.includes(name) ? names.filter((other) => other !== name) : [...names, name]
}

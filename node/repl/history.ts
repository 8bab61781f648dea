import { randomBytes } from 'node:crypto'
import { readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'

/** What a person scrolls back through, at most. */
export const MAX_HISTORY_LINES = 1_000
/** A pasted novel is not remembered. */
const MAX_LINE_CHARS = 2_000
/** Larger files are not ours. */
const MAX_FILE_BYTES = 4 * 1024 * 1024
const FILE_MODE = 0o600

/** Newest first; empty when there is none or it cannot be read. */
export function loadHistory(path: string): string[] {
  try {
    if (statSync(path).size > MAX_FILE_BYTES) return []
    return readFileSync(path, 'utf8').split('\n').filter((line) => line !== '').slice(-MAX_HISTORY_LINES).reverse()
  } catch {
    return []
  }
}

/** Whether a line is worth keeping, and may be: one that begins with a space is meant to be forgotten. */
export function isKept(line: string): boolean {
  return line !== '' && !line.startsWith(' ') && line.length <= MAX_LINE_CHARS
}

/** Replaces the file in one step, readable by its owner alone. `lines` are newest first. Failing is no harm: false. */
export function saveHistory(path: string, lines: readonly string[]): boolean {
  const kept = lines.filter(isKept).slice(0, MAX_HISTORY_LINES).reverse()
  const aside = `${path}.${randomBytes(4).toString('hex')}.tmp`
  try {
    writeFileSync(aside, kept.map((line) => `${line}\n`).join(''), { mode: FILE_MODE, flag: 'wx' })
    renameSync(aside, path)
    return true
  } catch {
    rmSync(aside, { force: true })
    return false
  }
}

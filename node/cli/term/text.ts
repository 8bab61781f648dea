import { stripVTControlCharacters } from 'node:util'
import stringWidth from 'string-width'

const ELLIPSIS = '…'
const PRINTABLE_ASCII = /^[\x20-\x7e]*$/
const segmenter = new Intl.Segmenter()

/** Columns a text takes on a terminal: wide characters take two, combining ones none, colours none. */
export function width(text: string): number {
  return PRINTABLE_ASCII.test(text) ? text.length : stringWidth(text)
}

/**
 * Text from elsewhere (peers, jobs, files) as one harmless line: escape sequences, control and direction-changing
 * characters would let a stranger repaint our terminal.
 */
export function clean(text: string): string {
  return stripVTControlCharacters(text).replace(/\s+/gu, ' ').replace(/[\p{Cc}\u2028-\u202e\u2066-\u2069\u200e\u200f\u061c]/gu, '')
}

/** Cuts to `columns`, with `…` in place of what is left out. */
export function truncate(text: string, columns: number, at: 'end' | 'middle' = 'end'): string {
  if (width(text) <= columns) return text
  if (columns < 1) return ''
  if (columns === 1) return ELLIPSIS
  const parts = [...segmenter.segment(text)].map((part) => part.segment)
  if (at === 'end') return take(parts, columns - 1) + ELLIPSIS
  const tailColumns = Math.floor((columns - 1) / 2)
  const tail = take(parts.toReversed(), tailColumns, true)
  return take(parts, columns - 1 - width(tail)) + ELLIPSIS + tail
}

function take(parts: readonly string[], columns: number, reversed = false): string {
  const taken: string[] = []
  let used = 0
  for (const part of parts) {
    used += width(part)
    if (used > columns) break
    taken.push(part)
  }
  return (reversed ? taken.toReversed() : taken).join('')
}

/** Fills up with spaces; never cuts. */
export function pad(text: string, columns: number, align: 'left' | 'right' = 'left'): string {
  const spaces = ' '.repeat(Math.max(0, columns - width(text)))
  return align === 'left' ? text + spaces : spaces + text
}

/** Breaks at spaces into lines of at most `columns`; a word that is longer is cut into pieces. `hanging` indents all but the first. */
export function wrap(text: string, columns: number, hanging = ''): string[] {
  const lines: string[] = []
  let line = ''
  const room = (): number => Math.max(1, columns - (lines.length > 0 ? width(hanging) : 0))
  const flush = (): void => { lines.push(lines.length > 0 ? hanging + line : line); line = '' }
  for (let word of text.split(' ')) {
    if (line !== '' && width(line) + 1 + width(word) > room()) flush()
    while (line === '' && width(word) > room()) {
      const head = take([...segmenter.segment(word)].map((part) => part.segment), room())
      if (head === '') break
      line = head
      word = word.slice(head.length)
      flush()
    }
    line = line === '' ? word : `${line} ${word}`
  }
  if (line !== '' || lines.length === 0) flush()
  return lines
}

/** `1 task`, `2 tasks`. */
export function plural(count: number, one: string, many = `${one}s`): string {
  return `${groupDigits(count)} ${count === 1 ? one : many}`
}

/** `12345` -> `12,345`. */
export function groupDigits(value: number): string {
  return String(value).replace(/\B(?=(\d{3})+(?!\d))/g, ',')
}

import { pad, truncate, width } from './text.ts'
import type { Style } from './paint.ts'
import type { View } from './view.ts'

export interface Column {
  title: string
  align?: 'left' | 'right'
  /** Narrowest useful width; without it the column is not cut while others can be. */
  min?: number
  /** Lower ones are left out first in a narrow window; without it the column stays. */
  keep?: number
  cut?: 'end' | 'middle'
}
export type Cell = string | { text: string, style: Style }

const GAP = '  '

function textOf(cell: Cell | undefined): string {
  return cell === undefined ? '' : typeof cell === 'string' ? cell : cell.text
}

/**
 * Lines of a table that fit `view.width`: columns shrink to their `min`, widest first, then those of least `keep` are
 * left out, and at last whatever is left is cut.
 */
export function table(columns: readonly Column[], rows: readonly (readonly Cell[])[], view: View): string[] {
  const natural = columns.map((column, i) => Math.max(width(column.title), ...rows.map((row) => width(textOf(row[i])))))
  const shown = fit(columns, natural, view.width)
  const line = (cells: readonly (Cell | undefined)[]): string => shown.map(({ index, columns: room }, place) => {
    const cell = cells[index]
    const column = columns[index]
    const cut = truncate(textOf(cell), room, column?.cut)
    const last = place === shown.length - 1
    const padded = last && column?.align !== 'right' ? cut : pad(cut, room, column?.align)
    return typeof cell === 'object' ? view.paint(cell.style, padded) : padded
  }).join(GAP).trimEnd()
  return [line(columns.map((column) => ({ text: column.title, style: 'dim' }))), ...rows.map(line)]
}

interface Shown { index: number, columns: number }

function fit(columns: readonly Column[], natural: readonly number[], room: number): Shown[] {
  let shown: Shown[] = columns.map((_, index) => ({ index, columns: natural[index] ?? 0 }))
  const total = (list: readonly Shown[]): number => list.reduce((sum, one) => sum + one.columns, GAP.length * (list.length - 1))
  const least = ({ index }: Shown): number => Math.min(natural[index] ?? 0, columns[index]?.min ?? Number.POSITIVE_INFINITY)
  for (;;) {
    const smallest = total(shown.map((one) => ({ ...one, columns: least(one) })))
    if (smallest <= room) break
    const candidates = shown.filter(({ index }) => columns[index]?.keep !== undefined)
    const drop = candidates.toSorted((a, b) => (columns[a.index]?.keep ?? 0) - (columns[b.index]?.keep ?? 0))[0]
    if (drop === undefined) return cutLast(shown.map((one) => ({ ...one, columns: least(one) })), smallest - room)
    shown = shown.filter((one) => one !== drop)
  }
  for (let over = total(shown) - room; over > 0; over--) {
    const widest = shown.filter((one) => one.columns > least(one)).toSorted((a, b) => b.columns - a.columns)[0]
    if (widest === undefined) break
    widest.columns--
  }
  return shown
}

/** Nothing can be left out any more: the last columns give way. */
function cutLast(shown: Shown[], over: number): Shown[] {
  let left = over
  for (const one of shown.toReversed()) {
    const cut = Math.min(left, one.columns)
    one.columns -= cut
    left -= cut
  }
  return shown.filter((one) => one.columns > 0)
}

/** `label  value` lines, labels aligned; values that are too long are cut. */
export function fields(pairs: readonly (readonly [string, Cell])[], view: View): string[] {
  const labelColumns = Math.max(...pairs.map(([label]) => width(label)))
  return pairs.map(([label, cell]) => {
    const text = truncate(textOf(cell), Math.max(1, view.width - labelColumns - GAP.length))
    return view.paint('dim', pad(label, labelColumns)) + GAP + (typeof cell === 'object' ? view.paint(cell.style, text) : text)
  })
}

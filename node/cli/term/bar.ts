import type { View } from './view.ts'

const EIGHTHS = ['', '▏', '▎', '▍', '▌', '▋', '▊', '▉']

/** A progress bar of exactly `columns`; `fraction` from 0 to 1. */
export function bar(fraction: number, columns: number, view: View): string {
  const bounded = Math.min(1, Math.max(0, Number.isFinite(fraction) ? fraction : 0))
  const eighths = Math.floor(bounded * columns * 8)
  const full = '█'.repeat(Math.floor(eighths / 8)) + (EIGHTHS[eighths % 8] ?? '')
  return view.paint('ember', full) + view.paint('dim', '░'.repeat(columns - full.length))
}

/** `0.474` -> `47 %`; 100 % only when nothing is left. */
export function percent(fraction: number): string {
  return `${Math.floor(Math.min(1, Math.max(0, fraction)) * 100)} %`
}

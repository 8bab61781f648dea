import { plain } from './paint.ts'
import type { Paint } from './paint.ts'

/** What a rendering may depend on: the window, the colours and the time. Same view and data, same lines. */
export interface View {
  /** Columns that a line may take. */
  width: number
  paint: Paint
  nowWallMs: number
}

export const DEFAULT_WIDTH = 100
const MIN_WIDTH = 20
const MAX_WIDTH = 1000

export function viewOf(columns: number | undefined, paint: Paint = plain, nowWallMs: number = Date.now()): View {
  const width = columns === undefined || columns <= 0 ? DEFAULT_WIDTH : columns
  return { width: Math.min(MAX_WIDTH, Math.max(MIN_WIDTH, width)), paint, nowWallMs }
}

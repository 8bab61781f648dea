import { formatDuration, SECOND_MS } from '../../../src/units.ts'

/** `3 m 2 s ago`, `just now`, `in 5 s`. */
export function relative(wallMs: number, nowWallMs: number): string {
  const ms = nowWallMs - wallMs
  if (Math.abs(ms) < SECOND_MS) return 'just now'
  const whole = formatDuration(Math.floor(Math.abs(ms) / SECOND_MS) * SECOND_MS).replace('.0', '')
  return ms > 0 ? `${whole} ago` : `in ${whole}`
}

/** Local time of day, `14:03:22`. */
export function clock(wallMs: number): string {
  return new Date(wallMs).toTimeString().slice(0, 8)
}

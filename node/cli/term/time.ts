import { DAY_MS, formatDuration, HOUR_MS, MINUTE_MS, SECOND_MS } from '../../../src/units.ts'

/** `3 m ago`, `just now`, `in 5 s`: as coarse as people speak. */
export function relative(wallMs: number, nowWallMs: number): string {
  const ms = nowWallMs - wallMs
  const apart = Math.abs(ms)
  if (apart < SECOND_MS) return 'just now'
  const unit = [DAY_MS, HOUR_MS, MINUTE_MS, SECOND_MS].find((unit) => apart >= unit) ?? SECOND_MS
  const text = duration(Math.floor(apart / unit) * unit)
  return ms > 0 ? `${text} ago` : `in ${text}`
}

/** As `formatDuration`, without a second part that is nothing: `1 h`, not `1 h 0 m`. */
export function duration(ms: number): string {
  return formatDuration(ms).replace(/ 0 [smh]$/, '').replace(/\.0 s$/, ' s')
}

/** Local time of day, `14:03:22`. */
export function clock(wallMs: number): string {
  return new Date(wallMs).toTimeString().slice(0, 8)
}

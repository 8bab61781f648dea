import type { SharePolicy } from '../../src/documents/share.ts'

const DAYS = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat']

function formatMinute(minute: number): string {
  return `${String(Math.floor(minute / 60)).padStart(2, '0')}:${String(minute % 60).padStart(2, '0')}`
}

/** `[1,2,3,4,5]` -> `mon-fri`; two days apart are joined by a plus. */
function formatDays(days: readonly number[]): string {
  // Sunday ends the week, so that sat+sun stand together
  const ordered = [...new Set(days.map((day) => (day + 6) % 7))].sort((a, b) => a - b)
  const runs: number[][] = []
  for (const day of ordered) {
    const run = runs.at(-1)
    if (run?.at(-1) === day - 1) run.push(day)
    else runs.push([day])
  }
  const name = (day: number | undefined): string => DAYS[((day ?? 0) + 1) % 7] ?? ''
  return runs.map((run) => run.length > 2 ? `${name(run[0])}-${name(run.at(-1))}` : run.map(name).join('+')).join('+')
}

/** What `parseHours` of the configuration reads, several apart by commas. */
export function formatHours(hours: SharePolicy['hours']): string {
  if (hours.length === 0) return 'always'
  return hours.map(({ days, fromMinute, toMinute }) => {
    const span = `${formatMinute(fromMinute)}-${formatMinute(toMinute)}`
    return days === undefined ? span : `${formatDays(days)} ${span}`
  }).join(', ')
}

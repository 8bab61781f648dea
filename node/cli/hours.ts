import type { SharePolicy } from '../../src/market/share.ts'

const DAYS = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat']

function formatMinute(minute: number): string {
  return `${String(Math.floor(minute / 60)).padStart(2, '0')}:${String(minute % 60).padStart(2, '0')}`
}

/** What `parseHours` of the configuration reads, several apart by commas. */
export function formatHours(hours: SharePolicy['hours']): string {
  if (hours.length === 0) return 'always'
  return hours.map(({ days, fromMinute, toMinute }) => {
    const span = `${formatMinute(fromMinute)}-${formatMinute(toMinute)}`
    return days === undefined ? span : `${days.map((day) => DAYS[day] ?? '').join('+')} ${span}`
  }).join(', ')
}

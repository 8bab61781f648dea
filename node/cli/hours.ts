import type { SharePolicy } from '../../src/market/share.ts'
import { UsageError } from './usage-error.ts'

type Hours = SharePolicy['hours'][number]

const DAYS = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat']
const HINT = 'Write for instance "22:00-08:00", "mon-fri 18:00-07:30, sat-sun 00:00-24:00", or "always"'
const DAY_MINUTES = 1440

function wrong(text: string): UsageError {
  return new UsageError('E_SHARE_VALUE', `"${text}" are not hours`, HINT)
}

function parseMinute(text: string, whole: string): number {
  const match = /^(\d{1,2}):(\d{2})$/.exec(text)
  const minute = match === null ? Number.NaN : Number(match[1]) * 60 + Number(match[2])
  if (match === null || Number(match[2]) > 59 || minute > DAY_MINUTES) throw wrong(whole)
  return minute
}

function parseDays(text: string, whole: string): number[] {
  const days: number[] = []
  for (const part of text.split('+')) {
    const [from, to] = part.split('-').map((day) => DAYS.indexOf(day.slice(0, 3).toLowerCase()))
    if (from === undefined || from === -1 || to === -1) throw wrong(whole)
    for (let day = from; ; day = (day + 1) % DAYS.length) {
      days.push(day)
      if (day === (to ?? from)) break
    }
  }
  return [...new Set(days)].sort((a, b) => a - b)
}

/** `mon-fri 22:00-08:00, sat+sun 00:00-24:00`; `always` is no limit. Throws E_SHARE_VALUE. */
export function parseHours(text: string): Hours[] {
  if (text.trim() === 'always' || text.trim() === 'none') return []
  return text.split(',').map((part) => {
    const words = part.trim().split(/\s+/)
    const span = words.at(-1)?.split('-')
    if (words.length > 2 || span?.length !== 2) throw wrong(text)
    const hours: Hours = { fromMinute: parseMinute(span[0] ?? '', text), toMinute: parseMinute(span[1] ?? '', text) }
    if (hours.fromMinute === DAY_MINUTES) throw wrong(text)
    return words.length === 2 ? { ...hours, days: parseDays(words[0] ?? '', text) } : hours
  })
}

function formatMinute(minute: number): string {
  return `${String(Math.floor(minute / 60)).padStart(2, '0')}:${String(minute % 60).padStart(2, '0')}`
}

/** What `parseHours` reads. */
export function formatHours(hours: readonly Hours[]): string {
  if (hours.length === 0) return 'always'
  return hours.map(({ days, fromMinute, toMinute }) => {
    const span = `${formatMinute(fromMinute)}-${formatMinute(toMinute)}`
    return days === undefined ? span : `${days.map((day) => DAYS[day] ?? '').join('+')} ${span}`
  }).join(', ')
}

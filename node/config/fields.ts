import { multiaddr } from '@multiformats/multiaddr'
import type { z } from 'zod'
import { reading, shown } from '../../src/job/spec-fields.ts'
import type { SharePolicy } from '../../src/documents/share.ts'
import { HearthError } from '../../src/errors.ts'
import { formatRate, parseRate } from '../../src/units.ts'

/** Fields that only a configuration has. */

/** Stands in `network.listen` for `network.port`. */
export const PORT_PLACEHOLDER = '{port}'

function isMultiaddr(text: string): boolean {
  try {
    multiaddr(text)
    return true
  } catch {
    return false
  }
}

/** `1.2.3.4:4150` -> `/ip4/1.2.3.4/tcp/4150`: what people write first. */
function addressHint(text: string, example: string): string {
  const match = /^(?:tcp:\/\/)?(\d+\.\d+\.\d+\.\d+|\[[0-9a-f:]+\]|[a-z0-9.-]+):(\d+)$/i.exec(text)
  const [, host = '', port = ''] = match ?? []
  if (match === null) return `Write a multiaddr, such as ${example}`
  const kind = host.startsWith('[') ? 'ip6' : /^[\d.]+$/.test(host) ? 'ip4' : 'dns'
  return `Did you mean "/${kind}/${host.replace(/^\[|\]$/g, '')}/tcp/${port}"?`
}

/** A multiaddr with TCP. With `withPeer` it must end in `/p2p/PEERID`. */
export function address(example: string, withPeer = false): z.ZodType<string> {
  return reading<string>((value) => {
    if (typeof value !== 'string') return { fault: 'TYPE', message: `must be an address, not ${shown(value)}`, hint: `Write a multiaddr, such as ${example}` }
    const probe = value.replace(PORT_PLACEHOLDER, '0')
    if (!value.startsWith('/') || !isMultiaddr(probe)) return { fault: 'VALUE', message: `${shown(value)} is not an address`, hint: addressHint(value, example) }
    if (!probe.includes('/tcp/')) return { fault: 'VALUE', message: `${shown(value)} has no TCP port`, hint: `Write a multiaddr with /tcp/, such as ${example}` }
    if (withPeer && !value.includes('/p2p/')) return { fault: 'VALUE', message: `${shown(value)} does not say which peer it is`, hint: `Append /p2p/ and its PeerId, as its \`hearth status\` prints them: ${example}` }
    return { value }
  })
}

/** A path on this machine, as written. */
export const localPath: z.ZodType<string> = reading<string>((value) => typeof value === 'string' && value !== '' && !value.includes('\0')
  ? { value }
  : { fault: 'TYPE', message: `must be a path, not ${shown(value)}`, hint: 'Write a path, such as ~/.hearth' })

/** `auto`, or what `field` takes. */
export function autoOr<T>(field: z.ZodType<T>): z.ZodType<T | 'auto'> {
  return reading<T | 'auto'>((value) => {
    if (value === 'auto') return { value: 'auto' }
    const parsed = field.safeParse(value)
    if (parsed.success) return { value: parsed.data }
    const issue = parsed.error.issues[0]
    const params = issue?.code === 'custom' ? issue.params : undefined
    return { fault: params?.['fault'] === 'RANGE' ? 'RANGE' : params?.['fault'] === 'UNIT' ? 'UNIT' : 'TYPE', message: issue?.message ?? '', hint: `${String(params?.['hint'] ?? '')}, or auto` }
  })
}

/** `none`, or a speed such as `20 Mbps` between `min` and `max` bytes a second. None is 0. */
export function rateOrNone(min: number, max: number): z.ZodType<number> {
  return reading<number>((value) => {
    if (value === 'none') return { value: 0 }
    if (typeof value !== 'string') return { fault: 'UNIT', message: `${shown(value)} has no unit`, hint: 'Write a number and a unit, such as "20 Mbps", or none' }
    try {
      const rate = parseRate(value)
      return rate < min || rate > max ? { fault: 'RANGE', message: `${shown(value)} is not between ${formatRate(min)} and ${formatRate(max)}`, hint: `Write ${formatRate(min)} or more, or none` } : { value: rate }
    } catch (err) {
      return { fault: 'UNIT', message: `${shown(value)} is not a speed`, hint: err instanceof HearthError ? `${err.hint}, or none` : '' }
    }
  })
}

const DAYS = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat']
const DAY_MINUTES = 1440
type Hours = SharePolicy['hours'][number]

function minuteOf(text: string | undefined): number | undefined {
  const match = /^(\d{1,2}):([0-5]\d)$/.exec(text ?? '')
  const minute = match === null ? undefined : Number(match[1]) * 60 + Number(match[2])
  return minute === undefined || minute > DAY_MINUTES ? undefined : minute
}

function daysOf(text: string): number[] | undefined {
  const days: number[] = []
  for (const part of text.toLowerCase().split('+')) {
    const ends = part.split('-').map((day) => DAYS.indexOf(day))
    const [from = -1, to = from] = ends
    if (from === -1 || to === -1 || ends.length > 2) return undefined
    for (let day = from; ; day = (day + 1) % DAYS.length) {
      days.push(day)
      if (day === to) break
    }
  }
  return [...new Set(days)].sort((a, b) => a - b)
}

/** `mon-fri 22:00-07:00`, `sat+sun 00:00-24:00` or `22:00-07:00` (every day); undefined for anything else. */
export function parseHours(text: string): Hours | undefined {
  const [dayText, span] = /^(?:(\S+) +)?(\S+)$/.exec(text.trim())?.slice(1) ?? []
  const [from, to, ...more] = (span ?? '').split('-')
  const [fromMinute, toMinute] = [minuteOf(from), minuteOf(to)]
  const days = dayText === undefined ? undefined : daysOf(dayText)
  if (fromMinute === undefined || toMinute === undefined || fromMinute === DAY_MINUTES || more.length > 0 || (dayText !== undefined && days === undefined)) return undefined
  return { fromMinute, toMinute, ...(days === undefined ? {} : { days }) }
}

export const hours: z.ZodType<Hours> = reading<Hours>((value) => {
  const parsed = typeof value === 'string' ? parseHours(value) : undefined
  return parsed === undefined ? { fault: 'VALUE', message: `${shown(value)} are not hours`, hint: 'Write for instance "22:00-07:00", "mon-fri 18:00-08:00" or "sat+sun 00:00-24:00"' } : { value: parsed }
})

/** `0x` and 40 hexadecimal digits; kept in lower case. */
export const evmAddress: z.ZodType<string> = reading((value) => {
  if (typeof value === 'string' && /^0x[0-9a-fA-F]{40}$/.test(value)) return { value: value.toLowerCase() }
  const hint = typeof value === 'number' ? 'Put it in quotes: without them YAML reads a number' : 'It has 0x and 40 hexadecimal digits'
  return { fault: 'VALUE', message: `${shown(value)} is not an address on a chain`, hint }
})

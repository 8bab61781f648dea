import { HearthError } from './errors.ts'

export const KIB = 1024
export const MIB = 1024 ** 2
export const GIB = 1024 ** 3
export const TIB = 1024 ** 4

export const SECOND_MS = 1_000
export const MINUTE_MS = 60_000
export const HOUR_MS = 3_600_000
export const DAY_MS = 86_400_000

const SIZE_UNITS: Record<string, number> = {
  B: 1, KB: 1e3, MB: 1e6, GB: 1e9, TB: 1e12, KiB: KIB, MiB: MIB, GiB: GIB, TiB: TIB
}
/** Decimal bits a second, in bytes. */
const RATE_UNITS: Record<string, number> = { kbps: 125, Mbps: 125_000, Gbps: 125_000_000 }
const DURATION_UNITS: Record<string, number> = { ms: 1, s: SECOND_MS, m: MINUTE_MS, h: HOUR_MS, d: DAY_MS }

function parseWithUnit(text: string, units: Record<string, number>): number | undefined {
  const match = /^(\d+(?:\.\d+)?) ?([A-Za-z]+)$/.exec(text.trim())
  const factor = match === null ? undefined : units[match[2] ?? '']
  if (match === null || factor === undefined) return undefined
  const value = Math.round(Number(match[1]) * factor)
  return Number.isSafeInteger(value) ? value : undefined
}

/** Parses `"512 MiB"` into bytes. A unit is required, so that 512 is never mistaken for MiB. */
export function parseSize(text: string): number {
  const bytes = parseWithUnit(text, SIZE_UNITS)
  if (bytes === undefined) throw new HearthError('E_UNIT', `"${text}" is not a size`, 'Write a number and a unit, such as "512 MiB" or "4 GiB"')
  return bytes
}

/** Parses `"90 s"` into milliseconds. */
export function parseDuration(text: string): number {
  const ms = parseWithUnit(text, DURATION_UNITS)
  if (ms === undefined) throw new HearthError('E_UNIT', `"${text}" is not a duration`, 'Write a number and a unit, such as "500 ms", "90 s", "10 m" or "2 h"')
  return ms
}

/** Parses `"20 Mbps"`, as links are sold, into bytes a second. */
export function parseRate(text: string): number {
  const bytesPerSecond = parseWithUnit(text, RATE_UNITS)
  if (bytesPerSecond === undefined) throw new HearthError('E_UNIT', `"${text}" is not a speed`, 'Write a number and a unit, such as "20 Mbps" or "1 Gbps"')
  return bytesPerSecond
}

/** `1536` -> `"1.5 KiB"`. Bytes are shown in binary units everywhere. */
export function formatSize(bytes: number): string {
  const names = ['B', 'KiB', 'MiB', 'GiB', 'TiB']
  let value = bytes
  let unit = 0
  while (value >= 1024 && unit < names.length - 1) { value /= 1024; unit++ }
  return `${unit === 0 ? value : value.toFixed(value < 10 ? 1 : 0)} ${names[unit]}`
}

/** Bytes a second -> `"84 Mbps"` (decimal megabits, as links are sold). */
export function formatRate(bytesPerSecond: number): string {
  const mbps = bytesPerSecond * 8 / 1e6
  return `${mbps.toFixed(mbps < 10 ? 1 : 0)} Mbps`
}

/** `61_500` -> `"1 m 2 s"`; under ten seconds with a decimal, under one second in ms. */
export function formatDuration(ms: number): string {
  if (ms < SECOND_MS) return `${Math.round(ms)} ms`
  if (ms < 10 * SECOND_MS) return `${(ms / SECOND_MS).toFixed(1)} s`
  const s = Math.round(ms / SECOND_MS)
  if (s < 60) return `${s} s`
  if (s < 3600) return `${Math.floor(s / 60)} m ${s % 60} s`
  if (s < 86_400) return `${Math.floor(s / 3600)} h ${Math.floor(s % 3600 / 60)} m`
  return `${Math.floor(s / 86_400)} d ${Math.floor(s % 86_400 / 3600)} h`
}

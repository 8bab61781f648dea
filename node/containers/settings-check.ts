import { isDeepStrictEqual } from 'node:util'
import type { InspectedContainer } from './engine-client.ts'
import { steersGpu } from './gpu/assignment.ts'
import type { ContainerSettings } from './settings.ts'

/** Engines spell "nothing" in many ways. */
function isEmpty(value: unknown): boolean {
  return value === undefined || value === null || value === false || value === '' || value === 0 ||
    (typeof value === 'object' && Object.keys(value).length === 0)
}

/** Lists of which the order means nothing. */
function sorted(value: unknown): unknown {
  return Array.isArray(value) ? [...value].map((each) => JSON.stringify(each)).sort() : value
}

function isSame(asked: unknown, given: unknown): boolean {
  return isEmpty(asked) ? isEmpty(given) : isDeepStrictEqual(asked, given) || (Array.isArray(asked) && isDeepStrictEqual(sorted(asked), sorted(given)))
}

/** Objects by their keys, so that what the engine adds to its own (an empty `ConsoleSize`) is no matter. */
function plain(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value ?? null))
}

function differing(asked: Record<string, unknown>, given: Record<string, unknown>, prefix: string): string[] {
  return Object.keys(asked).filter((key) => !isSame(plain(asked[key]), plain(given[key]))).map((key) => `${prefix}${key}`)
}

/** Variables of the container: ours are there, and nothing but ours hands out cards. */
function envDiffers(asked: unknown, given: unknown): boolean {
  const wanted = Array.isArray(asked) ? asked.map(String) : []
  const got = new Set(Array.isArray(given) ? given.map(String) : [])
  const isThere = wanted.every((entry) => entry.includes('=') ? got.has(entry) : ![...got].some((each) => each.startsWith(`${entry}=`)))
  return !isThere || [...got].some((entry) => steersGpu(entry.split('=', 1)[0] ?? '') && !wanted.includes(entry))
}

function testOf(healthcheck: unknown): unknown {
  return typeof healthcheck === 'object' && healthcheck !== null && 'Test' in healthcheck ? healthcheck.Test : undefined
}

/** What the container would have mounted, beside what was asked: an image's VOLUME shows here. */
function mountsDiffer({ HostConfig }: ContainerSettings, mounts: InspectedContainer['Mounts']): boolean {
  const asked = HostConfig.Mounts.map(({ Target }) => Target).sort()
  const given = mounts.filter(({ Type, Destination }) => !(Type === 'tmpfs' && String(Destination) in HostConfig.Tmpfs))
  return !isDeepStrictEqual(asked, given.map(({ Destination }) => String(Destination)).sort()) || given.some(({ RW }) => RW !== false)
}

/**
 * The names of settings that the engine holds otherwise than asked, ignored or added to: engines drop what they don't
 * know without a word, so a container starts only when this is empty.
 */
export function settingsDiffering(settings: ContainerSettings, inspected: InspectedContainer): string[] {
  const { Image, HostConfig, Env, Labels, Healthcheck, ...config } = settings
  const given = inspected.Config
  const labels = given['Labels'] as Record<string, unknown> | undefined ?? {}
  return [
    ...Image === inspected.Image ? [] : ['Image'],
    ...differing(config, given, ''),
    // an image's interval stays beside our NONE, and means nothing then
    ...isDeepStrictEqual(testOf(Healthcheck), testOf(given['Healthcheck'])) ? [] : ['Healthcheck'],
    ...envDiffers(Env, given['Env']) ? ['Env'] : [],
    ...differing(Labels as Record<string, unknown>, labels, 'Labels.'),
    ...differing(HostConfig, inspected.HostConfig, 'HostConfig.'),
    ...mountsDiffer(settings, inspected.Mounts) ? ['Mounts'] : [],
    ...isEmpty(given['Volumes']) ? [] : ['Volumes']
  ]
}

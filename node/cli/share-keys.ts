import { HearthError } from '../../src/errors.ts'
import { formatRate, formatSize, parseDuration, parseRate, parseSize } from '../../src/units.ts'
import { formatHours } from './hours.ts'
import { didYouMean } from './suggest.ts'
import { clean } from './term/text.ts'
import { duration } from './term/time.ts'
import { UsageError } from './usage-error.ts'
import type { EngineKind } from '../../src/documents/resources.ts'
import type { SharePolicy } from '../../src/documents/share.ts'

/** One thing an owner can set with `share`: how it is written, and what it means. */
export interface ShareKey {
  help: string
  /** How a value looks. */
  example: string
  /** Values to complete. */
  values?: readonly string[]
  show(policy: SharePolicy): string
  read(text: string, parsers: Parsers): Partial<SharePolicy>
}

/** What is loaded only when something is changed. */
interface Parsers { parseHours: (text: string) => SharePolicy['hours'][number] | undefined }

const ENGINES: readonly EngineKind[] = ['wasm', 'container']
const ON_OFF = ['on', 'off'] as const

function onOff(text: string): boolean {
  if (['on', 'yes', 'true'].includes(text)) return true
  if (['off', 'no', 'false'].includes(text)) return false
  throw new UsageError('E_SHARE_VALUE', `"${text}" is neither on nor off`, 'Write on or off')
}

function words(text: string): string[] {
  return text === 'none' || text.trim() === '' ? [] : text.split(/[\s,]+/).filter((word) => word !== '')
}

function list(items: readonly string[], none: string): string {
  return items.length === 0 ? none : items.map(clean).join(', ')
}

function number(text: string): number {
  const value = Number(text)
  if (text.trim() === '' || !Number.isFinite(value)) throw new UsageError('E_SHARE_VALUE', `"${text}" is not a number`, 'Write a number, such as 4 or 2.5')
  return value
}

function share(text: string): number {
  const match = /^(\d+(?:\.\d+)?) ?%$/.exec(text.trim())
  return match === null ? number(text) : Number(match[1]) / 100
}

function engines(text: string): SharePolicy['engines'] {
  return words(text).map((word) => {
    const engine = ENGINES.find((one) => one === word)
    if (engine === undefined) throw new UsageError('E_SHARE_VALUE', `There is no engine "${word}"`, didYouMean(word, ENGINES, `Engines: ${ENGINES.join(', ')}`))
    return engine
  })
}

function hours(text: string, { parseHours }: Parsers): SharePolicy['hours'] {
  if (['always', 'none'].includes(text.trim())) return []
  return text.split(',').map((part) => {
    const parsed = parseHours(part)
    if (parsed === undefined) throw new UsageError('E_SHARE_VALUE', `"${part.trim()}" are not hours`, 'Write for instance "22:00-08:00", "mon-fri 18:00-07:30, sat+sun 00:00-24:00", or always')
    return parsed
  })
}

export const SHARE_KEYS = {
  enabled: { help: 'Lend at all; off makes this node one that only sends jobs', example: 'on', values: ON_OFF, show: (policy) => policy.enabled ? 'on' : 'off', read: (text) => ({ enabled: onOff(text) }) },
  cores: { help: 'Processor cores lent at most', example: '4', show: (policy) => String(policy.cores), read: (text) => ({ cores: number(text) }) },
  memory: { help: 'Memory lent at most', example: '8GiB', show: (policy) => formatSize(policy.memoryBytes), read: (text) => ({ memoryBytes: parseSize(text) }) },
  disk: { help: 'Disk space lent at most', example: '20GiB', show: (policy) => formatSize(policy.diskBytes), read: (text) => ({ diskBytes: parseSize(text) }) },
  gpus: { help: 'Lend graphics cards', example: 'on', values: ON_OFF, show: (policy) => policy.gpus ? 'on' : 'off', read: (text) => ({ gpus: onOff(text) }) },
  engines: { help: 'What kinds of programs may run', example: 'wasm', values: ENGINES, show: (policy) => list(policy.engines, 'none'), read: (text) => ({ engines: engines(text) }) },
  region: { help: 'A label for where this PC is, which jobs may ask for', example: 'eu-west', show: (policy) => clean(policy.region), read: (text) => ({ region: text }) },
  maxRun: { help: 'Longest run of one task', example: '2h', show: (policy) => duration(policy.maxRunMs), read: (text) => ({ maxRunMs: parseDuration(text) }) },
  maxInput: { help: 'Most input fetched for one task', example: '4GiB', show: (policy) => formatSize(policy.maxInputBytes), read: (text) => ({ maxInputBytes: parseSize(text) }) },
  uploadLimit: { help: 'Most that inputs and results may take of the line outwards; none: all of it', example: '20Mbps', values: ['none'], show: ({ uploadBytesPerSecond = 0 }) => uploadBytesPerSecond === 0 ? 'none' : formatRate(uploadBytesPerSecond), read: (text) => ({ uploadBytesPerSecond: text === 'none' ? 0 : parseRate(text) }) },
  hours: { help: 'When to lend, in local time', example: '"mon-fri 22:00-08:00, sat+sun 00:00-24:00"', values: ['always'], show: (policy) => formatHours(policy.hours), read: (text, parsers) => ({ hours: hours(text, parsers) }) },
  onlyWhenIdle: { help: 'Lend only while nobody uses this PC', example: 'on', values: ON_OFF, show: (policy) => policy.onlyWhenIdle ? 'on' : 'off', read: (text) => ({ onlyWhenIdle: onOff(text) }) },
  busyPrograms: { help: 'Programs that count as use while they run, such as a game', example: 'factorio,blender', show: (policy) => list(policy.busyPrograms, 'none'), read: (text) => ({ busyPrograms: text === 'none' ? [] : text.split(',').map((word) => word.trim()).filter((word) => word !== '') }) },
  images: { help: 'Container images that run here, by digest or CID; `images` lists those you have', example: 'sha256:…', values: ['none'], show: (policy) => list(policy.images, 'none'), read: (text) => ({ images: words(text) }) },
  imageSigners: { help: 'Authors and validators whose signed images run here too', example: '12D3KooW…', values: ['none'], show: (policy) => list(policy.imageSigners, 'nobody'), read: (text) => ({ imageSigners: words(text) }) },
  denyImages: { help: 'Container images that never run here', example: 'sha256:…', values: ['none'], show: (policy) => list(policy.denyImages, 'none'), read: (text) => ({ denyImages: words(text) }) },
  anyImage: { help: 'Run container images that are on no list, too', example: 'on', values: ON_OFF, show: (policy) => policy.anyImage ? 'on' : 'off', read: (text) => ({ anyImage: onOff(text) }) },
  containerNetwork: { help: 'Let containers reach the public domains that their jobs name', example: 'on', values: ON_OFF, show: (policy) => policy.containerNetwork ? 'on' : 'off', read: (text) => ({ containerNetwork: onOff(text) }) },
  maxImage: { help: 'Most that one container image may take, unpacked', example: '8GiB', show: (policy) => formatSize(policy.maxImageBytes), read: (text) => ({ maxImageBytes: parseSize(text) }) },
  allow: { help: 'Work only for these peers; none: for all that `help share` names', example: '12D3KooW…', values: ['none'], show: (policy) => list(policy.allow, 'everybody'), read: (text) => ({ allow: words(text) }) },
  deny: { help: 'Never work for these peers', example: '12D3KooW…', values: ['none'], show: (policy) => list(policy.deny, 'nobody'), read: (text) => ({ deny: words(text) }) },
  maxRequesterFaultShare: { help: 'Refuse requesters whose jobs failed here more often than this, after ten jobs', example: '50%', show: (policy) => `${Math.round(policy.maxRequesterFaultShare * 100)} %`, read: (text) => ({ maxRequesterFaultShare: share(text) }) }
} as const satisfies Record<string, ShareKey>

export const SHARE_NAMES = Object.keys(SHARE_KEYS) as ShareName[]

/** `cores 4`, `cores=4 memory=8GiB`, or a mixture; values are checked as the node checks them. Throws UsageError. */
export async function readShare(texts: readonly string[]): Promise<Partial<SharePolicy>> {
  const pairs = readPairs(texts)
  if (pairs.length === 0) return {}
  const [{ parseHours }, { sharePolicy }] = await Promise.all([import('../config/index.ts'), import('../../src/documents/share.ts')])
  const change: Partial<SharePolicy> = {}
  for (const [name, value] of pairs) {
    const one = readOne(name, value, { parseHours })
    const parsed = sharePolicy.partial().safeParse(one)
    if (!parsed.success) throw new UsageError('E_SHARE_VALUE', `share ${name}: "${clean(value)}" does not fit: ${parsed.error.issues[0]?.message ?? ''}`, `For instance: share ${name}=${SHARE_KEYS[name].example}`)
    Object.assign(change, one)
  }
  return change
}

type ShareName = keyof typeof SHARE_KEYS

function readPairs(texts: readonly string[]): [ShareName, string][] {
  const pairs: [ShareName, string][] = []
  const rest = [...texts]
  for (let text = rest.shift(); text !== undefined; text = rest.shift()) {
    const equals = text.indexOf('=')
    const name = equals === -1 ? text : text.slice(0, equals)
    const value = equals === -1 ? rest.shift() : text.slice(equals + 1)
    const key = SHARE_NAMES.find((one) => one === name)
    if (key === undefined) throw new UsageError('E_SHARE_KEY', `There is nothing to share called "${clean(name)}"`, didYouMean(name, SHARE_NAMES, `Keys: ${SHARE_NAMES.join(', ')}`))
    if (value === undefined || value === '') throw new UsageError('E_SHARE_VALUE', `share ${key} needs a value`, `For instance: share ${key}=${SHARE_KEYS[key].example}`)
    if (pairs.some(([before]) => before === key)) throw new UsageError('E_SHARE_KEY', `share ${key} is given twice`, 'Give it once')
    pairs.push([key, value])
  }
  return pairs
}

function readOne(name: ShareName, text: string, parsers: Parsers): Partial<SharePolicy> {
  const spec: ShareKey = SHARE_KEYS[name]
  try {
    return spec.read(text, parsers)
  } catch (err) {
    if (err instanceof HearthError) throw new UsageError('E_SHARE_VALUE', `share ${name}: ${err.message}`, err.hint, { cause: err })
    throw err
  }
}

import { isAbsolute } from 'node:path'
import { z } from 'zod'
import { imageKeyText } from '../../src/documents/image.ts'
import { sharePolicy } from '../../src/documents/share.ts'
import { PARAMS } from '../../src/params.ts'
import { DAY_MS } from '../../src/units.ts'
import { MAX_NAME_CHARS } from './limits.ts'
import type { NodeApi } from './contract.ts'

export type Method = keyof NodeApi
export type Argument<M extends Method> = Parameters<NodeApi[M]>[0]
export type StreamMethod = { [M in Method]: ReturnType<NodeApi[M]> extends AsyncIterable<unknown> ? M : never }[Method]
export type CallMethod = Exclude<Method, StreamMethod>
export type Result<M extends CallMethod> = Awaited<ReturnType<NodeApi[M]>>
export type Item<M extends StreamMethod> = ReturnType<NodeApi[M]> extends AsyncIterable<infer T> ? T : never

/** A path, at most. */
const MAX_IMAGE_CHARS = 4096
const name = z.string().min(1).max(MAX_NAME_CHARS)
const absolutePath = name.refine((path) => isAbsolute(path), 'must be an absolute path')
const none = z.undefined().or(z.null().transform(() => undefined))
const task = z.int().min(0).max(PARAMS.maxTasks).exactOptional()
const submit = z.strictObject({ spec: z.unknown(), baseDir: absolutePath, confirmed: z.boolean().exactOptional() })
/** Below 2^128, as contracts keep amounts. */
const weiText = z.string().regex(/^\d{1,39}$/, 'must be an amount in the smallest unit').refine((text) => BigInt(text) < 1n << 128n, 'is too much')
const bucket = z.enum(['deposit', 'bond', 'jobs'])
const evmAddress = z.string().regex(/^0x[0-9a-fA-F]{40}$/, 'must be an address on a chain')
/** A change of some fields, each checked as the whole policy checks it. */
const shareChange = z.strictObject({
  enabled: sharePolicy.shape.enabled.exactOptional(),
  paused: sharePolicy.shape.paused.exactOptional(),
  cores: sharePolicy.shape.cores.exactOptional(),
  memoryBytes: sharePolicy.shape.memoryBytes.exactOptional(),
  diskBytes: sharePolicy.shape.diskBytes.exactOptional(),
  gpus: sharePolicy.shape.gpus.exactOptional(),
  engines: sharePolicy.shape.engines.exactOptional(),
  region: sharePolicy.shape.region.exactOptional(),
  maxRunMs: sharePolicy.shape.maxRunMs.exactOptional(),
  maxInputBytes: sharePolicy.shape.maxInputBytes.exactOptional(),
  uploadBytesPerSecond: sharePolicy.shape.uploadBytesPerSecond,
  images: sharePolicy.shape.images.exactOptional(),
  imageSigners: sharePolicy.shape.imageSigners.exactOptional(),
  denyImages: sharePolicy.shape.denyImages.exactOptional(),
  anyImage: sharePolicy.shape.anyImage.exactOptional(),
  containerNetwork: sharePolicy.shape.containerNetwork.exactOptional(),
  maxImageBytes: sharePolicy.shape.maxImageBytes.exactOptional(),
  allow: sharePolicy.shape.allow.exactOptional(),
  deny: sharePolicy.shape.deny.exactOptional(),
  hours: sharePolicy.shape.hours.exactOptional(),
  onlyWhenIdle: sharePolicy.shape.onlyWhenIdle.exactOptional(),
  busyPrograms: sharePolicy.shape.busyPrograms.exactOptional(),
  maxRequesterFaultShare: sharePolicy.shape.maxRequesterFaultShare.exactOptional()
})

/** The parameter of every method of the contract, as it comes from the socket. A method left out does not compile. */
export const PARAMETERS: { readonly [M in Method]: z.ZodType<Argument<M>> } = {
  status: none,
  submit,
  estimate: submit.extend({ quick: z.boolean().exactOptional() }),
  jobs: none,
  job: name,
  why: name,
  logs: z.strictObject({ job: name, task, stream: z.enum(['stdout', 'stderr', 'both']), follow: z.boolean() }),
  results: z.strictObject({ job: name, to: absolutePath, task, unverified: z.boolean().exactOptional() }),
  cancel: name,
  rate: z.strictObject({ peer: name, stars: z.int().min(1).max(5) }),
  peers: none,
  ads: none,
  share: none,
  setShare: shareChange,
  pause: none,
  resume: none,
  doctor: none,
  events: z.strictObject({ job: name.exactOptional() }),
  images: none,
  removeImages: z.strictObject({ key: imageKeyText.exactOptional() }),
  signImage: z.strictObject({ image: z.string().min(1).max(MAX_IMAGE_CHARS), baseDir: absolutePath }),
  wallet: none,
  fund: z.strictObject({ to: bucket, amountWei: weiText }),
  withdraw: z.strictObject({ from: z.enum(['deposit', 'bond', 'jobs', 'earnings']), amountWei: weiText.exactOptional(), to: evmAddress.exactOptional() }),
  claimRefunds: none,
  tickets: none,
  earnings: none,
  price: none,
  setPrice: z.strictObject({ coreHourWei: weiText.exactOptional(), gibHourWei: weiText.exactOptional(), gpuHourWei: weiText.exactOptional(), movedWei: weiText.exactOptional(), fuelWei: weiText.exactOptional() }),
  caps: none,
  setCaps: z.strictObject({ jobWei: weiText.nullable().exactOptional(), dayWei: weiText.nullable().exactOptional(), peerDayWei: weiText.nullable().exactOptional() }),
  bill: name,
  dial: name,
  shutdown: z.strictObject({ withinMs: z.int().min(0).max(DAY_MS) })
}

/** Calls that take a `Watch`; streams take a signal. */
const WATCHED: readonly Method[] = ['submit', 'results', 'fund', 'withdraw'] satisfies CallMethod[]

export function isWatched(method: Method): boolean {
  return WATCHED.includes(method)
}

export function isMethod(text: string): text is Method {
  return Object.hasOwn(PARAMETERS, text)
}

/** One sentence for the first thing that is wrong with a parameter. */
export function describeIssue(error: z.ZodError): string {
  const issue = error.issues[0]
  if (issue === undefined) return 'the parameters do not fit'
  const where = issue.path.map(String).join('.')
  return where === '' ? issue.message : `${where}: ${issue.message}`
}

import { z } from 'zod'
import { bytes, cid, int, list, peerId, text, wallMs, wei } from '../codec/schema.ts'
import { documentCodec } from '../codec/document.ts'
import { PARAMS } from '../params.ts'
import { containerImage, imageSignatures } from './image.ts'
import { GPU_VENDORS, region, resources } from './resources.ts'

const MAX_ARGS = 256
const MAX_ARG_CHARS = 4096
const MAX_ENV = 128
const MAX_INPUTS = 1024
const MAX_OUTPUTS = 256
const MAX_PLACEMENT = 256
/** Frames or batches of one task; one lease names at most one. */
export const MAX_SEGMENTS = 10_000

/** A relative posix path without `.`, `..`, empty parts, control characters or a leading `-`. */
export const safePath = text(512, 1).regex(/^(?!-)[^\p{Cc}\\/]+(\/(?!-)[^\p{Cc}\\/]+)*$/u, 'must be a plain relative path')
  .refine((path) => path.split('/').every((part) => part !== '.' && part !== '..'), 'must not contain . or ..')

export const contentInput = z.strictObject({ path: safePath, cid, sizeBytes: int(0, PARAMS.maxInputBytes), kind: z.enum(['file', 'folder']) })
export type ContentInput = z.output<typeof contentInput>

/** Whether no path is another one, or lies below another one: else two inputs would want the same place. */
export function arePathsApart(paths: readonly string[]): boolean {
  const all = new Set(paths)
  if (all.size !== paths.length) return false
  for (const path of paths) {
    for (let slash = path.indexOf('/'); slash !== -1; slash = path.indexOf('/', slash + 1)) if (all.has(path.slice(0, slash))) return false
  }
  return true
}

const wasmEngine = z.strictObject({ kind: z.literal('wasm'), module: cid, moduleBytes: int(1, PARAMS.maxModuleBytes) })
/** Names of secrets become files below /run/secrets. */
export const secretName = z.string().regex(/^[A-Za-z_][A-Za-z0-9_.-]{0,63}$/, 'must be a plain name')
export const MAX_SECRETS = 32
const containerEngine = z.strictObject({
  kind: z.literal('container'),
  image: containerImage,
  signatures: imageSignatures.optional(),
  entrypoint: list(text(MAX_ARG_CHARS), MAX_ARGS).optional(),
  /** Domains that it may reach, and its traffic in all; none without. */
  network: z.strictObject({ allow: list(text(253, 1), 64).min(1), maxBytes: int(0, PARAMS.maxInputBytes) }).optional(),
  /** Named only: values go from the requester to the provider of an agreement, and nowhere else. */
  secrets: list(secretName, MAX_SECRETS).min(1).optional(),
  /** The image's registry wants a name and a password: the secret of this name holds both, `name:password`. */
  registrySecret: secretName.optional()
})

function rangeCount(range: { start: number, end: number, step: number }): number {
  return Math.max(0, Math.ceil((range.end - range.start) / range.step))
}

/** What the tasks of a job differ in. The `n` tasks are numbered from 0 in the order given. A range's end is not part of it. */
const taskMap = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('range'), start: int(-1e12, 1e12), end: int(-1e12, 1e12), step: int(1, 1e12) })
    .refine((range) => rangeCount(range) >= 1 && rangeCount(range) <= PARAMS.maxTasks, `must have 1 to ${PARAMS.maxTasks} tasks`),
  z.strictObject({ kind: z.literal('list'), items: list(text(MAX_ARG_CHARS), PARAMS.maxTasks).min(1) }),
  z.strictObject({ kind: z.literal('files'), files: list(contentInput, PARAMS.maxTasks).min(1) })
])

const placement = z.strictObject({
  regions: list(region, 32).optional(),
  maxLatencyMs: int(1, 60_000).optional(),
  allow: list(peerId, MAX_PLACEMENT).optional(),
  deny: list(peerId, MAX_PLACEMENT).optional(),
  gpuVendors: list(z.enum(GPU_VENDORS), GPU_VENDORS.length).optional()
})

export const SELECTION_POLICIES = ['weighted', 'cheapest', 'fastest', 'random'] as const
export type SelectionPolicyName = typeof SELECTION_POLICIES[number]

const replication = z.strictObject({
  /** Matching results needed (m of m-first voting). */
  quorum: int(1, PARAMS.maxReplicas),
  /** Replicas started at once, at least the quorum. */
  replicas: int(1, PARAMS.maxReplicas),
  /** Peers with a long valid history need one replica (BOINC's adaptive replication). */
  adaptive: z.boolean(),
  /** Share of extra runs of tasks whose answer is known already, to catch liars under quorum 1. */
  spotCheckShare: z.number().min(0).max(1)
}).refine(({ quorum, replicas }) => quorum <= replicas, 'quorum must not be above replicas')

const judgeProgram = { module: cid, moduleBytes: int(1, PARAMS.maxModuleBytes), args: list(text(MAX_ARG_CHARS), MAX_ARGS) }
/** What decides about results. Its program runs at the requester's only: no provider needs it. */
const compare = z.discriminatedUnion('by', [
  /** Sees two results below /in/a and /in/b; exit code 0: they agree, 1: they differ. */
  z.strictObject({ by: z.literal('program'), ...judgeProgram }),
  /** Sees one result at /in/result, and the task's inputs at /in/inputs; exit code 0: it is right, 1: it is wrong. */
  z.strictObject({ by: z.literal('verifier'), ...judgeProgram })
])
export type Compare = z.output<typeof compare>

export const jobSchema = z.strictObject({
  v: z.literal(1),
  name: text(64, 1),
  requester: peerId,
  createdWallMs: wallMs,
  /** Makes every submission a job of its own. */
  nonce: bytes(16, 16),
  engine: z.discriminatedUnion('kind', [wasmEngine, containerEngine]),
  args: list(text(MAX_ARG_CHARS), MAX_ARGS),
  env: z.record(z.string().regex(/^[A-Za-z_][A-Za-z0-9_]{0,127}$/), text(MAX_ARG_CHARS)).refine((env) => Object.keys(env).length <= MAX_ENV, `at most ${MAX_ENV} variables`),
  inputs: list(contentInput, MAX_INPUTS),
  stdin: cid.optional(),
  /** Paths below /out that a successful task must have written. */
  outputs: list(safePath, MAX_OUTPUTS),
  map: taskMap.optional(),
  resources,
  limits: z.strictObject({
    /** From submit to the first task's start. */
    queueMs: int(1, PARAMS.maxTotalMs),
    /** One run of one task. */
    runMs: int(1, PARAMS.maxRunMs),
    /** The whole job. */
    totalMs: int(1, PARAMS.maxTotalMs),
    logBytes: int(0, PARAMS.maxLogBytes)
  }),
  replication,
  /** Absent: byte by byte. */
  compare: compare.optional(),
  /** A task writes each of so many parts of its result below out/segment-<number>, so that a dispute runs one of them again. */
  segments: int(2, MAX_SEGMENTS).optional(),
  /** Further attempts at a task whose providers failed. */
  retries: int(0, 64),
  selection: z.enum(SELECTION_POLICIES),
  priceCapWei: wei.optional(),
  placement
}).refine(({ inputs, map }) => arePathsApart([...inputs, ...(map?.kind === 'files' ? map.files : [])].map(({ path }) => path)), 'inputs must have places of their own')
export type JobDocument = z.output<typeof jobSchema>
export const jobCodec = documentCodec('job', jobSchema, PARAMS.maxJobBytes)

/** One task of a job, as its provider runs it: derived by both sides from (job, index), never sent. */
export interface TaskPlan {
  index: number
  args: string[]
  env: Record<string, string>
  inputs: ContentInput[]
}

export function taskCount(job: Pick<JobDocument, 'map'>): number {
  const map = job.map
  if (map === undefined) return 1
  switch (map.kind) {
    case 'range': return rangeCount(map)
    case 'list': return map.items.length
    case 'files': return map.files.length
  }
}

function taskItem(job: JobDocument, index: number): { item: string, file?: ContentInput } {
  const map = job.map
  if (map === undefined) return { item: '' }
  switch (map.kind) {
    case 'range': return { item: String(map.start + index * map.step) }
    case 'list': return { item: map.items[index] ?? '' }
    case 'files': {
      const file = map.files[index]
      return file === undefined ? { item: '' } : { item: file.path, file }
    }
  }
}

/** Replaces `{index}`, `{item}` and `{item.name}` (an item's last path part) in a template. */
function fill(template: string, index: number, item: string): string {
  return template.replace(/\{(index|item|item\.name)\}/g, (_, name: string) =>
    name === 'index' ? String(index) : name === 'item' ? item : item.slice(item.lastIndexOf('/') + 1))
}

/** The arguments of the program that compares a task's results: with the same placeholders as the task's own. */
export function compareArgs(job: JobDocument, index: number): string[] {
  const { item } = taskItem(job, index)
  return (job.compare?.args ?? []).map((arg) => fill(arg, index, item))
}

/** Where a task of a job with segments finds its orders: how many there are, and which of them to do, the last included. */
function segmentEnv({ segments }: JobDocument, only: number | undefined): Record<string, string> {
  if (segments === undefined) return {}
  return { HEARTH_SEGMENTS: String(segments), HEARTH_SEGMENT_FIRST: String(only ?? 0), HEARTH_SEGMENT_LAST: String(only ?? segments - 1) }
}

/** The folder of a segment in a result. */
export function segmentPath(segment: number): string {
  return `out/segment-${segment}`
}

/** The outputs that a run must have written: of one segment alone, those of that segment. Paths below out/. */
export function outputsOf(job: Pick<JobDocument, 'outputs'>, segment: number | undefined): string[] {
  return segment === undefined ? job.outputs : job.outputs.filter((path) => `out/${path}/`.startsWith(`${segmentPath(segment)}/`))
}

/** The plan of task `index`, 0 <= index < taskCount(job); with `segment`, of that part of it alone, 0 <= segment < job.segments. */
export function taskPlan(job: JobDocument, index: number, segment?: number): TaskPlan {
  const { item, file } = taskItem(job, index)
  return {
    index,
    args: job.args.map((arg) => fill(arg, index, item)),
    env: { ...Object.fromEntries(Object.entries(job.env).map(([key, value]) => [key, fill(value, index, item)])), ...segmentEnv(job, segment) },
    inputs: file === undefined ? job.inputs : [...job.inputs, file]
  }
}


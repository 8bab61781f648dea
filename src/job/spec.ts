import type { ImageSignature } from '../documents/image.ts'
import type { SelectionPolicyName } from '../documents/job.ts'
import type { GpuVendor, Resources } from '../documents/resources.ts'
import { invariant } from '../errors.ts'
import { PARAMS } from '../params.ts'
import { parseDuration, parseSize } from '../units.ts'
import type { Source } from './spec-fields.ts'
import { defaultQuorum, JOB_DEFAULTS, JOB_VOCABULARY, jobFileSchema, MAX_NAME_CHARS } from './spec-schema.ts'
import type { ImageSource, JobFile } from './spec-schema.ts'
import { checkRules, warningsOf } from './spec-rules.ts'
import { pathText, problemError, problemsOf } from './spec-problems.ts'
import type { Problem } from './spec-problems.ts'
import { faultOfTree } from './spec-tree.ts'

/** A checked job file: units parsed, defaults filled in. Paths are as written; nothing has been read yet. */
export interface JobSpec {
  name: string
  engine:
    | { kind: 'wasm', module: Source }
    | {
      kind: 'container'
      image: ImageSource
      signatures?: ImageSignature[]
      entrypoint?: string[]
      network?: { allow: string[], maxBytes: number }
      /** By name: files beside the job, which stay out of its document. */
      secrets?: { name: string, path: string }[]
      registrySecret?: string
    }
  args: string[]
  env: Record<string, string>
  /** Sorted by place. */
  inputs: { path: string, source: Source }[]
  stdin?: Source
  outputs: string[]
  map?: JobMap
  resources: Resources
  limits: { queueMs: number, runMs: number, totalMs: number, logBytes: number }
  replication: { quorum: number, replicas: number, adaptive: boolean, spotCheckShare: number }
  /** Absent: byte by byte. */
  compare?: { by: 'program' | 'verifier', module: Source, args: string[] }
  segments?: number
  retries: number
  selection: SelectionPolicyName
  priceCapWei?: bigint
  placement: {
    regions?: string[]
    maxLatencyMs?: number
    allow?: string[]
    deny?: string[]
    /** Named sets of the configuration; resolved into `allow` when the job is made. */
    providers?: string[]
    gpuVendors?: GpuVendor[]
  }
}

export type JobMap =
  | { kind: 'range', start: number, end: number, step: number }
  | { kind: 'list', items: string[] }
  | { kind: 'files', folder: Source }

export type JobCheck = { ok: true, spec: JobSpec, /** Legal, but perhaps not meant. */ warnings: string[] } | { ok: false, problems: Problem[] }

/** Checks what a job file holds after YAML or JSON parsing. Never throws; tells all problems at once. */
export function checkJobSpec(value: unknown): JobCheck {
  const tree = faultOfTree(value)
  if (tree !== undefined) return { ok: false, problems: [{ fault: 'TYPE', path: pathText(tree.path), message: `${pathText(tree.path) || 'the job file'} ${tree.message}`, hint: tree.hint }] }
  const parsed = jobFileSchema.safeParse(value)
  if (!parsed.success) return { ok: false, problems: problemsOf(parsed.error, value, JOB_VOCABULARY) }
  const problems = checkRules(parsed.data)
  if (problems.length > 0) return { ok: false, problems }
  const spec = normalise(parsed.data)
  return { ok: true, spec, warnings: warningsOf(spec) }
}

/** As `checkJobSpec`, but throws `E_JOB_…` of the first problem; its hint names the next few. */
export function parseJobSpec(value: unknown): JobSpec {
  const check = checkJobSpec(value)
  if (!check.ok) throw problemError('E_JOB', check.problems)
  return check.spec
}

/** `limits` with its gaps filled: a default gives way to what is written, so that one stated limit is enough. */
function limitsOf(file: JobFile): JobSpec['limits'] {
  const given = file.limits ?? {}
  const ceilingMs = given.total ?? PARAMS.maxTotalMs
  const queueMs = given.queue ?? Math.min(parseDuration(JOB_DEFAULTS.queue), ceilingMs)
  const runMs = given.run ?? Math.min(parseDuration(JOB_DEFAULTS.run), ceilingMs)
  const totalMs = given.total ?? Math.min(Math.max(parseDuration(JOB_DEFAULTS.total), queueMs + runMs), PARAMS.maxTotalMs)
  return { queueMs, runMs, totalMs, logBytes: given.log ?? parseSize(JOB_DEFAULTS.log) }
}

function resourcesOf(file: JobFile): Resources {
  const { cores, memory, disk, gpu } = file.resources ?? {}
  return {
    cores: cores ?? JOB_DEFAULTS.cores,
    memoryBytes: memory ?? parseSize(JOB_DEFAULTS.memory),
    diskBytes: disk ?? parseSize(JOB_DEFAULTS.disk),
    ...(gpu === undefined ? {} : {
      gpu: {
        ...(gpu.vendor === undefined ? {} : { vendor: gpu.vendor }),
        ...(gpu.model === undefined ? {} : { model: gpu.model }),
        vramBytes: gpu.vram ?? parseSize(JOB_DEFAULTS.gpuVram),
        count: gpu.count ?? JOB_DEFAULTS.gpuCount
      }
    })
  }
}

function engineOf(file: JobFile): JobSpec['engine'] {
  if (file.module !== undefined) return { kind: 'wasm', module: file.module }
  invariant(file.image !== undefined, 'a job without module and image passed the rules')
  const secrets = Object.entries(file.secrets ?? {}).map(([name, path]) => ({ name, path })).sort((a, b) => a.name < b.name ? -1 : 1)
  return {
    kind: 'container',
    image: file.image,
    ...(file.imageSignatures === undefined || file.imageSignatures.length === 0 ? {} : { signatures: file.imageSignatures }),
    ...(file.entrypoint === undefined ? {} : { entrypoint: file.entrypoint }),
    // an empty list reaches nothing, as does none
    ...(file.network === undefined || file.network.allow.length === 0 ? {} : { network: { allow: file.network.allow, maxBytes: file.network.max ?? parseSize(JOB_DEFAULTS.networkMax) } }),
    ...(secrets.length === 0 ? {} : { secrets }),
    ...(file.registryLogin === undefined ? {} : { registrySecret: file.registryLogin })
  }
}

/** The last part of the module's path or of the image's name, without its ending. */
function nameOf(file: JobFile): string {
  if (file.name !== undefined) return file.name
  const from = file.image ?? file.module
  const whole = from?.kind === 'registry' ? (from.image.from === 'registry' ? from.image.name : '') : from?.kind === 'path' ? from.path : ''
  const bare = (whole.split(/[\\/]/).findLast((part) => part !== '') ?? '').replace(/\.(?:wasm|tar|tgz|tar\.\w+)$/i, '').replace(/\p{Cc}/gu, '')
  return bare.slice(0, MAX_NAME_CHARS).toWellFormed() || 'job'
}

function mapOf(map: NonNullable<JobFile['map']>): JobMap | undefined {
  if (map.range !== undefined) return { kind: 'range', ...map.range }
  if (map.list !== undefined) return { kind: 'list', items: map.list }
  return map.files === undefined ? undefined : { kind: 'files', folder: map.files }
}

/** Without the keys that are not there: an empty list in a placement says nothing. */
function placementOf(file: JobFile): JobSpec['placement'] {
  const { regions, maxLatency, allow, deny, providers, hardware } = file.placement ?? {}
  const some = <T>(items: T[] | undefined): items is T[] => items !== undefined && items.length > 0
  return {
    ...(some(regions) ? { regions } : {}),
    ...(maxLatency === undefined ? {} : { maxLatencyMs: maxLatency }),
    ...(some(allow) ? { allow } : {}),
    ...(some(deny) ? { deny } : {}),
    ...(some(providers) ? { providers } : {}),
    ...(some(hardware?.gpuVendors) ? { gpuVendors: hardware.gpuVendors } : {})
  }
}

function compareOf({ compare }: JobFile): JobSpec['compare'] {
  const module = compare?.with ?? compare?.verify
  return module === undefined ? undefined : { by: compare?.with === undefined ? 'verifier' : 'program', module, args: compare?.args ?? [] }
}

/** Fills in what a checked file leaves out. */
function normalise(file: JobFile): JobSpec {
  const replicas = file.replicas ?? file.quorum ?? JOB_DEFAULTS.replicas
  const quorum = file.quorum ?? defaultQuorum(replicas)
  const map = file.map === undefined ? undefined : mapOf(file.map)
  const compare = compareOf(file)
  return {
    name: nameOf(file),
    engine: engineOf(file),
    args: file.args ?? file.command ?? [],
    env: file.env ?? {},
    inputs: Object.entries(file.inputs ?? {}).map(([path, source]) => ({ path, source })).sort((a, b) => a.path < b.path ? -1 : 1),
    ...(file.stdin === undefined ? {} : { stdin: file.stdin }),
    outputs: file.outputs ?? [],
    ...(map === undefined ? {} : { map }),
    resources: resourcesOf(file),
    limits: limitsOf(file),
    replication: { quorum, replicas, adaptive: file.adaptive ?? JOB_DEFAULTS.adaptive, spotCheckShare: file.spotCheck ?? JOB_DEFAULTS.spotCheck },
    ...(compare === undefined ? {} : { compare }),
    ...(file.segments === undefined ? {} : { segments: file.segments }),
    retries: file.retries ?? JOB_DEFAULTS.retries,
    selection: file.select ?? JOB_DEFAULTS.select,
    ...(file.priceCap === undefined ? {} : { priceCapWei: file.priceCap }),
    placement: placementOf(file)
  }
}

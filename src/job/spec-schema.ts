import { z } from 'zod'
import { imageSignature, readImage } from '../documents/image.ts'
import type { ContainerImage, ImageSignature } from '../documents/image.ts'
import { MAX_SEGMENTS, safePath, SELECTION_POLICIES } from '../documents/job.ts'
import { ENGINES, GPU_VENDORS } from '../documents/resources.ts'
import { PARAMS } from '../params.ts'
import { count, describeFields, duration, field, flag, oneOf, peer, price, reading, readSource, share, shown, size, source, text, word } from './spec-fields.ts'
import type { Read, Source } from './spec-fields.ts'
import type { Vocabulary } from './spec-problems.ts'

/** What a job gets when its file does not say. The one place: parser, `help job` and README all read it. */
export const JOB_DEFAULTS = {
  cores: 1,
  memory: '256 MiB',
  disk: '256 MiB',
  gpuVram: '0 B',
  gpuCount: 1,
  queue: '2 m',
  run: '10 m',
  total: '1 h',
  log: '1 MiB',
  replicas: 1,
  adaptive: false,
  spotCheck: 0,
  retries: 3,
  select: 'weighted',
  networkMax: '1 GiB'
} as const

/** Two equal results settle a task of three or more replicas; fewer must all agree. */
export function defaultQuorum(replicas: number): number {
  return replicas >= 3 ? 2 : replicas
}

export const MAX_NAME_CHARS = 64
const MAX_WORD_CHARS = 4096
const MAX_ARGS = 256
export const MAX_INPUTS = 1024
const MAX_OUTPUTS = 256
export const MAX_ENV = 128
const MAX_PEERS = 256
const MAX_REGIONS = 32
const MAX_RANGE = 1e12
const MAX_RETRIES = 64
const MAX_DOMAINS = 64
const MAX_LATENCY_MS = 60_000
const MAX_PROVIDER_SETS = 32
/** Names of provider sets, in the configuration and in job files. */
export const SET_NAME = /^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/
export const SECRET_NAME = /^[A-Za-z_][A-Za-z0-9_.-]{0,63}$/
export const ENV_NAME = /^[A-Za-z_][A-Za-z0-9_]{0,127}$/

/** A place below /in or /out. People write the mount point too; we say so rather than guess. */
export function placeFault(place: string, mount: '/in' | '/out'): string | undefined {
  if (safePath.safeParse(place).success) return undefined
  const bare = place.replace(new RegExp(`^(${mount}/|\\./|/)`), '')
  return bare !== place && safePath.safeParse(bare).success
    ? `Places are relative to ${mount}: write "${bare}"`
    : `Write a plain path below ${mount}, such as "data/a.txt": no "..", no leading "/" or "-"`
}

const outputPlace = reading((value) => {
  if (typeof value !== 'string') return { fault: 'TYPE', message: `must be a path, not ${shown(value)}`, hint: 'Write a path below /out, such as "picture.png"' }
  const hint = placeFault(value, '/out')
  return hint === undefined ? { value } : { fault: 'PATH', message: `${shown(value)} is not a place below /out`, hint }
})

/** `[from, to]` or `[from, to, step]`; `to` is not part of it. */
const range = reading<{ start: number, end: number, step: number }>((value) => {
  const hint = 'Write [from, to] or [from, to, step]: [0, 10] gives 0 to 9'
  const numbers: unknown[] = Array.isArray(value) ? value : []
  const [start, end, step = 1] = numbers
  if (numbers.length < 2 || numbers.length > 3 || typeof start !== 'number' || typeof end !== 'number' || typeof step !== 'number') return { fault: 'TYPE', message: 'must be two or three whole numbers', hint }
  if (![start, end, step].every((n) => Number.isInteger(n) && Math.abs(n) <= MAX_RANGE)) return { fault: 'RANGE', message: `holds a number that is not whole, or beyond ${MAX_RANGE}`, hint }
  if (step < 1) return { fault: 'RANGE', message: `has the step ${step}`, hint: 'Write a step of 1 or more' }
  if (end <= start) return { fault: 'RANGE', message: `from ${start} to ${end} is empty`, hint: 'The second number must be above the first: it is not part of the range' }
  const tasks = Math.ceil((end - start) / step)
  if (tasks > PARAMS.maxTasks) return { fault: 'RANGE', message: `gives ${tasks} tasks, more than ${PARAMS.maxTasks}`, hint: 'Let one task do more, or submit several jobs' }
  return { value: { start, end, step } }
})

const region = text('a region', 32, /^(?!any$)[a-z0-9-]{1,32}$/, 'Write a label of a-z, 0-9 and "-", such as eu-west; leave regions out for any')
const noun = (label: string, maxChars: number, example: string): z.ZodType<string> => text(label, maxChars, /^[^\p{Cc}]+$/u, `Write ${example}`)

const mapSchema = z.strictObject({
  range: field(range.optional(), { type: '[from, to] or [from, to, step]', meaning: 'One task a number; the end is not part of it', example: '[0, 64]' }),
  list: field(z.array(word(MAX_WORD_CHARS)).max(PARAMS.maxTasks).optional(), { type: 'list of texts', meaning: 'One task an entry', example: '[dawn, noon, dusk]' }),
  files: field(source.optional(), { type: 'folder', meaning: 'One task a file of the folder and the folders in it, sorted by path, names that begin with "." left out; the task finds its file below /in at {item}', example: 'texts' })
})

const gpuSchema = z.strictObject({
  vendor: field(oneOf(GPU_VENDORS).optional(), { type: GPU_VENDORS.join(', '), meaning: 'Whose card it must be', example: 'nvidia' }),
  model: field(noun('a model', 64, 'a part of the card\'s name, such as "RTX 3060"').optional(), { type: 'text', meaning: 'A part of the card\'s name, whatever its case', example: '"RTX 3060"' }),
  vram: field(size(0, PARAMS.maxMemoryBytes).optional(), { type: 'size', meaning: 'Memory each card has at least', example: '"8 GiB"', default: JOB_DEFAULTS.gpuVram }),
  count: field(count(1, PARAMS.maxGpus).optional(), { type: 'number', meaning: 'Cards', example: '1', default: String(JOB_DEFAULTS.gpuCount) })
})

const resourcesSchema = z.strictObject({
  cores: field(count(0.1, PARAMS.maxCores, true).optional(), { type: 'number', meaning: 'Processor cores of one task; 1 for wasm, a fraction or several for containers', example: '1', default: String(JOB_DEFAULTS.cores) }),
  memory: field(size(PARAMS.minMemoryBytes, PARAMS.maxMemoryBytes).optional(), { type: 'size', meaning: 'Memory of one task; at most 4 GiB for wasm', example: '"512 MiB"', default: JOB_DEFAULTS.memory }),
  disk: field(size(0, PARAMS.maxDiskBytes).optional(), { type: 'size', meaning: 'What one task may write below /out and elsewhere', example: '"1 GiB"', default: JOB_DEFAULTS.disk }),
  gpu: field(gpuSchema.optional(), { type: 'keys below', meaning: 'Graphics cards of one task; containers only', example: '{ vendor: nvidia, vram: "8 GiB" }' })
})

const limitsSchema = z.strictObject({
  queue: field(duration(1, PARAMS.maxTotalMs).optional(), { type: 'duration', meaning: 'From submit until a first task starts; then the job fails and says why', example: '"5 m"', default: JOB_DEFAULTS.queue }),
  run: field(duration(1, PARAMS.maxRunMs).optional(), { type: 'duration', meaning: 'One run of one task', example: '"30 m"', default: JOB_DEFAULTS.run }),
  total: field(duration(1, PARAMS.maxTotalMs).optional(), { type: 'duration', meaning: 'The whole job', example: '"6 h"', default: `${JOB_DEFAULTS.total}, or queue and run together where that is longer` }),
  log: field(size(0, PARAMS.maxLogBytes).optional(), { type: 'size', meaning: 'What is kept of each of stdout and stderr of a task', example: '"4 MiB"', default: JOB_DEFAULTS.log })
})

const placementSchema = z.strictObject({
  regions: field(z.array(region).max(MAX_REGIONS).optional(), { type: 'list of labels', meaning: 'Only hosts of these regions', example: '[eu-west, eu-north]' }),
  maxLatency: field(duration(1, MAX_LATENCY_MS).optional(), { type: 'duration', meaning: 'Only hosts that answer within this', example: '"80 ms"' }),
  allow: field(z.array(peer).max(MAX_PEERS).optional(), { type: 'list of PeerIds', meaning: 'Only these hosts', example: '[12D3KooW…]' }),
  deny: field(z.array(peer).max(MAX_PEERS).optional(), { type: 'list of PeerIds', meaning: 'Never these hosts', example: '[12D3KooW…]' }),
  providers: field(z.array(text('the name of a provider set', 64, SET_NAME, 'Name sets of requester.providerSets in the configuration')).max(MAX_PROVIDER_SETS).optional(), { type: 'list of names', meaning: 'Only hosts in these sets, named in the configuration under requester.providerSets', example: '[friends]' }),
  hardware: field(z.strictObject({
    gpuVendors: field(z.array(oneOf(GPU_VENDORS)).max(GPU_VENDORS.length).optional(), { type: 'list of vendors', meaning: 'Cards of any of these will do; asks for a gpu', example: '[nvidia, amd]' })
  }).optional(), { type: 'keys below', meaning: 'What the host\'s hardware must be beyond the resources', example: '{ gpuVendors: [nvidia, amd] }' })
})

/** An image of a registry, or an archive as any other source. */
export type ImageSource = { kind: 'registry', image: ContainerImage } | Source

const image = reading<ImageSource>((value): Read<ImageSource> => {
  if (typeof value !== 'string' || value === '') return { fault: 'TYPE', message: `must be an image, not ${shown(value)}`, hint: 'Write name@sha256:…, cid:… or the path of an archive' }
  const read = readImage(value)
  switch (read.kind) {
    case 'source': return readSource(value)
    case 'wrong': return { fault: 'VALUE', message: read.message, hint: read.hint }
    case 'registry': return { value: read }
  }
})

/** A file beside the job. Its bytes never become content that others could ask for. */
const secretFile = reading<string>((value) => {
  const read = readSource(value)
  return 'fault' in read ? read : read.value.kind === 'path' ? { value: read.value.path } : { fault: 'VALUE', message: 'is content that anybody may hold', hint: 'Name a file beside the job' }
})

/** `PeerId:base64`. */
const signature = reading<ImageSignature>((value) => {
  const [signer = '', encoded = ''] = typeof value === 'string' ? value.split(':') : []
  const bytes = /^[A-Za-z0-9+/]{86}==$/.test(encoded) ? Uint8Array.from(atob(encoded), (char) => char.charCodeAt(0)) : undefined
  const parsed = imageSignature.safeParse({ signer, signature: bytes })
  return parsed.success ? { value: parsed.data } : { fault: 'VALUE', message: `${shown(value)} is not a signature`, hint: 'Copy what `image sign` prints: a PeerId, ":" and 88 characters' }
})

const compareSchema = z.strictObject({
  with: field(source.optional(), { type: 'path or cid:…', meaning: 'A WebAssembly program that finds two results below /in/a and /in/b, each with stdout, stderr and out/, and ends with exit code 0 when they agree, 1 when they differ. It runs on your own PC only', example: 'tolerance.wasm' }),
  verify: field(source.optional(), { type: 'path or cid:…', meaning: 'A WebAssembly program that finds one result below /in/result, and the task\'s inputs below /in/inputs, and ends with exit code 0 when it is right, 1 when it is wrong: then one replica is enough', example: 'check.wasm' }),
  args: field(z.array(word(MAX_WORD_CHARS)).max(MAX_ARGS).optional(), { type: 'list of texts', meaning: 'Its arguments; the same placeholders as in args', example: '["0.001"]', default: 'none' })
})

/** The job file as people write it. Its output has units parsed, and gaps where the file says nothing. */
export const jobFileSchema = z.strictObject({
  name: field(noun('a name', MAX_NAME_CHARS, 'a short name on one line').optional(), { type: 'text', meaning: 'What you call the job, 64 characters at most; everyone who runs it sees it', example: 'house at dusk', default: 'the name of the module or image' }),
  engine: field(oneOf(ENGINES).optional(), { type: ENGINES.join(' or '), meaning: 'What runs the program', example: 'wasm', default: 'wasm with a module, container with an image' }),
  module: field(source.optional(), { type: 'path or cid:…', meaning: 'The WebAssembly (WASI preview 1) program', example: 'tracer.wasm' }),
  image: field(image.optional(), { type: 'name@digest, path or cid:…', meaning: 'The container\'s image: of a registry, by digest; or an archive that hosts fetch from you (docker save, or the tar of a root file system). Needs hosts with a container engine', example: 'image.tar' }),
  imageSignatures: field(z.array(signature).max(4).optional(), { type: 'list of signatures', meaning: 'Who vouches for the image, as `image sign` prints it: hosts that trust a signer run it', example: '["12D3KooW…:base64"]', default: 'none' }),
  registryLogin: field(text('the name of a secret', 64, SECRET_NAME, 'Name one of secrets').optional(), { type: 'name of a secret', meaning: 'The secret that holds name:password for the image\'s registry', example: 'registry' }),
  secrets: field(z.record(z.string(), secretFile).optional(), { type: 'names and paths', meaning: 'Files that only the chosen hosts get, sealed to them, and the program finds at /run/secrets/NAME; containers only', example: '{ token: token.txt }', default: 'none' }),
  entrypoint: field(z.array(word(MAX_WORD_CHARS)).max(MAX_ARGS).optional(), { type: 'list of texts', meaning: 'Replaces the image\'s entrypoint', example: '[/bin/sh, -c]' }),
  command: field(z.array(word(MAX_WORD_CHARS)).max(MAX_ARGS).optional(), { type: 'list of texts', meaning: 'Another word for args, as containers call it', example: '["echo hello"]' }),
  network: field(z.strictObject({
    allow: field(z.array(noun('a domain', 253, 'a domain, such as example.org')).max(MAX_DOMAINS), { type: 'list of domains', meaning: 'Domains a container may reach; none without this key', example: '[example.org]' }),
    max: field(size(0, PARAMS.maxInputBytes).optional(), { type: 'size', meaning: 'Traffic of one task', example: '"100 MiB"', default: JOB_DEFAULTS.networkMax })
  }).optional(), { type: 'keys below', meaning: 'What a container may reach; wasm has no network', example: '{ allow: [example.org] }' }),
  args: field(z.array(word(MAX_WORD_CHARS)).max(MAX_ARGS).optional(), { type: 'list of texts', meaning: 'Arguments. With map, {index} is the task\'s number from 0, {item} its value and {item.name} the last part of a path', example: '[--tile, "{index}"]', default: 'none' }),
  env: field(z.record(z.string(), word(MAX_WORD_CHARS)).optional(), { type: 'names and texts', meaning: 'Environment; the same placeholders as in args', example: '{ QUALITY: high }', default: 'none' }),
  inputs: field(z.record(z.string(), source).optional(), { type: 'places and sources', meaning: 'What the program finds below /in: a file, a folder or cid:… at each place', example: '{ scene.txt: scenes/house.txt }', default: 'none' }),
  stdin: field(source.optional(), { type: 'path or cid:…', meaning: 'A file that each task reads as its standard input', example: 'query.sql', default: 'empty' }),
  outputs: field(z.array(outputPlace).max(MAX_OUTPUTS).optional(), { type: 'list of paths', meaning: 'Files below /out without which a task has failed; everything there comes back anyway', example: '[tile.png]', default: 'none' }),
  map: field(mapSchema.optional(), { type: 'keys below', meaning: 'Many tasks of one job: exactly one of range, list and files', example: '{ range: [0, 64] }', default: 'one task' }),
  resources: field(resourcesSchema.optional(), { type: 'keys below', meaning: 'What one task holds while it runs', example: '{ memory: "1 GiB" }' }),
  limits: field(limitsSchema.optional(), { type: 'keys below', meaning: 'How long things may take', example: '{ run: "30 m" }' }),
  replicas: field(count(1, PARAMS.maxReplicas).optional(), { type: 'number', meaning: 'Hosts that run each task at once', example: '3', default: `${JOB_DEFAULTS.replicas}, or the quorum` }),
  quorum: field(count(1, PARAMS.maxReplicas).optional(), { type: 'number', meaning: 'Equal results that make a task done', example: '2', default: '2 of 3 or more replicas, else all' }),
  adaptive: field(flag.optional(), { type: 'true or false', meaning: 'A host with a long record of right results needs no second opinion, most of the time', example: 'true', default: String(JOB_DEFAULTS.adaptive) }),
  spotCheck: field(share.optional(), { type: 'share', meaning: 'Extra runs of tasks whose answer is known, to catch liars where one replica is enough', example: '"5 %"', default: String(JOB_DEFAULTS.spotCheck) }),
  compare: field(compareSchema.optional(), { type: 'keys below', meaning: 'How results are compared: one of with and verify. For results that differ in their last digits, or that are easier to check than to make', example: '{ with: tolerance.wasm, args: ["0.001"] }', default: 'byte by byte' }),
  segments: field(count(2, MAX_SEGMENTS).optional(), { type: 'number', meaning: 'Parts of one task, such as frames: the program does those from $HEARTH_SEGMENT_FIRST to $HEARTH_SEGMENT_LAST, the last included, and writes each below /out/segment-NUMBER. Where results differ, only the first part that does is run again', example: '100', default: 'none' }),
  retries: field(count(0, MAX_RETRIES).optional(), { type: 'number', meaning: 'Further attempts at a task whose hosts failed', example: '5', default: String(JOB_DEFAULTS.retries) }),
  priceCap: field(price.optional(), { type: 'amount', meaning: 'The most the whole job may cost', example: '"0.01 ether"', default: 'none' }),
  select: field(oneOf(SELECTION_POLICIES).optional(), { type: SELECTION_POLICIES.join(', '), meaning: 'How hosts are chosen among those that fit', example: 'fastest', default: JOB_DEFAULTS.select }),
  placement: field(placementSchema.optional(), { type: 'keys below', meaning: 'Which hosts', example: '{ regions: [eu-west] }', default: 'any' })
})
export type JobFile = z.output<typeof jobFileSchema>

/** What other systems call our keys. */
const SYNONYMS: Record<string, string> = {
  cpu: 'resources.cores', cpus: 'resources.cores', vcpu: 'resources.cores', cores: 'resources.cores', ram: 'resources.memory', mem: 'resources.memory', memory: 'resources.memory',
  storage: 'resources.disk', gpus: 'resources.gpu', vram: 'resources.gpu.vram', timeout: 'limits.run', runtime: 'limits.run', deadline: 'limits.total',
  program: 'module', wasm: 'module', binary: 'module', arguments: 'args', argv: 'args', environment: 'env', files: 'inputs', mounts: 'inputs', input: 'inputs', output: 'outputs',
  budget: 'priceCap', maxprice: 'priceCap', price: 'priceCap', cost: 'priceCap', policy: 'select', selection: 'select', strategy: 'select', redundancy: 'replicas', copies: 'replicas',
  docker: 'image', container: 'image', password: 'secrets', passwords: 'secrets', credentials: 'registryLogin', login: 'registryLogin', auth: 'registryLogin', region: 'placement.regions', attempts: 'retries', foreach: 'map', matrix: 'map', comparator: 'compare.with', tolerance: 'compare.with', verifier: 'compare.verify', verify: 'compare.verify', check: 'compare.verify', frames: 'segments', parts: 'segments', batches: 'segments', each: 'map', latency: 'placement.maxLatency'
}

export const JOB_VOCABULARY: Vocabulary = {
  what: 'job file',
  synonyms: SYNONYMS,
  keys: describeFields(jobFileSchema).map(({ key }) => key)
}

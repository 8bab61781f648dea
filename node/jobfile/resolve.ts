import { documentCid } from '../../src/codec/hasher.ts'
import { arePathsApart, jobCodec, safePath } from '../../src/documents/job.ts'
import type { ContentInput, JobDocument } from '../../src/documents/job.ts'
import type { Secret } from '../../src/documents/secrets.ts'
import { HearthError, invariant } from '../../src/errors.ts'
import type { JobSpec } from '../../src/job/spec.ts'
import type { Source } from '../../src/job/spec-fields.ts'
import { PARAMS } from '../../src/params.ts'
import { formatSize } from '../../src/units.ts'
import { NetworkRules } from '../containers/network/rules.ts'
import { nativeHasher } from '../keys/native-hasher.ts'
import { importAll } from './import-all.ts'
import type { ImportProgress, JobStore } from './import-all.ts'
import { checkImage, checkModule } from './check-program.ts'
import { locate } from './local-source.ts'
import type { Local } from './local-source.ts'
import { resolvePlacement } from './provider-sets.ts'
import { locateSecret, readSecret } from './secrets.ts'

export interface ResolveRequest {
  spec: JobSpec
  /** Where the spec's paths begin, and what they may not leave. */
  baseDir: string
  /** Own PeerId. */
  requester: string
  nowWallMs: number
  /** 16 random bytes: makes every submission a job of its own. */
  nonce: Uint8Array
  store: JobStore
  /** `requester.providerSets` of the configuration. */
  providerSets?: Readonly<Record<string, readonly string[]>>
  onProgress?: (progress: ImportProgress) => void
  signal?: AbortSignal
}

export interface ResolvedJob {
  document: JobDocument
  /** CID of the document's canonical bytes. */
  id: string
  raw: Uint8Array
  /** Every CID that the job needs its requester to keep, each once. */
  roots: string[]
  /** Not part of the document, nor of any content. */
  secrets: Secret[]
}

/** What one key's source turned out to be: a local thing to import, or stored content. */
type Found = { from: 'disk', local: Local } | { from: 'store', cid: string, kind: 'file' | 'folder', sizeBytes: number }
type Content = Pick<ContentInput, 'cid' | 'kind' | 'sizeBytes'>

/** Stands for a CID that is not known yet, so that the document's size is checked before anything is imported. */
const UNKNOWN_CID = 'bafkreiaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa'

interface Parts {
  /** The module, or the archive of an image. */
  program: Found | undefined
  secrets: { name: string, local: Local }[]
  /** What compares the results: only this node needs it. */
  judge: Found | undefined
  stdin: Found | undefined
  inputs: { path: string, found: Found }[]
  files: { path: string, found: Found }[]
}

/** What a job would be, known without reading or storing anything. CIDs of what is not stored yet are placeholders. */
export interface JobDraft { draft: JobDocument, moduleBytes: number, /** Of all inputs, stdin and mapped files. */ inputBytes: number }

/** For `estimate`: everything that `resolveJob` checks, and nothing imported. Throws as `resolveJob`. */
export async function inspectJob(request: ResolveRequest): Promise<JobDraft> {
  const { draft, parts } = await inspect(request)
  return { draft, moduleBytes: parts.program === undefined ? 0 : sizeOf(parts.program), inputBytes: totalBytes({ ...parts, program: undefined, judge: undefined }) }
}

async function inspect(request: ResolveRequest): Promise<{ draft: JobDocument, parts: Parts, placement: JobDocument['placement'] }> {
  const { engine } = request.spec
  if (engine.kind === 'container' && engine.network !== undefined) NetworkRules.parse(engine.network.allow)
  const placement = resolvePlacement(request.spec.placement, request.providerSets ?? {})
  const parts = await findParts(request)
  checkParts(parts)
  const draft = makeDocument(request, placement, parts, (found) => found.from === 'disk' ? { cid: UNKNOWN_CID, kind: found.local.kind, sizeBytes: found.local.sizeBytes } : found)
  encode(draft)
  return { draft, parts, placement }
}

/**
 * Turns a checked job file into a job: looks at everything it names, and only when all of it is right imports it.
 * Throws `E_JOB_…`; whatever was imported until then is released again.
 */
export async function resolveJob(request: ResolveRequest): Promise<ResolvedJob> {
  const { parts, placement } = await inspect(request)
  const secrets = await Promise.all(parts.secrets.map(({ name, local }) => readSecret(name, local)))
  const all = allOf(parts)
  const imported = await importAll(all.flatMap((found) => found.from === 'disk' ? [found.local] : []), request)
  try {
    const contentOf = (found: Found): Content => {
      const content = found.from === 'store' ? found : imported.get(found.local.path)
      invariant(content !== undefined, 'a local file was not imported')
      return content
    }
    const document = makeDocument(request, placement, parts, contentOf)
    const raw = encode(document)
    return { document, raw, secrets, id: documentCid(nativeHasher, raw), roots: [...new Set(all.map((found) => contentOf(found).cid))] }
  } catch (error) {
    for (const { cid } of imported.values()) await request.store.release(cid)
    throw error
  }
}

function allOf({ program, judge, stdin, inputs, files }: Parts): Found[] {
  return [program, judge, stdin, ...inputs.map(({ found }) => found), ...files.map(({ found }) => found)].filter((found) => found !== undefined)
}

function totalBytes(parts: Parts): number {
  return allOf(parts).reduce((sum, found) => sum + sizeOf(found), 0)
}

async function findParts(request: ResolveRequest): Promise<Parts> {
  const { spec, baseDir } = request
  const find = (source: Source, key: string, kind: 'file' | 'any'): Promise<Found> => findSource(source, key, kind, request)
  const parts: Parts = { program: undefined, judge: undefined, secrets: [], stdin: undefined, inputs: [], files: [] }
  if (spec.engine.kind === 'wasm') {
    parts.program = await find(spec.engine.module, 'module', 'file')
    if (parts.program.from === 'disk') await checkModule(parts.program.local)
  } else {
    const { image, secrets = [] } = spec.engine
    if (image.kind !== 'registry') parts.program = await find(image, 'image', 'file')
    if (parts.program?.from === 'disk') await checkImage(parts.program.local)
    for (const { name, path } of secrets) parts.secrets.push({ name, local: await locateSecret(name, path, baseDir) })
  }
  if (spec.compare !== undefined) {
    const key = `compare.${spec.compare.by === 'program' ? 'with' : 'verify'}`
    parts.judge = await find(spec.compare.module, key, 'file')
    if (parts.judge.from === 'disk') await checkModule(parts.judge.local, key)
  }
  if (spec.stdin !== undefined) parts.stdin = await find(spec.stdin, 'stdin', 'file')
  for (const { path, source } of spec.inputs) parts.inputs.push({ path, found: await find(source, `inputs.${path}`, 'any') })
  if (spec.map?.kind === 'files') parts.files = await findFiles(spec.map.folder, baseDir)
  return parts
}

async function findSource(source: Source, key: string, kind: 'file' | 'any', { baseDir, store }: ResolveRequest): Promise<Found> {
  if (source.kind === 'path') return { from: 'disk', local: await locate(source.path, baseDir, { key, kind }) }
  const stored = await store.stat(source.cid)
  if (stored === undefined) throw new HearthError('E_JOB_CID', `${key}: ${source.cid} is not in this node's store`, 'Name a path, or fetch the content first')
  if (kind === 'file' && stored.kind !== 'file') throw new HearthError('E_JOB_KIND', `${key}: ${source.cid} is a folder, and a file is needed`, 'Name the CID of a file in it')
  return { from: 'store', cid: source.cid, kind: stored.kind, sizeBytes: stored.sizeBytes }
}

/** One task a file: all below the folder but names that begin with a dot, which systems leave behind by themselves. */
async function findFiles(folder: Source, baseDir: string): Promise<Parts['files']> {
  const written = folder.kind === 'path' ? folder.path : folder.cid
  const { files } = await locate(written, baseDir, { key: 'map.files', kind: 'folder' })
  const seen = files.filter(({ path }) => !path.split('/').some((part) => part.startsWith('.')))
  if (seen.length === 0) throw new HearthError('E_JOB_EMPTY', `map.files: the folder ${written} holds no file but hidden ones`, 'Put files into it, or name another')
  if (seen.length > PARAMS.maxTasks) throw new HearthError('E_JOB_SIZE', `map.files: ${written} holds ${seen.length} files, more than ${PARAMS.maxTasks} tasks`, 'Name a smaller folder, or map over a list of folders')
  return seen.map(({ path, hostPath, sizeBytes }) => ({ path, found: { from: 'disk', local: { written: `${written}/${path}`, path: hostPath, kind: 'file', sizeBytes, files: [] } } }))
}

function sizeOf(found: Found): number {
  return found.from === 'disk' ? found.local.sizeBytes : found.sizeBytes
}

function checkParts(parts: Parts): void {
  const { inputs, files } = parts
  const bad = files.find(({ path }) => !safePath.safeParse(path).success)
  if (bad !== undefined) throw badName('map.files', bad.path)
  const places = inputs.map(({ path }) => path)
  if (!arePathsApart([...places, ...files.map(({ path }) => path)])) {
    const clash = files.find(({ path }) => !arePathsApart([...places, path]))
    throw new HearthError('E_JOB_CONFLICT', `map.files: the file ${clash?.path ?? ''} would take the place of an input below /in`, 'Rename the input')
  }
  for (const { path, found } of inputs) if (found.from === 'disk') checkNames(path, found.local)
  const total = totalBytes(parts)
  if (total > PARAMS.maxInputBytes) throw new HearthError('E_JOB_SIZE', `the job's files have ${formatSize(total)}, more than ${formatSize(PARAMS.maxInputBytes)}`, 'Send less')
}

/** Names in an input folder reach the program's file tree, whose rules are those of every other path. */
function checkNames(place: string, local: Local): void {
  const bad = local.files.find(({ path }) => !safePath.safeParse(`${place}/${path}`).success)
  if (bad !== undefined) throw badName(`inputs.${place}`, bad.path)
}

function badName(key: string, path: string): HearthError {
  return new HearthError('E_JOB_PATH', `${key}: the name ${JSON.stringify(path)} can not be used on every host`, 'Rename it: no "-" in front, no control characters or backslashes, 512 characters at most')
}

function makeDocument({ spec, requester, nowWallMs, nonce }: ResolveRequest, placement: JobDocument['placement'], parts: Parts, contentOf: (found: Found) => Content): JobDocument {
  const content = (found: Found): Content => { const { cid, kind, sizeBytes } = contentOf(found); return { cid, kind, sizeBytes } }
  const program = parts.program === undefined ? undefined : content(parts.program)
  const judge = parts.judge === undefined ? undefined : content(parts.judge)
  const { map } = spec
  return {
    v: 1,
    name: spec.name,
    requester,
    createdWallMs: nowWallMs,
    nonce,
    engine: engineOf(spec.engine, program),
    args: spec.args,
    env: spec.env,
    inputs: parts.inputs.map(({ path, found }) => ({ path, ...content(found) })),
    ...(parts.stdin === undefined ? {} : { stdin: content(parts.stdin).cid }),
    outputs: spec.outputs,
    ...(map === undefined ? {} : { map: map.kind === 'files' ? { kind: 'files', files: parts.files.map(({ path, found }) => ({ path, ...content(found) })) } : map }),
    resources: spec.resources,
    limits: spec.limits,
    replication: spec.replication,
    ...(spec.compare === undefined ? {} : { compare: { by: spec.compare.by, ...moduleOf(judge), args: spec.compare.args } }),
    ...(spec.segments === undefined ? {} : { segments: spec.segments }),
    retries: spec.retries,
    selection: spec.selection,
    ...(spec.priceCapWei === undefined ? {} : { priceCapWei: spec.priceCapWei }),
    placement
  }
}

function moduleOf(program: Content | undefined): { module: string, moduleBytes: number } {
  return { module: program?.cid ?? UNKNOWN_CID, moduleBytes: program?.sizeBytes ?? 0 }
}

function engineOf(engine: JobSpec['engine'], program: Content | undefined): JobDocument['engine'] {
  if (engine.kind === 'wasm') return { kind: 'wasm', ...moduleOf(program) }
  const { image, secrets, ...rest } = engine
  return {
    ...rest,
    image: image.kind === 'registry' ? image.image : { from: 'content', cid: program?.cid ?? UNKNOWN_CID, sizeBytes: program?.sizeBytes ?? 0 },
    ...(secrets === undefined ? {} : { secrets: secrets.map(({ name }) => name) })
  }
}

function encode(document: JobDocument): Uint8Array {
  try {
    return jobCodec.encode(document)
  } catch (error) {
    if (error instanceof HearthError && error.code === 'E_DOCUMENT_SIZE') throw new HearthError('E_JOB_SIZE', `the job is too large to send: ${error.message}`, 'Map over fewer files, or use shorter names and arguments', { cause: error })
    throw error
  }
}

import type { ContentStore } from '../content/content-store.ts'
import { jobBlockCid } from '../work/job-files.ts'
import { contentJobStore, inspectJob, resolveJob } from '../jobfile/index.ts'
import { parseJobSpec } from '../../src/job/spec.ts'
import type { JobDocument } from '../../src/documents/job.ts'
import type { SubmitRequest, Watch } from '../api/contract.ts'
import { DRAFT_OWNER, JOB_OWNER } from './leftovers.ts'
import type { SecretStore } from './secret-store.ts'

export interface PrepareOptions {
  content: ContentStore
  requester: string
  providerSets: Readonly<Record<string, readonly string[]>>
  secrets: Pick<SecretStore, 'keep'>
}

type Prepared = { document: JobDocument, id: string }

function request({ content, requester, providerSets }: PrepareOptions, { spec, baseDir }: SubmitRequest, nonce: Uint8Array, watch: Watch = {}): Parameters<typeof resolveJob>[0] {
  return { ...watch, spec: parseJobSpec(spec), baseDir, requester, nowWallMs: Date.now(), nonce, store: contentJobStore(content, draftOwner(nonce)), providerSets }
}

function draftOwner(nonce: Uint8Array): string {
  return `${DRAFT_OWNER}${Buffer.from(nonce).toString('hex')}`
}

/** Checks what a person wrote, imports the files it names, and keeps them for the job. */
export async function prepareJob(options: PrepareOptions, submit: SubmitRequest, nonce: Uint8Array, watch?: Watch): Promise<Prepared> {
  const { content } = options
  const { document, id, raw, roots, secrets } = await resolveJob(request(options, submit, nonce, watch))
  const block = jobBlockCid(id)
  const owner = `${JOB_OWNER}${id}`
  try {
    await content.putBlock(block, raw)
    for (const cid of [block, ...roots]) await content.pin(cid, owner)
    await options.secrets.keep(id, secrets)
  } catch (err) {
    for (const cid of [block, ...roots]) await content.unpin(cid, owner)
    throw err
  } finally {
    for (const cid of roots) await content.unpin(cid, draftOwner(nonce))
  }
  return { document, id }
}

/** The same checks, and nothing imported: for `estimate`. */
export async function draftJob(options: PrepareOptions, submit: SubmitRequest, nonce: Uint8Array): Promise<JobDocument> {
  return (await inspectJob(request(options, submit, nonce))).draft
}

/** Everything a job's providers may read of its requester. */
export function jobRoots(document: JobDocument, id: string): Set<string> {
  const roots = new Set([jobBlockCid(id), ...document.inputs.map(({ cid }) => cid)])
  if (document.engine.kind === 'wasm') roots.add(document.engine.module)
  else if (document.engine.image.from === 'content') roots.add(document.engine.image.cid)
  if (document.stdin !== undefined) roots.add(document.stdin)
  if (document.map?.kind === 'files') for (const { cid } of document.map.files) roots.add(cid)
  return roots
}

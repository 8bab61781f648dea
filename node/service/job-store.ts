import type { ContentStore } from '../content/content-store.ts'
import { jobBlockCid } from '../work/job-files.ts'
import { resolveJob } from '../jobfile/index.ts'
import type { JobStore } from '../jobfile/index.ts'
import { parseJobSpec } from '../../src/job/spec.ts'
import type { JobDocument } from '../../src/documents/job.ts'
import type { SubmitRequest } from '../api/contract.ts'

export interface PrepareOptions {
  content: ContentStore
  requester: string
  providerSets: Readonly<Record<string, readonly string[]>>
}

/** Imports under way keep their content by a pin of their own, which the job's pin then replaces. */
function jobStore(content: ContentStore, owner: string): JobStore {
  return {
    importPath: async (path, options) => await content.importPath(path, { ...options, pinFor: owner }),
    stat: async (cid) => await content.stat(cid),
    release: async (cid) => { await content.unpin(cid, owner) }
  }
}

/**
 * Checks what a person wrote, imports the files it names, and keeps them for the job. `keep` false only looks: what was
 * imported may be evicted again.
 */
export async function prepareJob(options: PrepareOptions, request: SubmitRequest, nonce: Uint8Array, keep: boolean): Promise<{ document: JobDocument, id: string }> {
  const { content, requester, providerSets } = options
  const importing = `import:${Buffer.from(nonce).toString('hex')}`
  const { document, id, raw, roots } = await resolveJob({ spec: parseJobSpec(request.spec), baseDir: request.baseDir, requester, nowWallMs: Date.now(), nonce, store: jobStore(content, importing), providerSets })
  const block = jobBlockCid(id)
  if (keep) {
    await content.putBlock(block, raw)
    for (const cid of [block, ...roots]) await content.pin(cid, `job:${id}`)
  }
  for (const cid of roots) await content.unpin(cid, importing)
  return { document, id }
}

/** Everything a job's providers may read of its requester. */
export function jobRoots(document: JobDocument, id: string): Set<string> {
  const roots = new Set([jobBlockCid(id), ...document.inputs.map(({ cid }) => cid)])
  if (document.engine.kind === 'wasm') roots.add(document.engine.module)
  if (document.stdin !== undefined) roots.add(document.stdin)
  if (document.map?.kind === 'files') for (const { cid } of document.map.files) roots.add(cid)
  return roots
}

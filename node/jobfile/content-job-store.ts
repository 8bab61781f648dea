import type { ContentStore } from '../content/index.ts'
import type { JobStore } from './import-all.ts'

/**
 * The content store as making a job uses it: what is imported stays pinned for `owner`, so that it outlives a crash on the
 * way. When the job is stored, pin its roots for the job and unpin them for `owner`.
 */
export function contentJobStore(content: Pick<ContentStore, 'importPath' | 'stat' | 'unpin'>, owner: string): JobStore {
  return {
    importPath: (path, options) => content.importPath(path, { ...options, pinFor: owner }),
    stat: (cid) => content.stat(cid),
    release: (cid) => content.unpin(cid, owner)
  }
}

import type { ContentStore } from '../content/content-store.ts'
import { COMPARE_OWNER } from '../work/compare.ts'
import { HOSTED_OWNER } from '../work/job-files.ts'

/** What is kept while a job is being made, until it is stored. */
export const DRAFT_OWNER = 'draft:'
/** What is kept while a first result is looked at. */
export const EARLY_OWNER = 'early:'
/** What is kept for a job of this node, as long as the job is known. */
export const JOB_OWNER = 'job:'

/**
 * Lets go of what a crash left pinned: drafts, first looks, comparisons and files of others' jobs, which no process outlives (a run that goes on has them fetched again, from here), and what was kept for a job that
 * was never stored. Call it when jobs are restored and before anything is imported.
 */
export async function dropLeftovers(content: Pick<ContentStore, 'pins' | 'unpin'>, isKnown: (job: string) => boolean): Promise<void> {
  const isLeft = (owner: string): boolean => owner.startsWith(DRAFT_OWNER) || owner.startsWith(EARLY_OWNER) || owner.startsWith(COMPARE_OWNER) || owner.startsWith(HOSTED_OWNER) || (owner.startsWith(JOB_OWNER) && !isKnown(owner.slice(JOB_OWNER.length)))
  for (const { cid, owner } of [...content.pins()]) if (isLeft(owner)) await content.unpin(cid, owner)
}

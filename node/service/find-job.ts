import { HearthError } from '../../src/errors.ts'
import type { Job } from '../../src/job/job.ts'

/** A job by id, or by a beginning or end that only one has. Throws E_JOB_UNKNOWN, E_JOB_AMBIGUOUS. */
export function findJob(jobs: ReadonlyMap<string, Job>, id: string): Job {
  const exact = jobs.get(id)
  if (exact !== undefined) return exact
  const matches = id.length === 0 ? [] : [...jobs.values()].filter((job) => job.id.startsWith(id) || job.id.endsWith(id))
  const [match] = matches
  if (match === undefined) throw new HearthError('E_JOB_UNKNOWN', `there is no job ${id}`, 'List them with `jobs`')
  if (matches.length > 1) throw new HearthError('E_JOB_AMBIGUOUS', `${matches.length} jobs begin with ${id}`, 'Give more characters of the id')
  return match
}

import type { Notice } from '../../src/core/effect.ts'

/**
 * Whether a notice belongs to a job's story, as a person tells it afterwards. Step-by-step notices of a large job would
 * cost more than its tasks: they are for those who watch, and neither stored nor written to a log.
 */
export function tellsStory(notice: Notice): boolean {
  // what is earned is no part of a job of one's own, and has a journal to itself
  if (notice.kind === 'hosting' || notice.kind === 'bid' || notice.kind === 'money' || notice.kind === 'won') return false
  return notice.kind !== 'task' || notice.state === 'done' || notice.state === 'failed' || notice.state === 'retry'
}

/** What a node without a prompt writes to its log: the stories of its own jobs, and how each task of others ended here. */
export function belongsInLog(notice: Notice): boolean {
  return tellsStory(notice) || notice.kind === 'money' || notice.kind === 'won' || (notice.kind === 'hosting' && (notice.state === 'finished' || notice.state === 'failed'))
}

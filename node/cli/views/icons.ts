import type { JobState } from '../../api/contract.ts'
import type { Style } from '../term/paint.ts'

/** One mark and colour a state, everywhere the same. */
export const JOB_MARKS: Record<JobState, { mark: string, style: Style }> = {
  tendering: { mark: '◌', style: 'yellow' },
  running: { mark: '●', style: 'ember' },
  done: { mark: '✓', style: 'green' },
  failed: { mark: '✗', style: 'red' },
  cancelled: { mark: '–', style: 'dim' }
}

/** What the states are called to people. */
export const JOB_WORDS: Record<JobState, string> = {
  tendering: 'looking for providers',
  running: 'running',
  done: 'done',
  failed: 'failed',
  cancelled: 'cancelled'
}

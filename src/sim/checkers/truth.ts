import type { Checker } from '../observation.ts'
import { putTasks } from './records.ts'

/**
 * Invariant 9: what a vote accepts is true, while liars that agree are fewer than its quorum. A single word that nobody
 * confirmed may be a lie: it is stored as not verified, and a job that asked for a quorum has such words from trusted peers only.
 */
export function acceptedIsTrue(): Checker {
  return {
    name: 'accepted is true',
    observe(observation, world) {
      if (observation.kind !== 'committed') return undefined
      for (const { job: id, task } of putTasks(observation.writes)) {
        const job = world.jobOf(id)
        if (job === undefined) continue
        const truth = world.truth.result(id, job.spec, task.index)
        const { state } = task
        if (state.kind === 'done') {
          // a verifier is never wrong here, whoever's word it is
          const single = !state.verified && (job.spec.quorum === 1 || job.spec.adaptive) && job.spec.compare !== 'verifier'
          if (!world.truth.isTrue(id, job.spec, task.index, state.content) && !single) return `task ${task.index} of ${id} was accepted with a wrong result, quorum ${task.quorum}`
          if (!state.verified && job.spec.quorum > 1 && !job.spec.adaptive) return `task ${task.index} of ${id} was accepted on one peer's word`
        }
        if (state.kind === 'failed' && state.error.code.startsWith('E_TRAP') && truth.status !== 'trapped') return `task ${task.index} of ${id} failed by a trap that no honest run has`
      }
      return undefined
    }
  }
}

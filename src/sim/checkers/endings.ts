import type { StoredRecord } from '../../core/effect.ts'
import type { JobRecord } from '../../job/job.ts'
import type { TaskRecord } from '../../job/task.ts'
import type { Checker, JobInWorld, WorldView } from '../observation.ts'
import { canonical, putJobs, putTasks } from './records.ts'

/** Invariant 4: a job ends in exactly one terminal state, once, across restarts; each of its tasks is done once. */
export function endsOnce(): Checker {
  const ended = new Map<string, string>()
  const told = new Map<string, string>()
  const tasks = new Map<string, string>()
  return {
    name: 'ends once',
    observe(observation, world) {
      if (observation.kind === 'performed' && observation.effect.kind === 'notify') {
        const { notice } = observation.effect
        if (notice.kind !== 'job' || notice.state === 'tendering' || notice.state === 'running') return undefined
        const before = told.get(notice.job)
        told.set(notice.job, notice.state)
        return before === undefined ? undefined : `job ${notice.job} was told to be ${before}, and then ${notice.state}`
      }
      if (observation.kind === 'settled') return world.jobs.map((job) => incomplete(job, world)).find((problem) => problem !== undefined)
      if (observation.kind !== 'committed') return undefined
      // Tasks first: the last of them and the job's end are one batch.
      for (const { job, task } of putTasks(observation.writes)) {
        const key = `${job}/${task.index}`
        const before = tasks.get(key)
        const now = task.state.kind === 'done' ? `done ${task.state.hash}` : task.state.kind
        tasks.set(key, now)
        if (before?.startsWith('done') === true && now.startsWith('done') && now !== before) return `task ${key} was ${before}, then ${now}`
        if (before === 'failed' && now !== 'failed') return `task ${key} failed, and then was ${now}`
        if (ended.has(job) && before !== now && now.startsWith('done')) return `task ${key} was done after its job had ended`
      }
      for (const { id, state } of putJobs(observation.writes)) {
        const before = ended.get(id)
        if (before !== undefined && before !== canonical(state)) return `job ${id} ended as ${before}, then as ${canonical(state)}`
        if (state.kind !== 'running') ended.set(id, canonical(state))
      }
      return undefined
    }
  }
}

/** A job that says it is done has every task done, on disk. */
function incomplete({ id, spec }: JobInWorld, world: WorldView): string | undefined {
  const disk = world.computers[spec.requester]?.disk
  const record: StoredRecord | undefined = disk?.get(`job/${id}`)
  if (disk === undefined || record === undefined || (record as JobRecord).state.kind !== 'done') return undefined
  for (let task = 0; task < spec.tasks; task++) {
    const state = (disk.get(`task/${id}/${task}`) as TaskRecord | undefined)?.task.state.kind
    if (state !== 'done') return `job ${id} is done, but its task ${task} is ${state ?? 'not there'}`
  }
  return undefined
}

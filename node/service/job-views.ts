import type { Job } from '../../src/job/job.ts'
import { isLive } from '../../src/job/task.ts'
import type { Task } from '../../src/job/task.ts'
import type { JobDetail, JobState, JobSummary, Timestamped } from '../api/contract.ts'

export function jobState(job: Job): JobState {
  if (job.state.kind !== 'running') return job.state.kind
  return job.begun ? 'running' : 'tendering'
}

export function jobSummary(job: Job): JobSummary {
  const active = [...job.tasks.values()].filter((task) => task.state.kind === 'fetching' || (task.state.kind === 'active' && task.replicas.some(isLive))).length
  return {
    id: job.id,
    name: job.document.name,
    state: jobState(job),
    createdWallMs: job.createdWallMs,
    ...job.state.kind === 'running' ? {} : { endedWallMs: job.state.endedWallMs },
    tasks: job.taskCount,
    done: job.done,
    failed: job.failed,
    active,
    ...job.state.kind === 'failed' ? { error: job.state.error } : {}
  }
}

function taskView(task: Task): JobDetail['taskList'][number] {
  const running = task.replicas.map(({ state }) => state.kind === 'running' ? state.fraction : 0)
  const state = task.state.kind === 'active' ? task.replicas.findLast(isLive)?.state.kind ?? 'waiting' : task.state.kind
  return {
    index: task.index,
    state,
    attempts: task.attempts,
    peers: [...new Set(task.replicas.map(({ provider }) => provider))],
    fraction: task.state.kind === 'done' ? 1 : Math.max(0, ...running),
    verified: task.state.kind === 'done' && task.state.verified,
    ...task.state.kind === 'done' ? { content: task.state.content, exitCode: task.state.exitCode } : {},
    ...usageOf(task),
    ...task.state.kind === 'failed' ? { error: task.state.error } : {}
  }
}

/** What the first accepted run took, as its provider measured it. */
function usageOf(task: Task): Pick<JobDetail['taskList'][number], 'usage'> {
  const state = task.replicas.find((replica) => replica.state.kind === 'accepted')?.state
  return state?.kind === 'accepted' && state.usage !== undefined ? { usage: state.usage } : {}
}

interface Tally { state: string, tasks: number, done: number, wrong: number, failed: number }

/** Who did what, over all tasks and attempts. */
function providerViews(job: Job): JobDetail['providers'] {
  const tallies = new Map<string, Tally>()
  for (const task of job.tasks.values()) {
    for (const { provider, state } of task.replicas) {
      const tally = tallies.get(provider) ?? { state: 'gone', tasks: 0, done: 0, wrong: 0, failed: 0 }
      tally.tasks++
      // that all agree on a failure makes the task no success
      if (state.kind === 'accepted' && task.state.kind !== 'failed') tally.done++
      if (state.kind === 'accepted' && task.state.kind === 'failed') tally.failed++
      if (state.kind === 'rejected') tally.wrong++
      if (state.kind === 'failed' || state.kind === 'lost' && state.code.startsWith('E_PEER')) tally.failed++
      tallies.set(provider, tally)
    }
  }
  for (const deal of job.deals.values()) {
    const tally = tallies.get(deal.provider) ?? { state: '', tasks: 0, done: 0, wrong: 0, failed: 0 }
    tallies.set(deal.provider, { ...tally, state: deal.state })
  }
  return [...tallies].map(([peer, tally]) => ({ peer, ...tally, state: job.state.kind === 'running' ? tally.state : 'ended' }))
}

export function jobDetail(job: Job, timeline: Timestamped[]): JobDetail {
  const { quorum, replicas } = job.document.replication
  return { ...jobSummary(job), quorum, replicas, providers: providerViews(job), taskList: [...job.tasks.values()].map(taskView).sort((a, b) => a.index - b.index), timeline }
}

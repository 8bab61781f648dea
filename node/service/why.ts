import type { Job } from '../../src/job/job.ts'
import { waitingCount } from '../../src/job/job.ts'
import type { Hosting } from '../../src/job/hosting.ts'
import type { WhyReport } from '../api/contract.ts'
import { jobState } from './job-views.ts'

function verdict(job: Job): string {
  const state = jobState(job)
  const refusals = job.refusals.list().length
  switch (state) {
    case 'done': return job.taskCount === 1 ? 'Its task is done' : `All ${job.taskCount} tasks are done`
    case 'cancelled': return 'You cancelled it'
    case 'failed': return job.state.kind === 'failed' ? `${job.state.error.code}: ${job.state.error.message}` : ''
    case 'tendering': return refusals === 0 ? 'No provider has answered yet' : `No provider has taken it yet; ${refusals} declined`
    case 'running': return waitingCount(job) === 0
      ? 'Every task that is not done runs now'
      : `${waitingCount(job) === 1 ? '1 task waits' : `${waitingCount(job)} tasks wait`} for ${job.blocked ? 'a provider that has not tried them' : 'a free place'}: ${job.deals.size === 1 ? '1 provider works' : `${job.deals.size} providers work`} on the job`
  }
}

/** Names the requirement that keeps most peers away, and who said what. */
export function whyJob(job: Job, connectedPeers: number): WhyReport {
  const missing = job.refusals.missing().map(({ code, message, peers, onlyThis }) => ({ code, requirement: message, peers, wouldFitOtherwise: onlyThis }))
  const hints: string[] = []
  const decisive = missing.find(({ wouldFitOtherwise }) => wouldFitOtherwise > 0)
  if (decisive !== undefined && job.done === 0) hints.push(`${decisive.wouldFitOtherwise} of ${job.refusals.list().length} peers meet everything but ${decisive.code}: ${decisive.requirement}`)
  if (connectedPeers === 0) hints.push('This node has no peers: see `doctor`, or `dial` one')
  const { engine, placement } = job.document
  if (connectedPeers > 0 && jobState(job) === 'tendering' && job.refusals.list().length === 0) hints.push(`No known peer serves ${engine.kind === 'wasm' ? 'WebAssembly' : engine.kind} jobs${placement.regions === undefined ? '' : ` in ${placement.regions.join(', ')}`} now: \`ads\` shows what peers offer. The job waits for one until its limits.queue is over`)
  const { replicas } = job.document.replication
  if (job.blocked && replicas > 1) hints.push(`Each task needs ${replicas} different providers; ${job.deals.size} work on the job now`)
  for (const task of job.tasks.values()) {
    const failed = task.replicas.find(({ state }) => state.kind === 'failed')?.state
    if (failed?.kind === 'failed') { hints.push(`Task ${task.index} failed first with ${failed.code}: ${failed.message}`); break }
  }
  return { subject: job.id, verdict: verdict(job), missing, refusals: job.refusals.list().map(({ peer, code, message, times }) => ({ peer, code, message, times })), hints }
}

/** What keeps work away from this host. */
export function whyIdle(hosting: Hosting, connectedPeers: number, reachable: boolean): WhyReport {
  const closed = hosting.closedBecause()
  const declines = [...hosting.declines].sort((a, b) => b[1] - a[1])
  const total = declines.reduce((sum, [, times]) => sum + times, 0)
  const running = hosting.leases.length
  const hints: string[] = []
  if (closed !== undefined) hints.push(closed.code === 'E_HOST_PAUSED' ? 'Type `resume`' : 'See `share` for what this PC lends, to whom and when')
  if (connectedPeers === 0) hints.push('No peer is connected, so no offer arrives: see `doctor`')
  if (!reachable && connectedPeers > 0) hints.push('No public address is known: requesters elsewhere may not reach this PC; see `doctor`')
  if (closed === undefined && connectedPeers > 0 && total === 0 && running === 0) hints.push('Nobody has offered work of your kind since the start')
  const sentence = running > 0 ? `It is not idle: ${running === 1 ? '1 task is' : `${running} tasks are`} here`
    : closed !== undefined ? `This PC ${closed.message}`
      : connectedPeers === 0 ? 'No peers' : total === 0 ? 'No offers' : `It declined ${total === 1 ? '1 offer' : `${total} offers`}`
  return { subject: 'idle', verdict: sentence, missing: declines.map(([code, times]) => ({ code, requirement: code, peers: times, wouldFitOtherwise: 0 })), refusals: [], hints }
}

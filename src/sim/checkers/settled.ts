import type { JobRecord } from '../../job/job.ts'
import { isReliable, paysHonestly } from '../behaviour.ts'
import type { Computer } from '../computer.ts'
import type { Checker, JobInWorld, WorldView } from '../observation.ts'
import { horizonMs, RICH } from '../scenario.ts'
import type { JobSpec, PeerSpec, Scenario } from '../scenario.ts'

/** Kinds of records that may outlive all work. */
/** What was paid stays until its job is forgotten; a host's last number and evidence against others stay for ever. */
const MAY_STAY = ['job/', 'task/', 'peer/', 'guest/', 'pay/', 'spent/', 'spend/', 'exposure/', 'conflict/']
/** A healed network needs this long for any job of a random world. */
const ENOUGH_MS = 6 * 60_000
/** A run takes up to this many times its job's usual time. */
const LONGEST_RUN = 1.5

/** Money is no reason to fail: its requester pays as it should, is rich, and has set itself no cap. */
function canPay({ requester }: JobSpec, { payment, peers }: Scenario): boolean {
  const payer = peers[requester]
  if (payment === undefined || payer === undefined) return true
  const { money = RICH, behaviour } = payer
  return paysHonestly(behaviour) && money.depositGwei === RICH.depositGwei && money.bondGwei === RICH.bondGwei && money.jobCapGwei === undefined && money.dayCapGwei === undefined
}

/** Whether honest hosts suffice and time is left, so that nothing excuses this job from being done. */
export function mustSucceed(spec: JobSpec, scenario: Scenario): boolean {
  const leftMs = spec.atMs + spec.limits.totalMs - Math.max(spec.atMs, scenario.healAtMs) - ENOUGH_MS
  const hosts = scenario.peers.filter((peer, i) => i !== spec.requester && peer.lends && peer.cores >= spec.cores && isReliable(peer.behaviour) && wholeJobMs(spec, peer) <= leftMs).length
  // Where a second voice is wanted and the first lied, a third must be true.
  const liars = scenario.peers.some(({ behaviour }) => behaviour.kind === 'liar')
  const needed = Math.max(spec.quorum, liars && spec.spotCheckShare > 0 ? 2 : 1)
  // a run that never ends is the program's fault as far as anybody can tell
  const blamers = scenario.peers.some(({ behaviour }) => behaviour.kind === 'claimant' || (behaviour.kind === 'flaky' && behaviour.blames))
  const fromMs = Math.max(spec.atMs, scenario.healAtMs)
  const inTime = spec.atMs + spec.limits.totalMs >= fromMs + ENOUGH_MS && spec.atMs + spec.limits.queueMs >= fromMs + ENOUGH_MS
  return canPay(spec, scenario) && spec.cancelAtMs === undefined && spec.failing.length === 0 && !blamers && inTime && hosts >= needed
}

/** How long this host would take for every task of a job: where each needs its voice, a straggler may lack the time. */
function wholeJobMs({ tasks, runMs, cores }: JobSpec, host: PeerSpec): number {
  const slow = host.behaviour.kind === 'straggler' ? LONGEST_RUN * host.behaviour.factor : 1
  return slow === 1 ? 0 : Math.ceil(tasks / Math.floor(host.cores / cores)) * runMs * slow
}

/** Invariant 13: after healing every job settles within its time, and nothing of it is left anywhere but its result. */
export function allSettles(): Checker {
  return {
    name: 'all settles',
    observe(observation, world) {
      if (observation.kind !== 'settled') return undefined
      for (const job of world.jobs) {
        const problem = unsettled(job, world)
        if (problem !== undefined) return problem
      }
      for (const computer of world.computers) {
        const problem = stranded(computer)
        if (problem !== undefined) return problem
      }
      return observation.quiet ? undefined : `something would still happen after ${Math.round(horizonMs(world.scenario) / 1000)} s`
    }
  }
}

function unsettled({ id, spec }: JobInWorld, world: WorldView): string | undefined {
  const record = world.computers[spec.requester]?.disk.get(`job/${id}`) as JobRecord | undefined
  if (record === undefined) return `job ${id} was never stored`
  const { state } = record
  if (state.kind === 'running') return `job ${id} is still running`
  const tookMs = state.endedWallMs - record.createdWallMs
  const excusedMs = Math.max(0, world.scenario.healAtMs - spec.atMs - spec.limits.totalMs) + 60_000
  if (tookMs > spec.limits.totalMs + excusedMs) return `job ${id} took ${tookMs} ms, its limit is ${spec.limits.totalMs}`
  if (state.kind !== 'done' && mustSucceed(spec, world.scenario)) return `job ${id} ${state.kind === 'failed' ? `failed with ${state.error.code} (${state.error.message})` : `was ${state.kind}`}, although honest hosts and time sufficed`
  const believesLiars = (spec.quorum === 1 || spec.adaptive) && world.scenario.peers.some(({ behaviour }) => behaviour.kind === 'liar')
  if (state.kind === 'done' && spec.failing.length > 0 && !believesLiars) return `job ${id} is done, although its program fails`
  if (state.kind === 'cancelled' && spec.cancelAtMs === undefined) return `job ${id} was cancelled by nobody`
  return undefined
}

function stranded(computer: Computer): string | undefined {
  const left = Object.entries(computer.peer?.sizes() ?? {}).filter(([what, size]) => size > 0 && what !== 'jobs')
  if (left.length > 0) return `${computer.name} is left with ${left.map(([what, size]) => `${size} ${what}`).join(', ')}`
  const key = computer.disk.records().map(([found]) => found).find((found) => !MAY_STAY.some((prefix) => found.startsWith(prefix)))
  if (key !== undefined) return `the disk of ${computer.name} is left with ${key}`
  if (computer.sandbox.runs.length > 0) return `${computer.name} still runs ${computer.sandbox.runs.length} tasks`
  if (computer.results.size > 0) return `${computer.name} still keeps ${computer.results.size} results that nobody wants, such as that of ${[...computer.results.keys()][0]}`
  const free = computer.advertised?.free
  const { cores, memoryBytes } = computer.hardware()
  if (free !== undefined && (Math.abs(free.cores - cores) > 1e-6 || free.memoryBytes !== memoryBytes)) return `${computer.name} still reserves ${cores - free.cores} cores`
  return undefined
}

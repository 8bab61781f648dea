/** The rules that decide, held against the field's closed forms. Seeds are fixed; bounds are five standard deviations. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { Outbox } from '../../src/core/outbox.ts'
import { Timers } from '../../src/core/timers.ts'
import { Turn } from '../../src/core/turn.ts'
import { ZERO_ADDRESS, ZERO_BYTES32 } from '../../src/documents/agreement.ts'
import type { Bid } from '../../src/documents/bid.ts'
import { commitHash } from '../../src/documents/receipt.ts'
import type { Receipt } from '../../src/documents/receipt.ts'
import { Ballot } from '../../src/job/ballot.ts'
import { Deals } from '../../src/job/deals.ts'
import { newJob } from '../../src/job/job.ts'
import { freshTask, wantedReplicas } from '../../src/job/task.ts'
import type { Replica, Task } from '../../src/job/task.ts'
import { tally } from '../../src/job/vote.ts'
import { trustedAlone } from '../../src/reputation/adaptive.ts'
import { Guests } from '../../src/market/guests.ts'
import { Paying } from '../../src/job/paying.ts'
import { Accounts } from '../../src/payment/accounts.ts'
import { Histories } from '../../src/reputation/history.ts'
import { addressOf, peerIdOf } from '../../src/sim/computer.ts'
import { documentOf } from '../../src/sim/documents.ts'
import { countingHasher } from '../../src/sim/hasher.ts'
import { Random } from '../../src/sim/random.ts'
import type { Fault, JobSpec } from '../../src/sim/scenario.ts'
import { cidOf } from '../../src/sim/truth.ts'
import { World } from '../../src/sim/world.ts'
import { GIB, HOUR_MS } from '../../src/units.ts'

function binomial(n: number, k: number): number {
  let value = 1
  for (let i = 0; i < k; i++) value = value * (n - i) / (i + 1)
  return value
}

/** Sarmenta 2002: error of m-first voting when a share `phi` of voters agrees on one lie. */
function votingError(phi: number, m: number): number {
  let error = 0
  for (let j = m; j <= 2 * m - 1; j++) error += binomial(2 * m - 1, j) * phi ** j * (1 - phi) ** (2 * m - 1 - j)
  return error
}

/** Votes come one by one until somebody has m; true when the lie won. */
function lieWins(random: Random, phi: number, m: number): boolean {
  const votes: { provider: string, hash: string }[] = []
  for (;;) {
    votes.push({ provider: `p${votes.length}`, hash: random.float() < phi ? 'lie' : 'truth' })
    const outcome = tally(votes, m)
    if (outcome.kind === 'accepted') return outcome.hash === 'lie'
  }
}

for (const [phi, m] of [[0.2, 2], [0.1, 2], [0.2, 3], [0.3, 4]] as const) {
  test(`m-first voting errs as the closed form says: phi ${phi}, m ${m}`, () => {
    const n = 40_000
    const random = new Random(7)
    const expected = votingError(phi, m)
    let wrong = 0
    for (let i = 0; i < n; i++) if (lieWins(random, phi, m)) wrong++
    assert.ok(Math.abs(wrong / n - expected) <= 5 * Math.sqrt(expected * (1 - expected) / n), `${wrong / n} against ${expected}`)
  })
}

test('the closed form gives the known value', () => {
  assert.ok(Math.abs(votingError(0.2, 2) - 0.104) < 1e-9)
})

test('a trusted peer is still checked about once in n tasks', () => {
  const random = new Random(11)
  const n = 50_000
  for (const consecutiveValid of [10, 20, 100]) {
    const history = { v: 1 as const, peer: 'p', completed: 0, failed: 0, late: 0, wrong: 0, consecutiveValid, served: 0, faulty: 0, stars: 0, updatedWallMs: 0 }
    let checked = 0
    for (let i = 0; i < n; i++) if (!trustedAlone(history, random.float())) checked++
    const p = 1 / consecutiveValid
    assert.ok(Math.abs(checked - n * p) <= 5 * Math.sqrt(n * p * (1 - p)), `${checked} of ${n} checked at ${consecutiveValid}`)
  }
})

test('fewer than ten valid results in a row, or one wrong, earn no trust', () => {
  const history = { v: 1 as const, peer: 'p', completed: 99, failed: 0, late: 0, wrong: 0, consecutiveValid: 9, served: 0, faulty: 0, stars: 0, updatedWallMs: 0 }
  assert.not(trustedAlone(history, 0.999))
  assert.not(trustedAlone({ ...history, consecutiveValid: 1000, wrong: 1 }, 0.999))
})

const JOB: JobSpec = {
  requester: 0, atMs: 0, tasks: 1, quorum: 2, replicas: 2, adaptive: false, spotCheckShare: 0, retries: 0, selection: 'fastest', cores: 1, runMs: 1000,
  limits: { queueMs: HOUR_MS, runMs: HOUR_MS, totalMs: 10 * HOUR_MS, logBytes: 0 }, failing: []
}

/** One task through the real ballot: leases, commits, closed sets, reveals, verdict. Each replica has a provider of its own that lies with probability `phi`. */
class Booth {
  readonly #hasher = countingHasher()
  readonly #turn = new Turn({ monoMs: 0, wallMs: 1_800_000_000_000 }, new Uint8Array(32), this.#hasher)
  readonly #self = { identity: { peer: peerIdOf(0), address: addressOf(0), payee: addressOf(0), peerSignature: new Uint8Array(64), moneySignature: '' }, separator: new Uint8Array(32), chainId: 0, contract: ZERO_ADDRESS, paramsHash: ZERO_BYTES32 }
  readonly #timers = new Timers()
  readonly #parts = { self: this.#self, timers: this.#timers, outbox: new Outbox(this.#timers), histories: new Histories(), guests: new Guests({ allow: [], coreMsADay: 0 }), post: { send: () => undefined, add: () => undefined, done: () => undefined, has: () => false } }
  readonly #deals = new Deals(this.#parts, new Paying(this.#parts, new Accounts(), undefined))
  readonly #ballot = new Ballot(this.#parts, this.#deals, { changed: () => undefined, ended: () => undefined, caught: () => undefined, broken: () => undefined })
  readonly #job = newJob({ v: 1, id: cidOf('booth'), document: documentOf(JOB, peerIdOf(0), 0), createdWallMs: 1_800_000_000_000, offerRound: 1, begun: true, state: { kind: 'running' } })
  readonly #random: Random
  readonly #phi: number
  #providers = 0

  constructor(random: Random, phi: number) {
    this.#random = random
    this.#phi = phi
  }

  /** Whether the lie was accepted. */
  lieWins(m: number): boolean {
    const task: Task = { ...freshTask(0), quorum: m, spread: m }
    const receipts = new Map<Replica, Receipt>()
    while (task.state.kind === 'active') {
      while (wantedReplicas({}, task) > 0) this.#lease(task, receipts)
      for (const replica of [...task.replicas]) {
        const receipt = receipts.get(replica)!
        if (replica.state.kind === 'leased') this.#ballot.commit(this.#turn, this.#job, task, replica, commitHash(this.#hasher, receipt, this.#deals.get(replica.agreement)!.deal.agreement.providerAddress, ZERO_BYTES32))
      }
      for (const replica of [...task.replicas]) if (replica.state.kind === 'closing') this.#ballot.reveal(this.#turn, this.#job, task, replica, { kind: 'reveal', receipt: receipts.get(replica)!, nonce: ZERO_BYTES32 })
    }
    assert.is(task.state.kind, 'fetching')
    for (const { agreement } of task.replicas) this.#deals.end(this.#turn, this.#deals.get(agreement)!.deal, 'E_JOB_ENDED', '', { tell: false })
    return task.state.kind === 'fetching' && task.state.content === cidOf('lie')
  }

  #lease(task: Task, receipts: Map<Replica, Receipt>): void {
    const index = ++this.#providers
    const identity = { ...this.#self.identity, peer: peerIdOf(index), address: addressOf(index), payee: addressOf(index) }
    const bid: Bid = { v: 1, job: this.#job.id, round: 1, identity, slots: 1, startMs: 0, expiresWallMs: 0, hardware: { cores: 1, memoryBytes: GIB, diskBytes: 0, gpus: [] }, region: 'any', terms: { mode: 'free' }, taskPriceWei: 0n, bondWei: 0n, exposureWei: 0n }
    const deal = this.#deals.open(this.#turn, this.#job, bid, 1)
    const replica: Replica = { agreement: deal.id, provider: identity.peer, payee: identity.payee, attempt: task.attempts++, sinceMonoMs: 0, check: false, state: { kind: 'leased' } }
    const content = cidOf(this.#random.chance(this.#phi) ? 'lie' : 'truth')
    receipts.set(replica, { agreement: deal.id, task: 0, attempt: replica.attempt, result: { status: 'exited', exitCode: 0, trap: 'E_NONE', content, contentBytes: 1 }, usage: { wallMs: 1, cpuMs: 1, peakMemoryBytes: 1, fuel: 1 }, finalRoot: ZERO_BYTES32 })
    task.replicas.push(replica)
  }
}

test('the real ballot, with commits, closed sets and reveals, errs as the closed form says', () => {
  const n = 3000
  const expected = votingError(0.2, 2)
  const booth = new Booth(new Random(13), 0.2)
  let wrong = 0
  for (let i = 0; i < n; i++) if (booth.lieWins(2)) wrong++
  assert.ok(Math.abs(wrong / n - expected) <= 5 * Math.sqrt(expected * (1 - expected) / n), `${wrong / n} against ${expected}`)
})

/** Time from the first start of a task to its result on one host whose power fails, in a whole world. */
function timeUnderFailures(seed: number, workMs: number, meanUpMs: number, downMs: number): number {
  const random = new Random(seed)
  const faults: Fault[] = []
  for (let atMs = 0; atMs < 40 * meanUpMs;) faults.push({ kind: 'crash', atMs: atMs += random.exponential(meanUpMs), peer: 1, downMs })
  let [startedMs, endedMs] = [0, 0]
  const peer = { behaviour: { kind: 'honest' as const }, lends: true, cores: 1, skewMs: 0, onlyWhenIdle: false }
  const world = new World({
    seed, peers: [{ ...peer, lends: false }, peer], jobs: [{ ...JOB, quorum: 1, replicas: 1, atMs: 2000, runMs: workMs, steady: true }],
    link: { minMs: 0.1, maxMs: 0.1, loss: 0, duplicate: 0, ordered: true }, faults, healAtMs: 40 * meanUpMs, commitMs: 0, codecs: false
  }, { checkers: [{
    name: 'stopwatch',
    observe(observation, { nowMs }) {
      if (observation.kind === 'performed' && observation.effect.kind === 'run' && startedMs === 0) startedMs = nowMs
      if (observation.kind === 'performed' && observation.effect.kind === 'notify' && observation.effect.notice.kind === 'job' && observation.effect.notice.state === 'done') endedMs = nowMs
      return undefined
    }
  }] })
  world.run()
  return endedMs - startedMs
}

test('a run that starts over at each power cut takes as long as the closed form says', () => {
  const [workMs, meanUpMs, downMs] = [10_000, 20_000, 1000]
  const times = Array.from({ length: 600 }, (_, seed) => timeUnderFailures(seed + 1, workMs, meanUpMs, downMs))
  const mean = times.reduce((sum, ms) => sum + ms, 0) / times.length
  const deviation = Math.sqrt(times.reduce((sum, ms) => sum + (ms - mean) ** 2, 0) / times.length)
  const expected = (Math.exp(workMs / meanUpMs) - 1) * (meanUpMs + downMs)
  assert.ok(Math.abs(mean - expected) <= 5 * deviation / Math.sqrt(times.length) + 50, `${mean.toFixed(0)} ms against ${expected.toFixed(0)} ms`)
})

test.run()

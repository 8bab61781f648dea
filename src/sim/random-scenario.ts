import { SELECTION_POLICIES } from '../documents/job.ts'
import { MINUTE_MS, SECOND_MS } from '../units.ts'
import type { Behaviour } from './behaviour.ts'
import { isReliable } from './behaviour.ts'
import { Random } from './random.ts'
import { RICH } from './scenario.ts'
import type { Fault, JobSpec, LinkSpec, MoneySpec, PaymentSpec, PeerSpec, Scenario } from './scenario.ts'

/** Clocks differ by up to 120 s between honest peers: 60 s either way. */
const MAX_SKEW_MS = 60 * SECOND_MS

const PAYING_SHARE = 1 / 3

/** A small world with everything that goes wrong, from one number. A third of them pay. */
export function randomScenario(seed: number): Scenario {
  return new Random(seed).fork('does it pay').chance(PAYING_SHARE) ? payingScenario(seed) : freeScenario(seed)
}

/** The same, of a world without money. */
export function freeScenario(seed: number): Scenario {
  const random = new Random(seed)
  const healAtMs = random.between(20, 90) * SECOND_MS
  const peers = randomPeers(random.fork('peers'))
  const jobs = randomJobs(random.fork('jobs'), peers, healAtMs).map((job, i) => ({ ...job, ...randomComparison(random.fork(`compare ${i}`), job) }))
  const conspirators = Math.min(...jobs.map(({ quorum }) => Math.max(1, quorum - 1)))
  return {
    seed, peers: limitRing(peers, conspirators), jobs, link: randomLink(random.fork('link')),
    faults: random.chance(0.15) ? [] : randomFaults(random.fork('faults'), peers.length, healAtMs), healAtMs,
    commitMs: random.pick([0, 0, 2, 20, 200]), codecs: random.chance(0.2)
  }
}

/** A world of that seed in which work is paid, with a chain and all that goes wrong with money. */
export function payingScenario(seed: number): Scenario {
  const base = freeScenario(seed)
  const random = new Random(seed).fork('payment')
  const payment = randomPayment(random)
  const isTight = random.chance(0.2)
  const peers = base.peers.map((peer): PeerSpec => {
    const behaviour = peer.behaviour.kind === 'honest' && random.chance(random.pick([0, 0, 0.3])) ? randomMoneyCheat(random, base.healAtMs) : peer.behaviour
    const money = randomMoney(random, isTight)
    return { ...peer, behaviour, money: behaviour.kind === 'overdrawer' ? { ...money, depositGwei: random.pick([6000, 20_000]), bondGwei: 40_000 } : money }
  })
  const faults = base.faults.length === 0 ? [] : [...base.faults, ...randomChainFaults(random, peers.length, base.healAtMs, payment.chain.confirmations)]
  return { ...base, peers, faults, payment }
}

function randomPayment(random: Random): PaymentSpec {
  const confirmations = random.between(1, 6)
  const unitMs = random.pick([500, 1000, 3000, 10_000])
  return {
    // much held back makes many small tickets, so not with small units
    unitMs, coreHourGwei: random.pick([3_600_000, 3_600_000, 999_983, 0]), ...random.fork('moved').chance(0.5) ? { movedGwei: 100_000_007 } : {}, holdback: random.pick([3000, 3000, 5000, unitMs < 3000 ? 3000 : 9000]), refund: random.pick([5000, 5000, 0, 10_000]),
    maxCostShare: 1000, bondShares: random.pick([1, 4, 20]), ticketLifeSec: random.pick([1200, 3600]), redemptionGwei: random.pick([1, 50, 500, 5000]),
    chain: { blockMs: random.pick([1, 2, 12]) * SECOND_MS, confirmations, delaySec: random.pick([3600, 7200]), graceSec: random.pick([60, 600]) }
  }
}

function randomMoneyCheat(random: Random, healAtMs: number): Behaviour {
  const all: readonly [() => Behaviour, ...(() => Behaviour)[]] = [
    () => ({ kind: 'deadbeat', afterTickets: random.between(0, 30) }),
    () => ({ kind: 'counterfeiter', share: random.pick([0.2, 1]) }),
    () => ({ kind: 'double-signer' }),
    () => ({ kind: 'withdrawer', atMs: random.between(0, healAtMs) }),
    () => ({ kind: 'overdrawer' }),
    () => ({ kind: 'overdrawer' }),
    () => ({ kind: 'claimant' }),
    () => ({ kind: 'unacknowledging' }),
    () => ({ kind: 'redrawer' }),
    () => ({ kind: 'recommitter' }),
    () => ({ kind: 'overexposer' })
  ]
  return random.pick(all)()
}

function randomMoney(random: Random, isTight: boolean): MoneySpec {
  if (!isTight) return { ...RICH, jobBondGwei: random.pick([RICH.jobBondGwei, RICH.jobBondGwei, 20_000, 0]) }
  return {
    walletGwei: random.pick([0, RICH.walletGwei]), depositGwei: random.pick([RICH.depositGwei, 100_000, 10_000, 0]), bondGwei: random.pick([RICH.bondGwei, 100_000, 10_000]),
    jobBondGwei: random.pick([RICH.jobBondGwei, 20_000]), ...random.chance(0.3) ? { jobCapGwei: random.pick([2000, 50_000]) } : {}, ...random.chance(0.2) ? { dayCapGwei: random.pick([5000, 100_000]) } : {}
  }
}

function randomChainFaults(random: Random, peers: number, healAtMs: number, confirmations: number): Fault[] {
  return Array.from({ length: random.between(0, 6) }, (): Fault => {
    const atMs = random.between(1, healAtMs - 1)
    if (random.chance(0.6)) return { kind: 'reorganisation', atMs, depth: random.between(1, confirmations) }
    return { kind: 'chain-away', atMs, forMs: Math.round(Math.min(random.exponential(15_000), healAtMs - atMs)), peer: random.below(peers) }
  })
}

function randomPeers(random: Random): PeerSpec[] {
  const count = random.between(3, 8)
  const skewed = random.chance(0.5)
  const peers = Array.from({ length: count }, (): PeerSpec => ({
    behaviour: random.chance(0.55) ? { kind: 'honest' } : randomBehaviour(random), lends: random.chance(0.9), cores: random.between(1, 6),
    skewMs: skewed ? random.between(-MAX_SKEW_MS, MAX_SKEW_MS) : 0, onlyWhenIdle: random.chance(0.3)
  }))
  // Most worlds have a chance of success; the others show that failing ends as cleanly.
  if (random.chance(0.8)) for (const [i, peer] of peers.entries()) if (i < 4) Object.assign(peer, { behaviour: { kind: 'honest' }, lends: true })
  return peers
}

function randomBehaviour(random: Random): Behaviour {
  const all: readonly [() => Behaviour, ...(() => Behaviour)[]] = [
    () => ({ kind: 'liar', share: random.pick([0.2, 1]) }),
    () => ({ kind: 'liar', share: random.pick([0.5, 1]), ring: 1 }),
    () => ({ kind: 'mute' }),
    () => ({ kind: 'two-faced', share: random.pick([0.3, 1]) }),
    () => ({ kind: 'silent' }),
    () => ({ kind: 'refuser' }),
    () => ({ kind: 'straggler', factor: random.between(3, 20) }),
    () => ({ kind: 'flaky', share: random.pick([0.3, 1]), blames: random.chance(0.3) }),
    () => ({ kind: 'overbidder', factor: random.between(2, 10) }),
    () => ({ kind: 'forger', share: random.pick([0.05, 0.5]) }),
    () => ({ kind: 'crasher', share: random.pick([0.3, 0.8]), downMs: random.between(100, 20_000) })
  ]
  return random.pick(all)()
}

/** Liars that tell the same lie stay fewer than the smallest quorum that could believe them: what no vote survives proves nothing. */
function limitRing(peers: readonly PeerSpec[], most: number): PeerSpec[] {
  let members = 0
  return peers.map((peer) => {
    if (peer.behaviour.kind !== 'liar' || peer.behaviour.ring === undefined || members++ < most) return peer
    return { ...peer, behaviour: { kind: 'liar', share: peer.behaviour.share } }
  })
}

function randomJobs(random: Random, peers: readonly PeerSpec[], healAtMs: number): JobSpec[] {
  return Array.from({ length: random.between(1, 4) }, () => {
    const tasks = random.chance(0.3) ? 1 : random.between(2, 20)
    const quorum = random.pick([1, 1, 2, 2, 2, 3])
    const hurried = random.chance(0.1)
    const atMs = random.between(0, healAtMs * 0.6)
    const requester = random.below(peers.length)
    return {
      requester, atMs, tasks, quorum, replicas: quorum + (random.chance(0.3) ? random.between(1, 2) : 0), adaptive: random.chance(0.3), spotCheckShare: random.chance(0.3) ? 0.2 : 0,
      retries: random.between(0, 6), selection: random.pick(SELECTION_POLICIES), cores: random.pick([1, 1, 1, 2, 0.5]), runMs: random.pick([50, 500, 3000, 8000]),
      limits: hurried
        ? { queueMs: 10 * SECOND_MS, runMs: 20 * SECOND_MS, totalMs: random.between(15, 90) * SECOND_MS, logBytes: 0 }
        : { queueMs: 20 * MINUTE_MS, runMs: 4 * MINUTE_MS, totalMs: 30 * MINUTE_MS, logBytes: 0 },
      failing: random.chance(0.15) ? [random.below(tasks)] : [],
      ...random.chance(0.08) ? { cancelAtMs: atMs + random.between(1, 30) * SECOND_MS } : {}
    }
  })
}

/** A third of the jobs compare otherwise than byte by byte, or in parts. */
function randomComparison(random: Random, { quorum }: JobSpec): Pick<JobSpec, 'compare' | 'segments'> {
  if (!random.chance(1 / 3)) return {}
  if (random.chance(0.3)) return { compare: 'verifier' }
  return { ...random.chance(0.6) ? { compare: 'program' } : {}, ...quorum > 1 && random.chance(0.7) ? { segments: random.between(2, 9) } : {} }
}

function randomLink(random: Random): LinkSpec {
  const minMs = random.pick([0.1, 1, 10, 60])
  return {
    minMs, maxMs: minMs * random.pick([1, 3, 30]), loss: random.pick([0, 0, 0.01, 0.1, 0.3]), duplicate: random.pick([0, 0, 0.05, 0.3]), ordered: random.chance(0.5)
  }
}

function randomFaults(random: Random, peers: number, healAtMs: number): Fault[] {
  return Array.from({ length: random.between(1, 12) }, (): Fault => {
    const atMs = random.between(1, healAtMs - 1)
    const peer = random.below(peers)
    const forMs = Math.round(Math.min(random.exponential(8000), healAtMs - atMs))
    const all: readonly [() => Fault, ...(() => Fault)[]] = [
      () => ({ kind: 'crash', atMs, peer, downMs: random.pick([50, 1000, 5000, 25_000]), keep: random.between(-1, 4) }),
      () => ({ kind: 'crash', atMs, peer, downMs: random.pick([50, 1000, 5000, 25_000]), keep: -1 }),
      () => ({ kind: 'partition', atMs, forMs, side: random.shuffled(Array.from({ length: peers }, (_, i) => i)).slice(0, random.between(1, Math.max(1, peers >> 1))) }),
      () => ({ kind: 'sleep', atMs, forMs, peer }),
      () => ({ kind: 'owner', atMs, forMs: random.chance(0.2) ? healAtMs - atMs : forMs, peer }),
      () => ({ kind: 'drain', atMs, peer, downMs: 2000 })
    ]
    return random.pick(all)()
  })
}

/** Hosts that a job may count on. */
export function reliableHosts(scenario: Scenario): number {
  return scenario.peers.filter(({ behaviour, lends }) => lends && isReliable(behaviour)).length
}

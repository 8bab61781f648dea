/** Each cheat about money alone in a small world: the job is done by the others, and nobody honest loses more than was declared. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { expectedOf, toWei } from '../../src/documents/ticket.ts'
import type { JobRecord } from '../../src/job/job.ts'
import { exposureConflict } from '../../src/payment/exposure.ts'
import { totalOf } from '../../src/payment/ledger.ts'
import type { Work } from '../../src/payment/ledger.ts'
import type { Behaviour } from '../../src/sim/behaviour.ts'
import { allCheckers } from '../../src/sim/checkers.ts'
import { payingScenario } from '../../src/sim/random-scenario.ts'
import { RICH } from '../../src/sim/scenario.ts'
import type { JobSpec, PaymentSpec, PeerSpec, Scenario } from '../../src/sim/scenario.ts'
import { World } from '../../src/sim/world.ts'
import { MINUTE_MS } from '../../src/units.ts'

const REQUESTER = 0
const CHEAT = 1

const peer: PeerSpec = { behaviour: { kind: 'honest' }, lends: true, cores: 2, skewMs: 0, onlyWhenIdle: false }
const job: JobSpec = {
  requester: REQUESTER, atMs: 2000, tasks: 8, quorum: 2, replicas: 2, adaptive: false, spotCheckShare: 0, retries: 3, selection: 'fastest', cores: 1, runMs: 5000,
  limits: { queueMs: 20 * MINUTE_MS, runMs: MINUTE_MS, totalMs: 60 * MINUTE_MS, logBytes: 0 }, failing: []
}
/** A unit of a second costs 1,000 gwei; a ticket pays 700 and wins 5,000 about one time in seven; the bond of each agreement is worth 25 s. */
const payment: PaymentSpec = {
  unitMs: 1000, coreHourGwei: 3_600_000, holdback: 3000, refund: 5000, maxCostShare: 1000, bondShares: 4, ticketLifeSec: 1200, redemptionGwei: 500,
  chain: { blockMs: 2000, confirmations: 3, delaySec: 3600, graceSec: 60 }
}

function scenario(behaviours: Record<number, Behaviour>, seed = 11): Scenario {
  const peers = Array.from({ length: 4 }, (_, i): PeerSpec => ({ ...peer, lends: i !== REQUESTER, behaviour: behaviours[i] ?? { kind: 'honest' }, money: { ...RICH, jobBondGwei: 100_000 } }))
  return { seed, peers, jobs: [job], link: { minMs: 5, maxMs: 30, loss: 0, duplicate: 0, ordered: true }, faults: [], healAtMs: 60_000, commitMs: 0, codecs: true, payment }
}

function run(spec: Scenario): World {
  const world = new World(spec, { checkers: allCheckers() })
  const { violation } = world.run()
  assert.is(violation, undefined, `${violation?.checker}: ${violation?.message}`)
  return world
}

/** What the requester paid each host in expected gwei, and the milliseconds that it accepted of it, over all agreements. */
function paid(world: World, host: number): { gwei: number, acceptedMs: number, worked: number } {
  let [gwei, acceptedMs, worked] = [0, 0, 0]
  for (const sender of world.computers[REQUESTER]!.peer!.paying.senders.values()) {
    if (sender.payment.provider !== world.computers[host]!.id) continue
    gwei += Number(toWei(BigInt(sender.issued) * expectedOf(sender.payment.terms)) / 10n ** 9n)
    acceptedMs += sender.work.accepted
    worked += totalOf(sender.work)
  }
  return { gwei, acceptedMs, worked }
}

test('among honest peers a job costs what its accepted work costs, to a ticket an agreement', () => {
  const world = run(scenario({}))
  for (const host of [1, 2, 3]) {
    const { gwei, acceptedMs } = paid(world, host)
    assert.ok(gwei >= acceptedMs && gwei <= acceptedMs + 5 * 700, `${gwei} gwei for ${acceptedMs} ms`)
  }
})

test('both sides book the same, whichever stream is first: an agreement\'s end, or the verdicts before it', () => {
  for (let seed = 1; seed <= 8; seed++) {
    const last = new Map<string, Work>()
    const world: World = new World(scenario({}, seed), { checkers: [{
      name: 'last words',
      observe: () => {
        for (const { peer: one } of world.computers) for (const [id, { work }] of one?.hosting.earning.recipients ?? []) last.set(id, work)
        return undefined
      }
    }] })
    world.run()
    const { senders } = world.computers[REQUESTER]!.peer!.paying
    assert.ok(senders.size > 0)
    for (const [id, { work }] of senders) assert.equal(last.get(id), work, `seed ${seed}`)
  }
})

for (const kind of ['claimant', 'unacknowledging', 'redrawer', 'recommitter', 'mute'] as const) {
  test(`a host that cheats as ${kind} gains no more than its share of the bond, and the job is done without it`, () => {
    const world = run(scenario({ [CHEAT]: { kind } }))
    assert.is((world.computers[REQUESTER]!.disk.get(`job/${world.jobs[0]!.id}`) as JobRecord | undefined)?.state.kind, 'done')
    const { gwei, acceptedMs } = paid(world, CHEAT)
    const agreements = [...world.computers[REQUESTER]!.peer!.paying.senders.values()].filter(({ payment: { provider } }) => provider === world.computers[CHEAT]!.id).length
    assert.ok(agreements > 0, 'it never had a chance')
    assert.ok(gwei - acceptedMs <= agreements * (25_000 + 2 * 700), `${gwei} gwei for ${acceptedMs} ms accepted`)
  })
}

test('a host that puts its one bond behind two requesters is trusted with no more than it by either, and both together can prove it', () => {
  const base = scenario({ [CHEAT]: { kind: 'overexposer' } })
  const bondGwei = 100_000
  const money = { ...RICH, jobBondGwei: bondGwei, maxPrepayGwei: bondGwei }
  // three jobs at once of two requesters, and no other host
  const world = new World({
    ...base, peers: base.peers.map((each, i) => ({ ...each, money, cores: 8, lends: i === CHEAT })),
    jobs: [0, 2, 0].map((requester, i): JobSpec => ({ ...job, requester, atMs: 2000 + i, tasks: 2, quorum: 1, replicas: 1 }))
  }, { checkers: allCheckers() })
  const { violation } = world.run()
  assert.is(violation, undefined, `${violation?.checker}: ${violation?.message}`)
  const words = world.computers.flatMap(({ peer: one }) => [...one!.paying.senders.values()].map(({ payment }) => payment.acceptance))
  const [first, second] = [words.find(({ requester }) => requester === world.computers[0]!.address), words.find(({ requester }) => requester === world.computers[2]!.address)]
  assert.ok(first !== undefined && second !== undefined, 'it engaged with one of them only')
  assert.ok(first.ownWei + second.ownWei > BigInt(bondGwei) * 10n ** 9n)
  assert.ok(exposureConflict([first, second], 0))
  assert.is(exposureConflict([first], 0), undefined)
})

const PAYERS: readonly Behaviour[] = [{ kind: 'deadbeat', afterTickets: 10 }, { kind: 'counterfeiter', share: 1 }, { kind: 'double-signer' }, { kind: 'withdrawer', atMs: 1000 }]
for (const behaviour of PAYERS) {
  test(`a payer that cheats as ${behaviour.kind} gets no more than was declared for what it does not pay`, () => {
    const world = run(scenario({ [REQUESTER]: behaviour }))
    const total = [1, 2, 3].reduce((sum, host) => sum + paid(world, host).worked, 0)
    if (behaviour.kind === 'counterfeiter') assert.ok(total <= 3 * 2 * 1000, `${total} ms were worked without one good ticket`)
  })
}

test('a payer that signs for more than it has loses its bond, and its hosts have what is left', () => {
  const base = scenario({ [REQUESTER]: { kind: 'overdrawer' } })
  const money = { ...RICH, depositGwei: 6000, bondGwei: 20_000 }
  let [burned, paidWei] = [0, 0n]
  for (let seed = 1; seed <= 10; seed++) {
    const { chain } = run({ ...base, seed, peers: base.peers.with(REQUESTER, { ...base.peers[REQUESTER]!, money }) })
    const { after } = chain!.confirmed
    if (after.burnedWei === 20_000n * 10n ** 9n) burned++
    for (const { creditWei } of after.accounts.values()) paidWei += creditWei
  }
  assert.ok(burned > 0, 'no deposit was overdrawn')
  assert.ok(paidWei > 0n)
})

test('a forgotten job leaves nothing of its payments on the disk', () => {
  let records = 0
  for (let seed = 1; seed <= 12; seed++) {
    const world = run({ ...payingScenario(seed), commitMs: 0 })
    for (const { id, spec } of world.jobs) world.computers[spec.requester]!.receive({ kind: 'forget', job: id })
    for (const { disk, name } of world.computers) {
      const left = disk.records().map(([key]) => key)
      records += left.length
      assert.equal(left.filter((key) => key.startsWith('pay/') || key.startsWith('spent/') || key.startsWith('spend/job/')), [], name)
    }
  }
  assert.ok(records > 0)
})

test.run()

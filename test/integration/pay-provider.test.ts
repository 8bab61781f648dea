/**
 * Attacks of a provider on its payer, over real sockets and a real chain: the provider is made by hand and runs nothing, the payer
 * is a node. Each was seen to succeed with its defence taken out; README.md beside this file says which.
 */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { ClusterNode } from '../../node/demo/cluster.ts'
import { separatorOf } from '../../node/chain/index.ts'
import { nativeHasher, recoverMoney } from '../../node/keys/index.ts'
import { acceptanceDigest } from '../../src/documents/acceptance.ts'
import { ZERO_BYTES32 } from '../../src/documents/agreement.ts'
import { exposureConflict, payerExposure, unacknowledgedExposure } from '../../src/payment/exposure.ts'
import { commitOf, fromWei, isWin, TicketHasher } from '../../src/documents/ticket.ts'
import { LENDS_NOTHING, MODULES, restart } from '../helpers/cluster.ts'
import { ETHER, PayWorld, untilBooks } from '../helpers/pay-world.ts'
import { HandProvider, TERMS } from '../helpers/pay-provider.ts'
import type { Habits } from '../helpers/pay-provider.ts'

interface Context { world: PayWorld, you: ClusterNode }
const test = suite<Context>('pay-provider')
const FLAGS = ['--payment.maxPrepay=10 ether', '--requester.maxProviders=64']
const SPEC = { engine: 'wasm', module: './compute.wasm', args: ['1'], outputs: ['values.bin'], resources: { cores: 1, memory: '64 MiB' } }

test.before(async (context) => {
  try {
    context.world = await PayWorld.open()
    context.you = await context.world.requester('you', { flags: FLAGS })
  } catch (err) {
    // uvu says nothing of what a hook throws
    console.error(err)
    throw err
  }
})
test.after(async ({ world }) => { await world.close() })

/** More tasks than slots, so that a provider gets as many slots as it bids for. */
async function submit({ you }: Pick<Context, 'you'>, provider: HandProvider): Promise<string> {
  const { job } = await you.api.submit({ spec: { ...SPEC, args: [provider.peer.peerId, '{index}'], map: { range: [0, 200] }, limits: { queue: '60 s', run: '60 s', total: '5 m' } }, baseDir: MODULES })
  return job
}

async function cancelAll({ you }: Pick<Context, 'you'>): Promise<void> {
  for (const { id, state } of await you.api.jobs()) if (state === 'running' || state === 'tendering') await you.api.cancel(id)
}

/** A provider that has agreed to a job of this requester. */
async function withProvider(context: Context, habits: Habits, run: (provider: HandProvider) => Promise<void>): Promise<void> {
  const provider = await HandProvider.arrive(context.world.chain, habits)
  await context.world.fund([provider.peer.keys.address])
  await provider.peer.network.dial(context.you.address)
  await submit(context, provider)
  try {
    await provider.engaged()
    await run(provider)
  } finally {
    await cancelAll(context)
    await provider.leave()
  }
}

/** Claims all the time that passes, again and again, until the payer gives nothing more for it. */
async function claimUntilDry(provider: HandProvider): Promise<void> {
  await provider.peer.hears('ticket')
  for (let dry = 0, before = -1, round = 0; dry < 5 && round < MAX_ROUNDS; round++, dry = before === provider.distinct.size ? dry + 1 : 0) {
    before = provider.distinct.size
    await provider.claim()
    await provider.roundTrip()
  }
}

/** Far beyond what any provider here is given. */
const MAX_ROUNDS = 40
const UNIT_WEI = TERMS.unitPriceWei
/** Many slots claim much time soon. */
const GREEDY = { slots: 50, terms: { aheadUnits: 4, openCommits: 16, prepayCapWei: 40n * UNIT_WEI } } satisfies Habits

test('a provider that never acknowledges gets the tickets that are paid ahead, and no more', async (context) => {
  await withProvider(context, { ...GREEDY, acknowledges: false }, async (provider) => {
    await claimUntilDry(provider)
    assert.ok(provider.distinct.size > 0)
    assert.ok(provider.earned <= unacknowledgedExposure(provider.terms).expected, `${provider.distinct.size} tickets`)
  })
})

test('a provider that claims units and runs nothing earns what its bond stands behind, and no more', async (context) => {
  await withProvider(context, GREEDY, async (provider) => {
    await claimUntilDry(provider)
    assert.ok(provider.earned >= fromWei(provider.terms.prepayCapWei))
    assert.ok(provider.earned <= payerExposure(provider.terms, 1e9).expected, `${provider.distinct.size} tickets`)
  })
})

test('a provider that claims, says that it failed, and claims again earns no more by it', async (context) => {
  await withProvider(context, GREEDY, async (provider) => {
    for (let round = 0; round < 3; round++) {
      await claimUntilDry(provider)
      const lease = provider.leases[round]!
      await provider.fail(lease, 1e9, 0)
    }
    await claimUntilDry(provider)
    assert.ok(provider.earned <= payerExposure(provider.terms, 1e9).expected, `${provider.distinct.size} tickets`)
  })
})

test('a provider that offers a commit twice under two numbers gets one ticket for it', async (context) => {
  await withProvider(context, { ...GREEDY, secret: (index) => new Uint8Array(32).fill(1 + index % GREEDY.terms.openCommits) }, async (provider) => {
    await claimUntilDry(provider)
    const commits = [...provider.distinct.values()].map(({ ticket }) => ticket.commit)
    assert.ok(commits.length > 0)
    assert.is(new Set(commits).size, commits.length)
  })
})

test('a provider that claims a crash is given no second draw: its numbers keep their commits, or it gets nothing more', async (context) => {
  await withProvider(context, { ...GREEDY, acknowledges: false }, async (provider) => {
    await provider.peer.hears('ticket')
    const offered = new Set(provider.lots(0)[0]!.commits)
    // "I lost everything": it offers all numbers anew
    for (const index of provider.secrets.keys()) provider.secrets.set(index, new Uint8Array(32).fill(100 + index))
    provider.acknowledges = true
    await provider.credit({ lots: provider.lots(0) })
    await claimUntilDry(provider)
    for (const { ticket } of provider.tickets) assert.ok(offered.has(ticket.commit))
    for (const message of provider.tickets) assert.equal(message, provider.distinct.get(message.index))
  })
})

test('a provider that foresees the salt would win each draw: it does not', async (context) => {
  const winProb = (1n << 61n) - 1n
  const tickets = new TicketHasher(nativeHasher, separatorOf(context.world.chain))
  /** A secret that wins against the salt that it believes in. */
  const secret = (index: number, provider: HandProvider): Uint8Array => {
    const rand = Buffer.alloc(32)
    for (let i = 1; ; i++) {
      rand.writeUInt32BE(i)
      rand.writeUInt32BE(index, 4)
      if (isWin(nativeHasher, rand, tickets.digest(provider.expected(index, commitOf(nativeHasher, rand), ZERO_BYTES32)), winProb)) return rand
    }
  }
  await withProvider(context, { ...GREEDY, terms: { ...GREEDY.terms, winProb, faceValueWei: UNIT_WEI * 11n / 2n }, secret }, async (provider) => {
    await claimUntilDry(provider)
    assert.ok(provider.distinct.size > 40, `${provider.distinct.size} tickets`)
    // one in eight is expected: half of them come once in 10^9 runs
    assert.ok(provider.won.length < provider.distinct.size / 2, `${provider.won.length} of ${provider.distinct.size} won`)
    const salts = new Set([...provider.distinct.values()].map(({ ticket }) => ticket.salt))
    assert.is(salts.size, provider.distinct.size)
  })
})

test('a bond that stands behind one agreement already stands behind no second one, whatever its owner says', async (context) => {
  const provider = await HandProvider.arrive(context.world.chain, { terms: { prepayCapWei: 6n * ETHER / 10n } })
  try {
    await context.world.fund([provider.peer.keys.address])
    await provider.peer.network.dial(context.you.address)
    const first = await submit(context, provider)
    await provider.engaged()
    const second = await submit(context, provider)
    for await (const notice of context.you.api.events({ job: second })) if (notice.kind === 'tender' && notice.bids > 0) break
    await provider.roundTrip()
    const proposals = provider.peer.heard.flatMap(({ message }) => message.kind === 'propose' ? [message.agreement.job] : [])
    assert.equal([...new Set(proposals)], [first])
  } finally {
    await cancelAll(context)
    await provider.leave()
  }
})

/** What becomes of this job's proposal to a provider: `active`, or the code of the reason. */
async function outcome(node: ClusterNode, job: string, provider: HandProvider): Promise<string> {
  for await (const notice of node.api.events({ job })) if (notice.kind === 'agreement' && notice.peer === provider.peer.peerId && notice.state !== 'proposed') return notice.state === 'active' ? 'active' : notice.code
  return 'nothing was said'
}

test('a bond behind agreements with two requesters: who says so is refused by the second, who hides it has signed the proof', async (context) => {
  const { world, you } = context
  const her = await world.requester('her', { flags: FLAGS })
  const providers: HandProvider[] = []
  /** What becomes of a job of each with a new provider that asks for more than half of its bond. */
  const engage = async (says: NonNullable<Habits['says']>): Promise<string[]> => {
    const provider = await HandProvider.arrive(world.chain, { terms: { prepayCapWei: 6n * ETHER / 10n }, says })
    providers.push(provider)
    await world.fund([provider.peer.keys.address])
    const outcomes: string[] = []
    for (const node of [you, her]) {
      await provider.peer.network.dial(node.address)
      outcomes.push(await outcome(node, await submit({ you: node }, provider), provider))
    }
    return outcomes
  }
  try {
    assert.equal(await engage((truth) => truth), ['active', 'E_BOND_EXPOSED'])
    // the next one would be asked to help with what is left of these
    for (const node of [you, her]) await cancelAll({ you: node })
    assert.equal(await engage((truth) => ({ ...truth, totalWei: truth.ownWei })), ['active', 'active'])
    const { address } = providers[1]!.peer.keys
    const words = await Promise.all([you, her].map(async (node) => (await untilBooks(node, 'its word', ({ senders }) => senders.some(({ providerAddress }) => providerAddress === address))).senders.find(({ providerAddress }) => providerAddress === address)!.acceptance))
    const evidence = exposureConflict(words, Date.now())
    assert.ok(evidence)
    for (const word of [evidence.liar, ...evidence.others]) assert.equal(recoverMoney(acceptanceDigest(nativeHasher, separatorOf(world.chain), word), word.signature), { ok: true, value: address })
    assert.ok(words.reduce((sum, { ownWei }) => sum + ownWei, 0n) > (await world.broker.holdings(address)).jobBondWei)
  } finally {
    for (const node of [you, her]) await cancelAll({ you: node })
    for (const provider of providers) await provider.leave()
    await her.kill('SIGTERM')
  }
})

test('a provider that hides one agreement from its requester in the next, or says nothing of its bond, is sent away; the proof is kept', async (context) => {
  const { world, you } = context
  for (const [says, code] of [[(truth) => ({ ...truth, totalWei: truth.ownWei }), 'E_EXPOSURE_CONFLICT'], [(truth) => ({ ...truth, ownWei: 0n }), 'E_EXPOSURE_UNSAID'], [() => undefined, 'E_EXPOSURE_UNSAID']] satisfies [Habits['says'], string][]) {
    const provider = await HandProvider.arrive(world.chain, { terms: { prepayCapWei: ETHER / 10n }, says })
    try {
      await world.fund([provider.peer.keys.address])
      await provider.peer.network.dial(you.address)
      const first = await outcome(you, await submit(context, provider), provider)
      if (code !== 'E_EXPOSURE_CONFLICT') { assert.is(first, code); continue }
      assert.is(first, 'active')
      assert.is(await outcome(you, await submit(context, provider), provider), code)
      await untilBooks(you, 'the proof', ({ records }) => records.some(([key]) => key === `conflict/${provider.peer.peerId}`))
    } finally {
      await cancelAll(context)
      await provider.leave()
    }
  }
})

test('one payer and fifty providers at once: what it signs for stays below the cap, and each commit is signed for once', async (context) => {
  const { world, you } = context
  const providers = await Promise.all(Array.from({ length: 50 }, () => HandProvider.arrive(world.chain, { slots: 4, terms: { prepayCapWei: 40n * UNIT_WEI } })))
  try {
    await world.chain.give(providers.map(({ peer }) => ({ address: peer.keys.address, jobBondWei: ETHER })))
    await Promise.all(providers.map(({ peer }) => peer.network.dial(you.address)))
    const capWei = 100n * UNIT_WEI
    await you.api.submit({ spec: { ...SPEC, args: ['fifty', '{index}'], map: { range: [0, 200] }, priceCap: `${capWei} wei`, limits: { queue: '60 s', run: '60 s', total: '5 m' } }, baseDir: MODULES })
    await Promise.all(providers.map((provider) => provider.engaged()))
    for (let round = 0; round < 4; round++) await Promise.all(providers.map(async (provider) => { await provider.claim(); await provider.roundTrip() }))
    const earned = providers.reduce((sum, provider) => sum + provider.earned, 0n)
    const claimed = providers.reduce((sum, provider) => sum + provider.terms.prepayCapWei, 0n)
    assert.ok(claimed > 4n * capWei)
    assert.ok(earned > 0n && earned <= fromWei(capWei), `${earned / (1n << 64n)} of ${capWei}`)
    const all = providers.flatMap(({ distinct }) => [...distinct.values()].map(({ ticket }) => ticket.commit))
    assert.is(new Set(all).size, all.length)
  } finally {
    await cancelAll(context)
    await Promise.all(providers.map((provider) => provider.leave()))
  }
})

test('a payer killed after it used a commit sends the same ticket again, and signs none for that commit twice', async (context) => {
  const { world, you } = context
  await withProvider(context, { ...GREEDY, acknowledges: false }, async (provider) => {
    await provider.peer.hears('ticket')
    await you.kill('SIGKILL')
    await provider.peer.until('the end of the connection', () => !provider.peer.isConnected(you.peer))
    const before = provider.distinct
    const since = provider.tickets.length
    context.you = await restart(world.cluster, you, { flags: [...LENDS_NOTHING, ...world.flags, ...FLAGS] })
    await provider.peer.network.dial(context.you.address)
    await provider.peer.until('every ticket again', () => [...before.keys()].every((index) => provider.tickets.slice(since).some((message) => message.index === index)))
    // from the first number on again, as if it might have forgotten
    provider.acknowledges = true
    await provider.credit({ lots: provider.lots(0) })
    await claimUntilDry(provider)
    for (const message of provider.tickets) if (before.has(message.index)) assert.equal(message, before.get(message.index))
    assert.ok(provider.distinct.size > before.size)
    const commits = [...provider.distinct.values()].map(({ ticket }) => ticket.commit)
    assert.is(new Set(commits).size, commits.length)
  })
})

test.run()

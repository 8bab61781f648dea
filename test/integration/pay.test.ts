/** A paid job over real nodes and a real chain: what both sides write down, what the chain says, and what a crash leaves. */
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { ClusterNode } from '../../node/demo/cluster.ts'
import { dueFor, totalOf } from '../../src/payment/ledger.ts'
import { aheadQuantity, aheadShare, priceOf } from '../../src/documents/terms.ts'
import { expectedOf } from '../../src/documents/ticket.ts'
import { ended, LENDS, LENDS_NOTHING, MODULES, restart } from '../helpers/cluster.ts'
import { PayWorld, untilBooks } from '../helpers/pay-world.ts'
import type { Books } from '../helpers/pay-world.ts'

interface Context { world: PayWorld, you: ClusterNode, ada: ClusterNode, ben: ClusterNode }
const test = suite<Context>('pay')
/** Units of a tenth of a second, and a price at which some of their tickets win. */
const LENDING = ['--payment.unit=100 ms', '--payment.price.coreHour=8 ether', '--payment.price.gibHour=0 wei', '--payment.price.moved=0.5 ether']
const WORK = { engine: 'wasm', module: './compute.wasm', args: ['4'], outputs: ['values.bin'], resources: { cores: 1, memory: '64 MiB' } }

test.before(async (context) => {
  try {
    context.world = await PayWorld.open()
    const { world } = context
    context.you = await world.requester('you')
    const bootstrap = [context.you.address];
    [context.ada, context.ben] = await Promise.all([world.provider('ada', { bootstrap, flags: LENDING }), world.provider('ben', { bootstrap, flags: LENDING })])
  } catch (err) {
    // uvu says nothing of what a hook throws
    console.error(err)
    throw err
  }
})
test.after(async ({ world }) => { await world.close() })

/** Its payer was killed before it heard that the agreement holds: nothing was worked, nothing paid, and it knows of none. */
const isEmpty = ({ tickets, work }: Books['recipients'][number]): boolean => tickets === 0 && totalOf(work) === 0
const isSettled = ({ senders }: Books): boolean => senders.length > 0 && senders.every(({ state }) => state.kind === 'closed')

/** All of it: both sides' books are the same, tickets are worth the work, and the chain has paid each winner once. */
async function assertBalanced({ world, you }: Context, providers: readonly ClusterNode[]): Promise<void> {
  const payer = await untilBooks(you, 'every agreement is closed', isSettled)
  const payerAddress = (await you.api.status()).address
  let redeemedWei = 0n
  for (const node of providers) {
    const provider = await untilBooks(node, 'every agreement is closed', ({ recipients }) => recipients.every((one) => one.closed || isEmpty(one)))
    let wonWei = 0n
    for (const recipient of provider.recipients.filter((one) => !isEmpty(one))) {
      const sender = payer.senders.find(({ agreement }) => agreement === recipient.agreement)
      assert.ok(sender, `an agreement of ${node.name} that its payer does not know`)
      const { terms, work } = recipient
      assert.equal(sender.state, { kind: 'closed', agreed: true })
      assert.is(sender.issued, recipient.tickets)
      assert.equal(sender.work, work)
      assert.is(sender.acknowledged?.state.tickets, recipient.tickets)
      const value = expectedOf(terms)
      const paid = BigInt(recipient.tickets) * value
      // what a crash undid is not judged: it stays paid as unrevealed work is
      const price = dueFor(terms, work, 0)
      // the unit a slot that was paid ahead when the last task ended is paid
      const ahead = aheadShare(terms, priceOf(terms, aheadQuantity(terms)))
      assert.ok(paid >= price && paid < price + ahead + value, `${node.name}: paid ${paid} for ${price} (${recipient.tickets} tickets, ${JSON.stringify(work, (_, v: unknown) => typeof v === 'bigint' ? String(v) : v)})`)
      assert.ok(node.name.endsWith('again') || work.unsettled === 0)
      wonWei += BigInt(recipient.wins) * terms.faceValueWei
    }
    const { address } = await node.api.status()
    await untilBooks(node, 'every winner is redeemed', async () => (await world.broker.holdings(address)).creditWei >= wonWei)
    assert.is((await world.broker.holdings(address)).creditWei, wonWei)
    redeemedWei += wonWei
  }
  assert.ok(redeemedWei > 0n, 'nothing was won at all')
  const start = 10n ** 18n
  assert.is((await world.broker.holdings(payerAddress)).depositWei, start - redeemedWei)
}

test('both sides end with the same books, tickets are worth the work that was accepted, and the chain pays each winner once', async (context) => {
  const { you, ada, ben } = context
  const { job } = await you.api.submit({ spec: { ...WORK, map: { range: [0, 8] } }, baseDir: MODULES })
  const detail = await ended(you, job)
  assert.is(detail.state, 'done', JSON.stringify(detail.error))
  await assertBalanced(context, [ada, ben])
  // the program once a provider and each result: both wrote down the same
  const { senders } = await untilBooks(you, 'every agreement is closed', isSettled)
  const module = await stat(join(MODULES, WORK.module))
  for (const { terms, work } of senders.filter(({ work: { accepted } }) => accepted > 0)) {
    assert.is(terms.moved?.onceBytes, module.size)
    assert.ok(work.moved > module.size)
  }
})

test('a requester killed in the middle of paying goes on where it was, and nothing is paid twice', async (context) => {
  const { world, you, ada, ben } = context
  const { job } = await you.api.submit({ spec: { ...WORK, map: { range: [0, 6] } }, baseDir: MODULES })
  await untilBooks(you, 'tickets of several units', ({ senders }) => senders.filter((one) => one.job === job).reduce((sum, { issued }) => sum + issued, 0) > 8)
  await you.kill('SIGKILL')
  context.you = await restart(world.cluster, you, { flags: [...LENDS_NOTHING, ...world.flags], bootstrap: [ada.address, ben.address] })
  assert.is((await ended(context.you, job)).state, 'done')
  await assertBalanced(context, [ada, ben])
})

test('a provider killed in the middle of being paid keeps what it was given, and its winners', async (context) => {
  const { world, you, ada, ben } = context
  const { job } = await you.api.submit({ spec: { ...WORK, map: { range: [0, 6] } }, baseDir: MODULES })
  await untilBooks(ada, 'tickets of several units', ({ recipients }) => recipients.filter((one) => one.job === job).reduce((sum, { tickets }) => sum + tickets, 0) > 4)
  await ada.kill('SIGKILL')
  context.ada = await restart(world.cluster, ada, { flags: [...LENDS, ...world.flags, ...LENDING], bootstrap: [you.address] })
  assert.is((await ended(you, job)).state, 'done')
  await assertBalanced(context, [context.ada, ben])
})

test.run()

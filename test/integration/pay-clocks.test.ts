/** Payers whose clocks are two minutes before and behind their provider's and the chain's: real nodes, told another time when they start. */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { ClusterNode } from '../../node/demo/cluster.ts'
import { redeemMarginSec } from '../../src/documents/terms.ts'
import { SECOND_MS } from '../../src/units.ts'
import { ended, MODULES } from '../helpers/cluster.ts'
import { HandProvider, TERMS } from '../helpers/pay-provider.ts'
import { ETHER, PayWorld, untilBooks } from '../helpers/pay-world.ts'

interface Context { world: PayWorld, ada: ClusterNode, fast: ClusterNode, slow: ClusterNode }
const test = suite<Context>('pay-clocks')
/** All but a second of the two minutes that are tolerated: messages take time. */
const APART_SEC = 119
const LENDING = ['--payment.unit=100 ms', '--payment.price.coreHour=8 ether', '--payment.price.gibHour=0 wei']
const WORK = { engine: 'wasm', module: './compute.wasm', outputs: ['values.bin'], resources: { cores: 1, memory: '64 MiB' }, limits: { queue: '60 s', run: '60 s', total: '2 m' } }

/** The wall clock alone: timers and the monotonic clock go as they go. */
function clock(aheadSec: number): Record<string, string> {
  const code = `const now = Date.now; Date.now = () => now() + ${aheadSec * SECOND_MS}`
  return { NODE_OPTIONS: `${process.env['NODE_OPTIONS'] ?? ''} --import "data:text/javascript,${encodeURIComponent(code)}"` }
}

test.before(async (context) => {
  try {
    context.world = await PayWorld.open()
    const { world } = context
    context.ada = await world.provider('ada', { flags: LENDING })
    const bootstrap = [context.ada.address];
    [context.fast, context.slow] = await Promise.all([world.requester('fast', { bootstrap, env: clock(APART_SEC) }), world.requester('slow', { bootstrap, env: clock(-APART_SEC) })])
  } catch (err) {
    // uvu says nothing of what a hook throws
    console.error(err)
    throw err
  }
})
test.after(async ({ world }) => { await world.close() })

test('work is done and paid between clocks two minutes apart either way, and every winner is redeemed', async ({ world, ada, fast, slow }) => {
  const jobs = await Promise.all([fast, slow].map(async (node) => {
    const { job } = await node.api.submit({ spec: { ...WORK, args: ['4', node.name], map: { range: [0, 3] } }, baseDir: MODULES })
    return { node, detail: await ended(node, job) }
  }))
  for (const { node, detail } of jobs) {
    assert.is(detail.state, 'done', `${node.name}: ${JSON.stringify(detail.error)}`)
    const { senders } = await untilBooks(node, 'every agreement is closed', (books) => books.senders.length > 0 && books.senders.every(({ state }) => state.kind === 'closed'))
    for (const { state, issued } of senders) assert.ok(state.kind === 'closed' && state.agreed && issued > 0, `${node.name}: ${JSON.stringify(state)}`)
  }
  const { recipients } = await untilBooks(ada, 'every agreement is closed', (books) => books.recipients.every(({ closed }) => closed))
  const wonWei = recipients.reduce((sum, { wins, terms }) => sum + BigInt(wins) * terms.faceValueWei, 0n)
  assert.ok(wonWei > 0n, 'nothing was won at all')
  const { address } = await ada.api.status()
  await untilBooks(ada, 'every winner is redeemed', async () => (await world.broker.holdings(address)).creditWei === wonWei)
})

test('a commit that its provider would not take any more is not used by a payer whose clock is behind; a fresh one is', async ({ world, slow }) => {
  const agedSec = Math.floor(Date.now() / SECOND_MS) + redeemMarginSec(TERMS) - 10
  const provider = await HandProvider.arrive(world.chain, { expirySec: agedSec })
  try {
    await world.chain.give([{ address: provider.peer.keys.address, jobBondWei: ETHER }])
    await provider.peer.network.dial(slow.address)
    const { job } = await slow.api.submit({ spec: { ...WORK, args: [provider.peer.peerId], map: { range: [0, 8] } }, baseDir: MODULES })
    await provider.engaged()
    await provider.claim()
    await provider.roundTrip()
    assert.is(provider.tickets.length, 0, 'a ticket that would be refused')
    // with all the life that was agreed: two minutes more than the payer's clock says
    provider.expirySec = Math.floor(Date.now() / SECOND_MS) + TERMS.ticketLifeSec
    await provider.credit({ lots: provider.lots(TERMS.openCommits) })
    await provider.peer.hears('ticket')
    for (const { index, ticket } of provider.tickets) assert.ok(index >= TERMS.openCommits && ticket.expirySec === provider.expirySec)
    await slow.api.cancel(job)
  } finally {
    await provider.leave()
  }
})

test.run()

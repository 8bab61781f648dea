/**
 * Attacks that need the chain: gas, reorganisations, drained deposits, a silent service; and a payer that stops. The payer is made by
 * hand, the provider is a node that sees the chain through a proxy. Each was seen to succeed with its defence taken out: see README.md.
 */
import { randomBytes } from 'node:crypto'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { brokerCode, ticketEvents } from '../../node/chain/broker.ts'
import type { RawLog } from '../../node/chain/broker.ts'
import { separatorOf } from '../../node/chain/index.ts'
import type { ClusterNode } from '../../node/demo/cluster.ts'
import { nativeHasher } from '../../node/keys/index.ts'
import { toHex } from '../../src/codec/hasher.ts'
import { commitOf, TicketHasher } from '../../src/documents/ticket.ts'
import type { Ticket } from '../../src/documents/ticket.ts'
import { LossyRpc } from '../helpers/chain.ts'
import { LENDS, MODULES, restart } from '../helpers/cluster.ts'
import { serveJob } from '../helpers/pay-job.ts'
import { HandPayer } from '../helpers/pay-payer.ts'
import type { Answer, Engagement } from '../helpers/pay-payer.ts'
import { HandPeer } from '../helpers/pay-peer.ts'
import { ETHER, PayWorld, SURE_WIN, untilBooks } from '../helpers/pay-world.ts'

interface Context { world: PayWorld, ada: ClusterNode, rpc: LossyRpc, flags: string[] }
const test = suite<Context>('pay-onchain')
const GWEI = 10n ** 9n
const MAX_WIN = (1n << 64n) - 1n
const DEPOSIT = ETHER / 100n

test.before(async (context) => {
  try {
    context.world = await PayWorld.open()
    const { world } = context
    context.rpc = await LossyRpc.start(world.chain.rpcUrl)
    context.flags = [...world.flags.map((flag) => flag.replace(world.chain.rpcUrl, context.rpc.url)), ...SURE_WIN]
    context.ada = await world.cluster.start({ name: 'ada', flags: [...LENDS, ...context.flags] })
    await world.fund([(await context.ada.api.status()).address])
  } catch (err) {
    // uvu says nothing of what a hook throws
    console.error(err)
    throw err
  }
})
test.after(async ({ world, rpc }) => {
  await world.close()
  await rpc.stop()
})

async function withPayer(context: Context, run: (payer: HandPayer, peer: HandPeer) => Promise<void>, engagement?: (peer: HandPeer) => Promise<Engagement>): Promise<void> {
  const { world, ada } = context
  const peer = await HandPeer.arrive(world.chain, [ada.address])
  try {
    await gasAt(context, 1n)
    await world.chain.give([{ address: peer.keys.address, coinWei: ETHER, depositWei: DEPOSIT, bondWei: ETHER }])
    const payer = await HandPayer.engage(peer, ada.peer, await engagement?.(peer) ?? {})
    await run(payer, peer)
    if (!peer.isConnected(ada.peer)) return
    await peer.send(ada.peer, { kind: 'close', agreement: payer.id, code: 'E_JOB_ENDED', message: '' })
    await peer.hears('closed')
  } finally {
    await peer.leave()
  }
}

const depositOf = async ({ world }: Context, { peer }: HandPayer): Promise<bigint> => (await world.broker.holdings(peer.keys.address)).depositWei

async function gasAt({ world }: Context, gwei: bigint): Promise<void> {
  await world.chain.rpc('anvil_setNextBlockBaseFeePerGas', [`0x${(gwei * GWEI).toString(16)}`])
  await world.chain.rpc('evm_mine')
}

/** The node looks at the chain with each block, and writes what it finds. */
async function untilChain(context: Context, what: string, holds: () => Promise<boolean>): Promise<void> {
  if (await holds()) return
  await untilBooks(context.ada, what, holds)
}

/** Long enough for the node to see the chain as it is now, and all that waits for it, more than once. */
async function looked({ rpc }: Context, peer: HandPeer): Promise<void> {
  const asked = rpc.seen.length
  await peer.until('looks at the chain', () => rpc.seen.length > asked + 20)
}

/** What the payer does to be poor when the bill comes: a ticket to itself that it knows to win, redeemed at once. */
async function drain({ world }: Context, { peer }: HandPayer, faceValueWei: bigint): Promise<void> {
  const { chain } = world
  const rand = randomBytes(32)
  const ticket: Ticket = {
    payer: peer.keys.address, payee: `0x${'0f'.repeat(20)}`, faceValueWei, winProb: MAX_WIN, expirySec: Math.floor(Date.now() / 1000) + 3600,
    commit: commitOf(nativeHasher, rand), salt: toHex(randomBytes(32)), context: toHex(randomBytes(32))
  }
  const signature = peer.keys.signMoney(new TicketHasher(nativeHasher, separatorOf(chain)).digest(ticket))
  const [from] = await chain.rpc<string[]>('eth_accounts')
  const before = (await world.broker.holdings(peer.keys.address)).depositWei
  const hash = await chain.rpc<string>('eth_sendTransaction', [{ from, to: chain.contract, data: brokerCode.redeem({ ticket, rand: toHex(rand), signature }), gas: '0x493e0', maxFeePerGas: '0x174876e8000' }])
  // it is mined at once, and that is told a moment later
  while (await chain.rpc('eth_getTransactionReceipt', [hash]) === null) continue
  assert.is((await world.broker.holdings(peer.keys.address)).depositWei, before - faceValueWei)
}

test('while the chain is silent no more is taken than the deposit last seen covers, and it is redeemed when the chain speaks again', async (context) => {
  const { rpc } = context
  await withPayer(context, async (payer) => {
    const { faceValueWei } = payer.terms
    const covered = Number(DEPOSIT / faceValueWei)
    rpc.drops = () => true
    const answers: Answer[] = []
    for (let index = 0; index <= covered; index++) answers.push(await payer.pay(index))
    rpc.drops = () => false
    assert.equal(answers, [...Array.from({ length: covered }, () => 'credited' as const), 'E_PAYER_FUNDS'])
    await untilChain(context, 'every winner is redeemed', async () => await depositOf(context, payer) === DEPOSIT - BigInt(covered) * faceValueWei)
  })
})

test('at a hundred times the price of gas winners wait and work goes on being paid; then all are redeemed', async (context) => {
  const { world } = context
  await withPayer(context, async (payer, peer) => {
    await gasAt(context, 100n)
    const { faceValueWei } = payer.terms
    for (let index = 0; index < 4; index++) assert.is(await payer.pay(index), 'credited')
    await untilBooks(context.ada, 'four winners wait', ({ chain }) => chain.filter(([key]) => key.startsWith('winner/')).length >= 4)
    await gasAt(context, 100n)
    await looked(context, peer)
    assert.is(await depositOf(context, payer), DEPOSIT)
    await gasAt(context, 1n)
    await untilChain(context, 'every winner is redeemed', async () => await depositOf(context, payer) === DEPOSIT - 4n * faceValueWei)
    // none of them cost more than it brought
    const logs = await world.chain.rpc<(RawLog & { blockNumber: string })[]>('eth_getLogs', [{ fromBlock: '0x0', address: world.chain.contract }])
    for (const log of logs) {
      if (ticketEvents(world.chain.contract, [log])[0]?.kind !== 'redeemed') continue
      const { baseFeePerGas } = await world.chain.rpc<{ baseFeePerGas: string }>('eth_getBlockByNumber', [log.blockNumber, false])
      assert.ok(BigInt(baseFeePerGas) < 50n * GWEI)
    }
  })
})

test('a wei too little, taken before a redemption, neither burns the winner nor pays a part of it', async (context) => {
  const { world } = context
  await withPayer(context, async (payer, peer) => {
    await gasAt(context, 100n)
    const { faceValueWei } = payer.terms
    assert.is(await payer.pay(0), 'credited')
    await drain(context, payer, DEPOSIT - faceValueWei + 1n)
    await gasAt(context, 1n)
    await gasAt(context, 1n)
    assert.is(await depositOf(context, payer), faceValueWei - 1n)
    await world.chain.give([{ address: peer.keys.address, depositWei: faceValueWei }])
    await world.chain.rpc('evm_mine')
    await untilChain(context, 'the winner is redeemed', async () => await depositOf(context, payer) === 0n)
  })
})

test('a redemption that a reorganisation removes while its node is down is made again', async (context) => {
  const { world, ada } = context
  await withPayer(context, async (payer, peer) => {
    const { faceValueWei } = payer.terms
    await world.chain.rpc('evm_mine')
    const before = await world.chain.rpc<string>('evm_snapshot')
    assert.is(await payer.pay(0), 'credited')
    const paid = async (): Promise<boolean> => await depositOf(context, payer) === DEPOSIT - faceValueWei
    await untilChain(context, 'the winner is redeemed', paid)
    await untilBooks(ada, 'the node knows it', ({ winners }) => winners.every(({ ticket }) => ticket.payer !== peer.keys.address))
    await world.chain.rpc('evm_mine')
    await looked(context, peer)
    await ada.kill('SIGKILL')
    await peer.until('the end of the connection', () => !peer.isConnected(ada.peer))
    await world.chain.rpc('evm_revert', [before])
    await world.chain.rpc('evm_mine')
    assert.is(await depositOf(context, payer), DEPOSIT)
    context.ada = await restart(world.cluster, ada, { flags: [...LENDS, ...context.flags] })
    await world.chain.rpc('evm_mine')
    await untilChain(context, 'the winner is redeemed again', paid)
  })
})

test('a payer that stops is worked for within one unit, and worked for again when it pays again', async (context) => {
  let job: Awaited<ReturnType<typeof serveJob>> | undefined
  try {
    await withPayer(context, async (payer, peer) => {
      for (let index = 0; index < 2; index++) assert.is(await payer.pay(index), 'credited')
      /** Two words of the provider in a row that claim the same: its run is held. */
      const held = async (since: number): Promise<number> => {
        const claims = (): number[] => peer.heard.slice(since).flatMap(({ message }) => message.kind === 'beat' && (message.worked ?? 0) > 0 ? [message.worked ?? 0] : [])
        await peer.until('the same claim twice', () => claims().some((worked, i) => worked === claims()[i - 1]))
        return Math.max(...claims())
      }
      const first = await held(0)
      // a claim is looked at twice a unit
      assert.ok(first >= 1500 && first <= 2000 + 1000 + 500, `${first} ms for two units of a second`)
      const since = peer.heard.length
      for (let index = 2; index < 4; index++) assert.is(await payer.pay(index), 'credited')
      const second = await held(since)
      assert.ok(second > first && second <= 4000 + 1000 + 500, `${second} ms for four units of a second`)
    }, async (peer) => {
      job = await serveJob(peer, { engine: 'wasm', module: './probe.wasm', args: ['hang'], resources: { cores: 1, memory: '64 MiB' }, limits: { run: '60 s' } }, MODULES)
      return { offer: { ...job.offer, maxPrepayWei: ETHER }, leases: [{ task: 0, attempt: 0 }] }
    })
  } finally {
    await job?.close()
  }
})

test('a payer that drains its deposit to a friend while winners wait loses its bond, and the next ticket is refused', async (context) => {
  const { world } = context
  await withPayer(context, async (payer, peer) => {
    await gasAt(context, 100n)
    const { faceValueWei } = payer.terms
    assert.is(await payer.pay(0), 'credited')
    await drain(context, payer, DEPOSIT)
    await gasAt(context, 1n)
    let answer: Answer
    for (let index = 1; (answer = await payer.pay(index)) === 'credited'; index++) assert.ok(BigInt(index) < DEPOSIT / faceValueWei, 'it takes what nothing stands behind')
    assert.is(answer, 'E_PAYER_FUNDS')
    await world.chain.rpc('evm_setIntervalMining', [1])
    await untilChain(context, 'the default is noticed', async () => (await world.broker.holdings(peer.keys.address)).openClaims > 0)
    await world.chain.rpc('evm_increaseTime', [200])
    await world.chain.rpc('evm_mine')
    await untilChain(context, 'the bond is burned', async () => (await world.broker.holdings(peer.keys.address)).bondWei < ETHER - 2n * faceValueWei)
    // tickets of two cores: what is lost is worth a notice's gas
  }, async () => ({ offer: { resources: { cores: 2, memoryBytes: 2 ** 24, diskBytes: 0 }, maxPrepayWei: ETHER } }))
})

test.run()

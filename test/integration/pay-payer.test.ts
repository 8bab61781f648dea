/**
 * Attacks of a payer on a provider, over real sockets and a real chain: the payer is made by hand, the provider is a node.
 * Each was seen to succeed with its defence taken out; README.md beside this file says which.
 */
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { brokerCode } from '../../node/chain/broker.ts'
import { separatorOf } from '../../node/chain/index.ts'
import type { ClusterNode } from '../../node/demo/cluster.ts'
import { nativeHasher, nodeKeys } from '../../node/keys/index.ts'
import { FAULTS_TO_BAN, SMALL_FAULTS } from '../../node/network/misconduct.ts'
import { payMessageCodec } from '../../src/documents/pay-message.ts'
import { TicketHasher } from '../../src/documents/ticket.ts'
import type { Ticket } from '../../src/documents/ticket.ts'
import { LENDS, restart } from '../helpers/cluster.ts'
import type { BondExposure } from '../../src/documents/acceptance.ts'
import { agreementOf, bidOf, HandPayer, propose } from '../helpers/pay-payer.ts'
import { HandPeer } from '../helpers/pay-peer.ts'
import { ETHER, PayWorld, SURE_WIN, untilBooks } from '../helpers/pay-world.ts'
import { seededRandom } from '../helpers/seeded.ts'

interface Context { world: PayWorld, ada: ClusterNode }
const test = suite<Context>('pay-payer')
const CURVE_ORDER = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n
/** One agreement may take all of the bond: so that a second one is one too many. */
const FLAGS = [...SURE_WIN, '--payment.bondShares=1']

test.before(async (context) => {
  try {
    context.world = await PayWorld.open()
    context.ada = await context.world.provider('ada', { flags: FLAGS })
  } catch (err) {
    // uvu says nothing of what a hook throws
    console.error(err)
    throw err
  }
})
test.after(async ({ world }) => { await world.close() })

/** So that what it held is free for the next. */
async function over(peer: HandPeer, ada: ClusterNode, agreement: string): Promise<void> {
  await peer.send(ada.peer, { kind: 'close', agreement, code: 'E_JOB_ENDED', message: '' })
  await peer.hears('closed', { holds: (message) => message.agreement === agreement })
}

/** A payer with money on the chain and an agreement with the provider. */
async function withPayer({ world, ada }: Context, run: (payer: HandPayer, peer: HandPeer) => Promise<void>, cores = 0.5): Promise<void> {
  const peer = await HandPeer.arrive(world.chain, [ada.address])
  try {
    await world.fund([peer.keys.address])
    const payer = await HandPayer.engage(peer, ada.peer, { offer: { resources: { cores, memoryBytes: 2 ** 24, diskBytes: 0 } } })
    await run(payer, peer)
    if (peer.isConnected(ada.peer)) await over(peer, ada, payer.id)
  } finally {
    await peer.leave()
  }
}

function respelled(signature: string): { highS: string, oldV: string } {
  const s = (CURVE_ORDER - BigInt(`0x${signature.slice(66, 130)}`)).toString(16).padStart(64, '0')
  const v = signature.slice(130)
  return { highS: `${signature.slice(0, 66)}${s}${v === '1b' ? '1c' : '1b'}`, oldV: `${signature.slice(0, 130)}${v === '1b' ? '00' : '01'}` }
}

/** A ticket's frame as an honest payer sends it, and how to spoil its bytes. */
function frameOf(payer: HandPayer, ticket: Ticket, index: number): Uint8Array {
  const signature = payer.peer.keys.signMoney(new TicketHasher(nativeHasher, separatorOf(payer.peer.chain)).digest(ticket))
  return payMessageCodec.encode({ kind: 'ticket', agreement: payer.id, index, ticket, signature })
}

/** The provider's credit on the chain has grown by this much: what it took as a winner was one. */
async function redeemed({ world, ada }: Context, payer: HandPayer, tickets: number): Promise<void> {
  const { depositWei } = await world.broker.holdings(payer.peer.keys.address)
  const aimWei = ETHER - BigInt(tickets) * payer.terms.faceValueWei
  if (depositWei === aimWei) return
  await untilBooks(ada, `${tickets} tickets are redeemed`, async () => (await world.broker.holdings(payer.peer.keys.address)).depositWei === aimWei)
}

test('a winner that is sent three times is one winner, on the wire and on the chain', async (context) => {
  await withPayer(context, async (payer) => {
    const ticket = payer.ticket(0)
    for (let i = 0; i < 3; i++) assert.is(await payer.give(0, ticket), 'credited')
    assert.is(await payer.pay(1), 'credited')
    assert.is((await payer.state()).tickets, 2)
    await redeemed(context, payer, 2)
  })
})

test('a ticket that a hot key signed is not taken, though its payer registered the key: it may have been revoked, and then pays nothing', async (context) => {
  const { chain } = context.world
  const hot = await nodeKeys(new Uint8Array(32).fill(9))
  for (const calls of [[brokerCode.addSigner(hot.address)], [brokerCode.addSigner(hot.address), brokerCode.revokeSigner(hot.address)]]) {
    await withPayer(context, async (payer, peer) => {
      await chain.rpc('anvil_impersonateAccount', [peer.keys.address])
      for (const data of calls) await chain.rpc('eth_sendTransaction', [{ from: peer.keys.address, to: chain.contract, data }])
      await chain.rpc('evm_mine')
      const until = BigInt(await chain.rpc<string>('eth_call', [{ to: chain.contract, data: brokerCode.signerUntil(peer.keys.address, hot.address) }, 'latest']))
      assert.ok(until > BigInt(Math.floor(Date.now() / 1000)), 'the contract does not know the key')
      const ticket = payer.ticket(0)
      peer.signAs((digest) => hot.signMoney(digest))
      await peer.send(payer.provider, { kind: 'ticket', agreement: payer.id, index: 0, ticket })
      peer.signAs()
      assert.is((await payer.state()).tickets, 0)
      assert.is(await payer.give(0, ticket), 'credited')
      await redeemed(context, payer, 1)
    })
  }
})

test('a second ticket on a commit is refused, and the first stands', async (context) => {
  await withPayer(context, async (payer) => {
    assert.is(await payer.pay(0), 'credited')
    assert.is(await payer.pay(0), 'E_TICKET_SPENT')
    assert.is((await payer.state()).tickets, 1)
    await redeemed(context, payer, 1)
  })
})

test('a signature in the upper half, with another v, of a hot key or for another chain or contract pays nothing', async (context) => {
  const { chainId, contract } = context.world.chain
  const hot = await nodeKeys(new Uint8Array(32).fill(9))
  const elsewhere = (other: { chainId: number, contract: string }): TicketHasher => new TicketHasher(nativeHasher, separatorOf(other))
  const spoilt: ((payer: HandPayer, ticket: Ticket) => (digest: Uint8Array) => string)[] = [
    ({ peer }) => (digest) => respelled(peer.keys.signMoney(digest)).highS,
    ({ peer }) => (digest) => respelled(peer.keys.signMoney(digest)).oldV,
    () => (digest) => hot.signMoney(digest),
    ({ peer }, ticket) => () => peer.keys.signMoney(elsewhere({ chainId: chainId + 1, contract }).digest(ticket)),
    ({ peer }, ticket) => () => peer.keys.signMoney(elsewhere({ chainId, contract: `0x${'0a'.repeat(20)}` }).digest(ticket))
  ]
  for (const spoil of spoilt) {
    await withPayer(context, async (payer, peer) => {
      const ticket = payer.ticket(0)
      peer.signAs(spoil(payer, ticket))
      await peer.send(payer.provider, { kind: 'ticket', agreement: payer.id, index: 0, ticket })
      peer.signAs()
      assert.is((await payer.state()).tickets, 0, spoil.toString())
      // the commit is not used up by what was no ticket
      assert.is(await payer.give(0, ticket), 'credited')
    })
  }
})

test('a compact signature, expiry 0 and trailing bytes are no messages', async (context) => {
  await withPayer(context, async (payer, peer) => {
    const frame = frameOf(payer, payer.ticket(0), 0)
    const text = Buffer.from(frame).toString('hex')
    const expiry = payer.ticket(0).expirySec.toString(16).padStart(8, '0')
    // CBOR: 58 41 is a string of 65 bytes, 1a an integer of four
    const signature = /69[0-9a-f]*?5841/.exec(text)
    assert.ok(signature !== null && text.includes(`1a${expiry}`))
    const compact = text.replace(/7369676e61747572655841([0-9a-f]{128})[0-9a-f]{2}/, '7369676e61747572655840$1')
    const never = text.replace(`1a${expiry}`, '00')
    assert.ok(compact.length < text.length && never.length < text.length)
    for (const hex of [compact, never]) await peer.sendRaw(payer.provider, [Buffer.from(hex, 'hex')])
    assert.is((await payer.state()).tickets, 0)
    assert.ok(peer.isConnected(payer.provider))
    // the third is no mistake any more
    await peer.sendRaw(payer.provider, [Buffer.from(`${text}00`, 'hex')])
    await peer.until('the end of the connection', () => !peer.isConnected(payer.provider))
  })
})

test('a ticket that is not the one offered is refused, though its payer signed it: shifted bytes, a huge expiry, a higher face value of equal worth', async (context) => {
  await withPayer(context, async (payer) => {
    const honest = payer.ticket(0)
    const shifted = (hex: string): string => `0x${hex.slice(4)}${hex.slice(2, 4)}`
    const changes: Partial<Ticket>[] = [
      { payer: shifted(honest.payer) }, { payee: shifted(honest.payee) }, { payee: payer.peer.keys.address }, { commit: shifted(honest.commit) }, { context: shifted(honest.context) },
      { expirySec: honest.expirySec + 1 }, { expirySec: honest.expirySec - 1 }, { expirySec: 9_000_000_000 }, { expirySec: 1 },
      { faceValueWei: honest.faceValueWei * 2n, winProb: (honest.winProb + 1n) / 2n - 1n }, { faceValueWei: honest.faceValueWei - 1n }, { winProb: honest.winProb - 1n }, { winProb: 0n }
    ]
    for (const change of changes) assert.is(await payer.pay(0, change), 'E_TICKET_FIELD', JSON.stringify(Object.keys(change)))
    assert.is(await payer.give(1, honest), 'E_TICKET_FIELD', 'the ticket of another number')
    assert.is((await payer.state()).tickets, 0)
    assert.is(await payer.give(0, honest), 'credited')
    await redeemed(context, payer, 1)
  })
})

test('a thousand tickets in any order are each credited once', async ({ world, ada }) => {
  const peer = await HandPeer.arrive(world.chain, [ada.address])
  try {
    await world.fund([peer.keys.address], 1000n * ETHER)
    const payer = await HandPayer.engage(peer, ada.peer, { offer: { resources: { cores: 0.1, memoryBytes: 2 ** 24, diskBytes: 0 } } })
    const random = seededRandom(7)
    const given = new Map<number, Ticket>()
    while (given.size < 1000) {
      const open = [...payer.commits.keys()].filter((index) => !given.has(index)).slice(0, 1000 - given.size).sort(() => random.below(3) - 1)
      const since = peer.heard.length
      for (const index of open) {
        const ticket = payer.ticket(index)
        given.set(index, ticket)
        await peer.send(ada.peer, { kind: 'ticket', agreement: payer.id, index, ticket })
        // and an old one again
        const [old, again] = [...given][random.below(given.size)]!
        await peer.send(ada.peer, { kind: 'ticket', agreement: payer.id, index: old, ticket: again })
      }
      for (const index of open) assert.is(await payer.answer(index, since), 'credited')
    }
    assert.is((await payer.state()).tickets, 1000)
    await over(peer, ada, payer.id)
  } finally {
    await peer.leave()
  }
})

test('a burst of tickets beyond what leaves at once arrives whole, and costs neither side its good name', async (context) => {
  await withPayer(context, async (payer, peer) => {
    const ticket = payer.ticket(0)
    assert.is(await payer.give(0, ticket), 'credited')
    const since = peer.heard.length
    await Promise.all(Array.from({ length: 600 }, () => peer.send(payer.provider, { kind: 'ticket', agreement: payer.id, index: 0, ticket })))
    await peer.until('600 acknowledgements', () => peer.heard.slice(since).filter(({ message }) => message.kind === 'credit').length === 600)
    assert.is((await payer.state()).tickets, 1)
  })
})

test('a bond stands behind no more agreements than it covers, though each was bid for', async ({ world, ada }) => {
  const peer = await HandPeer.arrive(world.chain, [ada.address])
  try {
    await world.fund([peer.keys.address])
    const bids = [await bidOf(peer, ada.peer, { maxPrepayWei: 10n * ETHER }), await bidOf(peer, ada.peer, { maxPrepayWei: 10n * ETHER })]
    const sumWei = bids.reduce((sum, { terms }) => sum + (terms.mode === 'free' ? 0n : terms.prepayCapWei), 0n)
    const { jobBondWei } = await world.broker.holdings((await ada.api.status()).address)
    assert.ok(sumWei > jobBondWei, 'the bids do not ask for too much')
    const [first, second] = [await propose(peer, agreementOf(peer, bids[0]!)), await propose(peer, agreementOf(peer, bids[1]!))]
    assert.is(first.code, undefined)
    assert.is(second.code, 'E_BOND_EXPOSED')
    await over(peer, ada, first.id)
  } finally {
    await peer.leave()
  }
})

test('clocks two minutes apart either way pay; further apart they are told', async ({ world, ada }) => {
  for (const skewMs of [119_000, -119_000]) {
    const peer = await HandPeer.arrive(world.chain, [ada.address])
    try {
      await world.fund([peer.keys.address])
      const bid = await bidOf(peer, ada.peer, { issuedWallMs: Date.now() + skewMs, deadlineWallMs: Date.now() + skewMs + 600_000 })
      const agreement = { ...agreementOf(peer, bid), createdWallMs: Date.now() + skewMs, expiresWallMs: Date.now() + skewMs + 600_000 }
      assert.is((await propose(peer, { ...agreement, createdWallMs: Date.now() + 130_000 })).code, 'E_AGREEMENT_TIME')
      const { id, code } = await propose(peer, agreement)
      assert.is(code, undefined)
      await over(peer, ada, id)
    } finally {
      await peer.leave()
    }
  }
})

test('a provider killed after it acknowledged has the ticket still: the same one is no second draw, another one is refused; and it counts what its bond stood behind before', async (context) => {
  const { world, ada } = context
  await withPayer(context, async (payer, peer) => {
    const ticket = payer.ticket(0)
    assert.is(await payer.give(0, ticket), 'credited')
    await ada.kill('SIGKILL')
    await peer.until('the end of the connection', () => !peer.isConnected(ada.peer))
    context.ada = await restart(world.cluster, ada, { flags: [...LENDS, ...world.flags, ...FLAGS] })
    await peer.network.dial(context.ada.address)
    assert.is(await payer.give(0, ticket), 'credited')
    assert.is(await payer.pay(0), 'E_TICKET_SPENT')
    assert.is((await payer.state()).tickets, 1)
    const next = payer.ticket(1)
    let answer = await payer.give(1, next)
    // the chain is asked anew after a restart: until it has answered nothing is taken on trust
    while (answer === 'E_CHAIN_UNSEEN') answer = await payer.give(1, next)
    assert.is(answer, 'credited')
    // and it knows what its bond stood behind before
    const word = (id: string): BondExposure => peer.heard.flatMap(({ message }) => message.kind === 'agreed' && message.agreement === id ? message.exposure ?? [] : [])[0]!
    const later = word((await propose(peer, agreementOf(peer, await bidOf(peer, payer.provider)))).id)
    const earlier = word(payer.id)
    assert.ok(later.sequence > earlier.sequence)
    assert.ok(earlier.ownWei > 0n && later.totalWei >= later.ownWei + earlier.ownWei, `${later.totalWei} of ${earlier.ownWei} and ${later.ownWei}`)
    await redeemed(context, payer, 2)
  })
})

test('a flood of what is no ticket ends with the door closed: three bad signatures, and a dial is refused', async (context) => {
  await withPayer(context, async (payer, peer) => {
    peer.signAs(() => `0x${'11'.repeat(64)}1b`)
    for (let i = 0; i < 200 && peer.isConnected(payer.provider); i++) await peer.send(payer.provider, { kind: 'ticket', agreement: payer.id, index: i % 4, ticket: payer.ticket(i % 4) }).catch(() => undefined)
    await peer.until('the end of the connection', () => !peer.isConnected(payer.provider))
    const { address } = context.ada
    const refused = await peer.network.dial(address).then(async () => { await peer.until('the end of the connection', () => !peer.isConnected(payer.provider)); return 'cut off' }, () => 'refused')
    assert.ok(['cut off', 'refused'].includes(refused))
  }, 0.1)
  // the door is closed to that one alone
  await withPayer(context, async (payer) => { assert.is(await payer.pay(0), 'credited') })
})

test('a flood of signed tickets that were never offered is answered for a while; then the door is closed', async (context) => {
  await withPayer(context, async (payer, peer) => {
    const wrong = payer.ticket(0, { faceValueWei: payer.terms.faceValueWei + 1n })
    for (let i = 0; i < SMALL_FAULTS; i++) assert.is(await payer.give(0, wrong), 'E_TICKET_FIELD')
    assert.is(await payer.pay(0), 'credited', 'a mistake is forgiven')
    for (let i = 0; i < 20 * SMALL_FAULTS && peer.isConnected(payer.provider); i++) await peer.send(payer.provider, { kind: 'ticket', agreement: payer.id, index: i % 4, ticket: wrong }).catch(() => undefined)
    await peer.until('the end of the connection', () => !peer.isConnected(payer.provider))
    const answers = peer.heard.filter(({ message }) => message.kind === 'ticket-refused').length
    assert.ok(answers <= FAULTS_TO_BAN * SMALL_FAULTS, `${answers} answers`)
  }, 0.1)
  await withPayer(context, async (payer) => { assert.is(await payer.pay(0), 'credited') })
})

test.run()

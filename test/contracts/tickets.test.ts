/** Redemption: every way in which a ticket is refused, and what a good one moves. */
import { concat, dataSlice, hexlify, toBeHex } from 'ethers'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { BUCKET, REFUSALS } from '../../src/contracts/index.ts'
import { seededRandom } from '../helpers/seeded.ts'
import { attackers } from './attackers.ts'
import { onFreshChain, startAnvil } from './anvil.ts'
import type { Chain } from './anvil.ts'
import { ALWAYS, Broker, DAY, TERMS, TICKET_TYPES, ZERO_ADDRESS, deployNative, deployToken, opened, refusal, ticketOf, walletOf, wins } from './broker.ts'
import type { Winner } from './broker.ts'

const CURVE_ORDER = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n
const random = seededRandom(4)
const wallet = walletOf('payer')
const payer = wallet.address
const payee = walletOf('payee').address

let chain: Chain
let broker: Broker
let stranger: string

onFreshChain(test, async (started) => {
  chain = started
  stranger = chain.accounts[1]!
  broker = await deployNative(chain)
  for (const account of [payer, payee]) await chain.setBalance(account, 10n ** 20n)
  await broker.send(stranger, 'fund', [payer, 5000n], 5000n)
})

/** Deposit of the payer and credit of the payee. */
async function money(of = broker): Promise<[bigint, bigint]> {
  return [(await of.snapshot(payer)).deposit, (await of.snapshot(payee)).credit]
}

/** Refused by `redeem`, skipped by `redeemBatch`, told by `check`: and nothing moves. */
async function assertRefused(winner: Winner, reason: typeof REFUSALS[number], of = broker): Promise<void> {
  const before = await money(of)
  assert.is(await refusal(of.redeem(stranger, winner)), `TicketRefused(${reason})`)
  const receipt = await of.send(stranger, 'redeemBatch', [[winner]])
  assert.equal(of.events(receipt).map((event) => [event.name, REFUSALS[Number(event.args[1])]]), [['TicketSkipped', reason]])
  assert.is(REFUSALS[Number((await of.read('check', [winner]))[1])], reason)
  assert.equal(await money(of), before)
}

test('a winner moves exactly its face value from its payer to its payee, whoever redeems it', async () => {
  const winner = await broker.winner(wallet, payee, random)
  const [digest] = await broker.read('hashTicket', [ticketOf(winner)])
  assert.equal([...await broker.read('check', [winner])], [digest, 0n])
  const receipt = await broker.redeem(stranger, winner)
  assert.equal(broker.events(receipt).map((event) => [event.name, ...event.args]), [['TicketRedeemed', payer, payee, digest, 1000n]])
  assert.equal(await money(), [4000n, 1000n])
  assert.equal([...await broker.read('ticketState', [digest])], [true, 0n])
})

test('a digest is redeemed at most once, alone, in a batch, or twice in one batch', async () => {
  const winner = await broker.winner(wallet, payee, random)
  await broker.redeem(stranger, winner)
  await assertRefused(winner, 'used')
  const other = await broker.winner(wallet, payee, random)
  const receipt = await broker.send(stranger, 'redeemBatch', [[other, other, winner, other]])
  assert.equal(broker.events(receipt).map((event) => event.name), ['TicketRedeemed', 'TicketSkipped', 'TicketSkipped', 'TicketSkipped'])
  assert.equal(await money(), [3000n, 2000n])
})

test('a losing ticket changes nothing, and the draw is that of ethers', async () => {
  const winProb = ALWAYS / 4n
  const drawn = { won: 0, lost: 0 }
  for (let i = 0; i < 24; i++) {
    const winner = await broker.winner(wallet, payee, random, { winProb, faceValue: 1n })
    const [digest] = await broker.read('hashTicket', [ticketOf(winner)])
    if (wins(String(digest), winner.rand, winProb)) {
      await broker.redeem(stranger, winner)
      drawn.won++
    } else {
      await assertRefused(winner, 'lost')
      drawn.lost++
    }
  }
  assert.ok(drawn.won > 0 && drawn.lost > 0, JSON.stringify(drawn))
  assert.equal(await money(), [5000n - BigInt(drawn.won), BigInt(drawn.won)])
})

test('a draw on the edge wins, one above loses', async () => {
  const digest = `0x${'11'.repeat(32)}`
  const rand = `0x${'22'.repeat(32)}`
  let low = 0n
  for (let bit = 63n; bit >= 0n; bit--) if (!wins(digest, rand, (low | 1n << bit) - 1n)) low |= 1n << bit
  assert.equal([(await broker.read('wins', [digest, rand, low]))[0], (await broker.read('wins', [digest, rand, low - 1n]))[0]], [true, false])
})

test('a ticket is good to the last second of its life and no longer', async () => {
  const expiry = BigInt(await chain.now() + 100)
  const [one, two] = [await broker.winner(wallet, payee, random, { expiry }), await broker.winner(wallet, payee, random, { expiry })]
  await chain.setNextTime(Number(expiry))
  await broker.redeem(stranger, one)
  await chain.setNextTime(Number(expiry) + 1)
  await assertRefused(two, 'expired')
})

test('expiry 0 is expired, and an expiry beyond the delay must wait', async () => {
  await assertRefused(await broker.winner(wallet, payee, random, { expiry: 0n }), 'expired')
  await assertRefused(await broker.winner(wallet, payee, random, { expiry: 2n ** 64n - 1n }), 'tooFarAhead')
  const at = await chain.now() + 1000
  const winner = await broker.winner(wallet, payee, random, { expiry: BigInt(at + TERMS.delay) })
  await chain.setNextTime(at - 1)
  assert.is(await refusal(broker.redeem(stranger, winner)), 'TicketRefused(tooFarAhead)')
  await chain.setNextTime(at)
  await broker.redeem(stranger, winner)
})

test('every changed field makes another ticket, which nobody signed', async () => {
  const winner = await broker.winner(wallet, payee, random)
  const changes: Partial<Winner>[] = [
    { payer: payee }, { payee: stranger }, { faceValue: 1001n }, { winProb: ALWAYS }, { expiry: winner.expiry + 1n },
    { rand: winner.salt }, { salt: winner.rand }, { context: winner.salt }
  ]
  for (const change of changes.filter((change) => change.winProb === undefined)) await assertRefused({ ...winner, ...change }, 'wrongSignature')
  const rare = await broker.winner(wallet, payee, random, { winProb: 0n })
  await assertRefused({ ...rare, winProb: ALWAYS }, 'wrongSignature')
})

test('a signature has one form: low s, v 27 or 28, by the payer, never of the zero address', async () => {
  const winner = await broker.winner(wallet, payee, random)
  const highS = { ...winner, s: toBeHex(CURVE_ORDER - BigInt(winner.s), 32), v: 55 - winner.v }
  const compactS = toBeHex(BigInt(winner.s) | BigInt(winner.v - 27) << 255n, 32)
  const zero = `0x${'00'.repeat(32)}`
  const forms = [highS, { ...winner, v: 55 - winner.v }, { ...winner, v: winner.v - 27 }, { ...winner, v: 0 }, { ...winner, v: 255 }, { ...winner, s: compactS, v: 0 }, { ...winner, r: zero }, { ...winner, s: zero }, { ...winner, r: winner.s, s: winner.r }]
  for (const form of forms) await assertRefused(form, 'wrongSignature')
  await assertRefused(opened(ticketOf(winner), winner.rand, await walletOf('other').signTypedData(broker.domain, TICKET_TYPES, ticketOf(winner))), 'wrongSignature')
  await assertRefused({ ...winner, payer: ZERO_ADDRESS, r: zero, s: zero, v: 27 }, 'wrongSignature')
  await broker.redeem(stranger, winner)
  for (const form of forms) await assertRefused(form, 'used')
})

test('fields with dirty high bits, and calldata shifted by a byte or cut short, are refused', async () => {
  const winner = await broker.winner(wallet, payee, random)
  const data = broker.encode('redeem', [winner])
  const dirty = (word: number): string => concat([dataSlice(data, 0, 4 + 32 * word), '0x01', dataSlice(data, 4 + 32 * word + 1)])
  // Addresses, the numbers and v: the words of which Solidity uses a part.
  for (const word of [0, 1, 2, 3, 4, 10]) assert.not((await chain.send({ from: stranger, to: broker.address, data: dirty(word), gas: 500_000n })).ok)
  const shifted = concat([dataSlice(data, 0, 4), '0x00', dataSlice(data, 4)])
  for (const wrong of [shifted, dataSlice(data, 0, data.length / 2 - 2)]) assert.not((await chain.send({ from: stranger, to: broker.address, data: wrong, gas: 500_000n })).ok)
  assert.equal(await money(), [5000n, 0n])
})

test('all of the face value or nothing: a ticket that the deposit does not cover stays redeemable', async () => {
  const [small, big] = [await broker.winner(wallet, payee, random, { faceValue: 1n }), await broker.winner(wallet, payee, random, { faceValue: 5000n })]
  const receipt = await broker.send(stranger, 'redeemBatch', [[small, big]])
  assert.equal(broker.events(receipt).map((event) => event.name), ['TicketRedeemed', 'TicketSkipped'])
  await assertRefused(big, 'underfunded')
  await broker.send(stranger, 'fund', [payer, 1n], 1n)
  await broker.redeem(stranger, big)
  assert.equal(await money(), [0n, 5001n])
})

test('two tickets on one commit are two tickets: each pays, none uses the other up', async () => {
  const winner = await broker.winner(wallet, payee, random)
  const second = { ...ticketOf(winner), salt: winner.context, faceValue: 1n }
  await broker.redeem(stranger, opened(second, winner.rand, await wallet.signTypedData(broker.domain, TICKET_TYPES, second)))
  await broker.redeem(stranger, winner)
  assert.equal(await money(), [3999n, 1001n])
})

test('a batch in any order pays the same, with neighbours of other payees in between', async () => {
  const others = [payee, stranger, payee, payee, stranger]
  const winners = await Promise.all(others.map((to, i) => broker.winner(wallet, to, seededRandom(100 + i), { faceValue: BigInt(i + 1) })))
  for (const order of [winners, winners.toReversed()]) {
    const id = await chain.snapshot()
    await broker.send(stranger, 'redeemBatch', [order])
    assert.equal([...await money(), (await broker.snapshot(stranger)).credit], [4985n, 8n, 7n])
    await chain.revert(id)
  }
  assert.is(broker.events(await broker.send(stranger, 'redeemBatch', [[]])).length, 0)
})

test('a wei before a redemption neither stops it nor burns the ticket', async () => {
  const winner = await broker.winner(wallet, payee, random, { faceValue: 5000n })
  await broker.redeem(stranger, await broker.winner(wallet, stranger, random, { faceValue: 1n }))
  await assertRefused(winner, 'underfunded')
  await broker.send(stranger, 'fund', [payer, 1n], 1n)
  await broker.redeem(payee, winner)
})

test('a hot key signs for its payer, and a revocation takes effect after the delay', async () => {
  const hot = walletOf('hot')
  const signed = async (expiry?: bigint): Promise<Winner> => {
    const base = await broker.winner(wallet, payee, random, expiry === undefined ? {} : { expiry })
    return opened(ticketOf(base), base.rand, await hot.signTypedData(broker.domain, TICKET_TYPES, ticketOf(base)))
  }
  await assertRefused(await signed(), 'wrongSignature')
  assert.is(await refusal(broker.send(payer, 'revokeSigner', [hot.address])), 'UnknownSigner')
  assert.is(await refusal(broker.send(payer, 'addSigner', [ZERO_ADDRESS])), 'UnknownSigner')
  await broker.send(payee, 'addSigner', [hot.address])
  await assertRefused(await signed(), 'wrongSignature')
  assert.equal(broker.events(await broker.send(payer, 'addSigner', [hot.address])).map((event) => [event.name, ...event.args]), [['SignerAdded', payer, hot.address]])
  await broker.redeem(stranger, await signed())
  const receipt = await broker.send(payer, 'revokeSigner', [hot.address])
  const [revoked] = broker.events(receipt)
  assert.is(revoked!.name, 'SignerRevoked')
  const until = Number(revoked!.args.getValue('validUntil'))
  assert.is(until, await chain.now() + TERMS.delay)
  assert.is(await refusal(broker.send(payer, 'revokeSigner', [hot.address])), 'UnknownSigner')
  const [accepted, late] = [await signed(BigInt(until)), await signed(BigInt(until + DAY))]
  await chain.setNextTime(until)
  await broker.redeem(stranger, accepted)
  await chain.setNextTime(until + 1)
  await assertRefused(late, 'wrongSignature')
  await broker.redeem(stranger, await broker.winner(wallet, payee, random))
  await broker.send(payer, 'addSigner', [hot.address])
  await broker.redeem(stranger, late)
})

test('a signature for one chain, one contract or one kind of document is good nowhere else', async () => {
  const twin = await deployNative(chain)
  await twin.send(stranger, 'fund', [payer, 5000n], 5000n)
  const winner = await broker.winner(wallet, payee, random)
  await assertRefused(winner, 'wrongSignature', twin)
  const ticket = ticketOf(winner)
  for (const domain of [{ ...broker.domain, chainId: 1 }, { ...broker.domain, version: '2' }, { ...broker.domain, name: 'hearth' }, { name: 'Hearth', version: '1', chainId: chain.chainId }]) {
    await assertRefused(opened(ticket, winner.rand, await wallet.signTypedData(domain, TICKET_TYPES, ticket)), 'wrongSignature')
  }
  await assertRefused(opened(ticket, winner.rand, await wallet.signMessage(hexlify(String((await broker.read('hashTicket', [ticket]))[0])))), 'wrongSignature')
})

test('the same contract at the same address on another chain takes no ticket of this one', async () => {
  const other = await startAnvil({ chainId: 777 })
  try {
    await other.setBalance(payer, 10n ** 20n)
    const twin = await deployNative(other)
    assert.is(twin.address, broker.address)
    await twin.send(payer, 'fund', [payer, 5000n], 5000n)
    await assertRefused(await broker.winner(wallet, payee, random), 'wrongSignature', twin)
  } finally {
    await other.stop()
  }
})

test('the fee is taken from the face value, rounded down, and pulled like any credit', async () => {
  const token = attackers('PlainToken')['PlainToken']!
  const { address } = await chain.deploy(stranger, token.bytecode)
  const collector = walletOf('collector').address
  const feed = await deployToken(chain, address, { feeBps: 250, feeRecipient: collector })
  const plain = new Broker(chain, address, token.abi)
  await plain.send(stranger, 'mint', [payer, 10_000n])
  await plain.send(payer, 'approve', [feed.address, 10_000n])
  await feed.send(payer, 'fund', [payer, 10_000n])
  await feed.redeem(stranger, await feed.winner(wallet, payee, random, { faceValue: 1000n }))
  await feed.send(stranger, 'redeemBatch', [[await feed.winner(wallet, payee, random, { faceValue: 39n }), await feed.winner(wallet, payee, random, { faceValue: 79n })]])
  assert.equal([...await money(feed), (await feed.snapshot(collector)).credit], [10_000n - 1118n, 1118n - 26n, 26n])
})

test('a payee without a credit so far is paid, with a job bond or without', async () => {
  for (const bonded of [false, true]) {
    const host = walletOf(`host ${bonded}`).address
    if (bonded) await broker.send(stranger, 'addJobBond', [host, 9n], 9n)
    await broker.redeem(stranger, await broker.winner(wallet, host, random))
    const { credit, jobBond } = await broker.snapshot(host)
    assert.equal([credit, jobBond], [1000n, bonded ? 9n : 0n])
  }
})

test('accepted, won, solvent and in time: the redemption succeeds, while its payer unlocks everything', async () => {
  await broker.send(payer, 'requestUnlock', [BUCKET.deposit, 5000n])
  const until = Number((await broker.snapshot(payer)).unlocks[BUCKET.deposit]!.lockedUntil)
  const winner = await broker.winner(wallet, payee, random, { expiry: BigInt(until) })
  await chain.setNextTime(until)
  // Both in the same second, the withdrawal first.
  assert.is(await refusal(broker.send(payer, 'withdraw', [BUCKET.deposit, payer])), `Locked(${until})`)
  await chain.rpc('anvil_setBlockTimestampInterval', [0])
  await broker.redeem(stranger, winner)
  await chain.rpc('anvil_removeBlockTimestampInterval')
  assert.is(await chain.now(), until)
})

test.run()

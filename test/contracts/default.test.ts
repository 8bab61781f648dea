/** What happens when a deposit does not cover a winner: notice, grace, claim, and what is held meanwhile. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { BUCKET } from '../../src/contracts/index.ts'
import { seededRandom } from '../helpers/seeded.ts'
import { onFreshChain } from './anvil.ts'
import type { Chain } from './anvil.ts'
import { ALWAYS, DAY, HOUR, TERMS, deployNative, refusal, ticketOf, walletOf, wins } from './broker.ts'
import type { Broker, Winner } from './broker.ts'

const random = seededRandom(5)
const wallet = walletOf('payer')
const payer = wallet.address
const payee = walletOf('payee').address

let chain: Chain
let broker: Broker
let stranger: string

/** The payer has a deposit of 400 and a bond of 3,000; its tickets are worth 1,000. */
onFreshChain(test, async (started) => {
  chain = started
  stranger = chain.accounts[1]!
  broker = await deployNative(chain)
  for (const account of [payer, payee]) await chain.setBalance(account, 10n ** 20n)
  await broker.send(stranger, 'fund', [payer, 400n], 400n)
  await broker.send(stranger, 'addBond', [payer, 3000n], 3000n)
})

const notice = (winner: Winner, from = payee): ReturnType<Broker['send']> => broker.send(from, 'noticeDefault', [winner])
const claim = (winner: Winner, from = payee): ReturnType<Broker['send']> => broker.send(from, 'claimDefault', [ticketOf(winner)])

async function money(): Promise<{ deposit: bigint, bond: bigint, credit: bigint, burned: bigint }> {
  const [from, to] = [await broker.snapshot(payer), await broker.snapshot(payee)]
  return { deposit: from.deposit, bond: from.bond, credit: to.credit, burned: BigInt((await broker.read('burned'))[0]) }
}

test('after notice and grace the payee takes what is left, the bond burns and the ticket is used up', async () => {
  const winner = await broker.winner(wallet, payee, random)
  const noticed = broker.events(await notice(winner))
  const graceUntil = await chain.now() + TERMS.grace
  const [digest] = await broker.read('hashTicket', [ticketOf(winner)])
  assert.equal(noticed.map((event) => [event.name, ...event.args]), [['DefaultNoticed', digest, payer, payee, winner.rand, BigInt(graceUntil)]])
  assert.equal([...await broker.read('ticketState', [digest])], [false, BigInt(graceUntil)])
  await chain.setNextTime(graceUntil)
  assert.is(await refusal(claim(winner)), `GraceRuns(${graceUntil})`)
  await chain.setNextTime(graceUntil + 1)
  const claimed = broker.events(await claim(winner))
  assert.equal(claimed.map((event) => event.name), ['Burned', 'DefaultClaimed'])
  assert.equal(await money(), { deposit: 0n, bond: 0n, credit: 400n, burned: 3000n })
  assert.is(await refusal(claim(winner)), 'TicketRefused(used)')
  await broker.send(stranger, 'fund', [payer, 5000n], 5000n)
  assert.is(await refusal(broker.redeem(stranger, winner)), 'TicketRefused(used)')
  assert.is((await broker.snapshot(payer)).openClaims, 0n)
})

test('a payer that tops up within the grace pays the ticket and keeps its bond, by redeeming it itself', async () => {
  const winner = await broker.winner(wallet, payee, random)
  await notice(winner)
  await chain.increaseTime(TERMS.grace - HOUR)
  await broker.send(payer, 'fund', [payer, 600n], 600n)
  await broker.redeem(payer, winner)
  assert.equal(await money(), { deposit: 0n, bond: 3000n, credit: 1000n, burned: 0n })
  await chain.increaseTime(DAY)
  assert.is(await refusal(claim(winner)), 'TicketRefused(used)')
  assert.is((await broker.snapshot(payer)).openClaims, 0n)
})

test('a top-up that nobody redeemed is paid by the claim, and nothing burns', async () => {
  const winner = await broker.winner(wallet, payee, random)
  await notice(winner)
  await broker.send(payer, 'fund', [payer, 700n], 700n)
  await chain.increaseTime(TERMS.grace + 1)
  await claim(winner)
  assert.equal(await money(), { deposit: 100n, bond: 3000n, credit: 1000n, burned: 0n })
})

test('nobody but the payee notices and claims', async () => {
  const winner = await broker.winner(wallet, payee, random)
  for (const from of [stranger, payer]) assert.is(await refusal(notice(winner, from)), 'NotPayee')
  await notice(winner)
  await chain.increaseTime(TERMS.grace + 1)
  for (const from of [stranger, payer]) assert.is(await refusal(claim(winner, from)), 'NotPayee')
})

test('a key that the payee lets sign for it notices and claims, for the payee alone; not one that was revoked', async () => {
  const [key, old] = [walletOf('hot key').address, walletOf('old key').address]
  for (const account of [key, old]) await chain.setBalance(account, 10n ** 20n)
  await broker.send(payee, 'addSigner', [old])
  await broker.send(payee, 'revokeSigner', [old])
  await chain.increaseTime(TERMS.delay + 1)
  await broker.send(payee, 'addSigner', [key])
  const winner = await broker.winner(wallet, payee, random)
  assert.is(await refusal(notice(winner, old)), 'NotPayee')
  assert.is(await refusal(notice(await broker.winner(wallet, stranger, random), key)), 'NotPayee', 'it speaks for another')
  const [noticed] = broker.events(await notice(winner, key))
  assert.is(noticed?.args['payee'], payee)
  await chain.increaseTime(TERMS.grace + 1)
  assert.is(await refusal(claim(winner, old)), 'NotPayee')
  const events = broker.events(await claim(winner, key))
  assert.is(events.find(({ name }) => name === 'DefaultClaimed')?.args['payee'], payee)
  assert.equal(await money(), { deposit: 0n, bond: 0n, credit: 400n, burned: 3000n })
  assert.is((await broker.snapshot(key)).credit, 0n)
})

test('only a good winner that the deposit does not cover can be noticed, and once', async () => {
  assert.is(await refusal(notice(await broker.winner(wallet, payee, random, { faceValue: 400n }))), 'Covered')
  const bad: [Partial<Winner>, string][] = [[{ expiry: 0n }, 'expired'], [{ expiry: BigInt(await chain.now() + 8 * DAY) }, 'tooFarAhead']]
  for (const [change, reason] of bad) assert.is(await refusal(notice(await broker.winner(wallet, payee, random, change))), `TicketRefused(${reason})`)
  const winner = await broker.winner(wallet, payee, random)
  assert.is(await refusal(notice({ ...winner, faceValue: 2000n })), 'TicketRefused(wrongSignature)')
  for (;;) {
    const rare = await broker.winner(wallet, payee, random, { winProb: ALWAYS / 2n })
    if (wins(String((await broker.read('hashTicket', [ticketOf(rare)]))[0]), rare.rand, rare.winProb)) continue
    assert.is(await refusal(notice(rare)), 'TicketRefused(lost)')
    break
  }
  await notice(winner)
  assert.is(await refusal(notice(winner)), 'AlreadyNoticed')
  assert.is(await refusal(claim(await broker.winner(wallet, payee, random))), 'NoNotice')
})

test('a noticed ticket outlives its expiry until the claim lapses, and then is worth nothing', async () => {
  const winner = await broker.winner(wallet, payee, random, { expiry: BigInt(await chain.now() + HOUR) })
  await notice(winner)
  const lapses = await chain.now() + TERMS.grace + TERMS.delay
  await chain.setNextTime(lapses)
  await broker.send(stranger, 'fund', [payer, 600n], 600n)
  const id = await chain.snapshot()
  assert.is((await broker.read('check', [winner]))[1], 0n)
  await chain.setNextTime(lapses + 1)
  assert.is(await refusal(broker.redeem(stranger, winner)), 'TicketRefused(expired)')
  assert.is(await refusal(claim(winner)), `ClaimLapsed(${lapses})`)
  await chain.revert(id)
  await chain.rpc('anvil_setBlockTimestampInterval', [0])
  await broker.redeem(stranger, winner)
  await chain.rpc('anvil_removeBlockTimestampInterval')
})

test('an open claim holds deposit and bond until it is settled or lapses, and not the job bond', async () => {
  await broker.send(stranger, 'addJobBond', [payer, 50n], 50n)
  for (const [bucket, amount] of [[BUCKET.deposit, 400n], [BUCKET.bond, 3000n], [BUCKET.jobBond, 50n]] as const) await broker.send(payer, 'requestUnlock', [bucket, amount])
  await chain.increaseTime(TERMS.delay - HOUR)
  const [one, two] = [await broker.winner(wallet, payee, random), await broker.winner(wallet, payee, random)]
  await notice(one)
  await chain.increaseTime(HOUR + 1)
  await notice(two)
  const held = await chain.now() + TERMS.grace + TERMS.delay
  for (const bucket of [BUCKET.deposit, BUCKET.bond]) assert.is(await refusal(broker.send(payer, 'withdraw', [bucket, payer])), `ClaimsOpen(${held})`)
  await broker.send(payer, 'withdraw', [BUCKET.jobBond, payer])
  await broker.send(payer, 'fund', [payer, 600n], 600n)
  await broker.redeem(payer, one)
  assert.is(await refusal(broker.send(payer, 'withdraw', [BUCKET.bond, payer])), `ClaimsOpen(${held})`, 'one of two is settled')
  const id = await chain.snapshot()
  await broker.send(payer, 'fund', [payer, 1000n], 1000n)
  await broker.redeem(payer, two)
  await broker.send(payer, 'withdraw', [BUCKET.bond, payer])
  await chain.revert(id)
  await chain.setNextTime(held)
  assert.is(await refusal(broker.send(payer, 'withdraw', [BUCKET.bond, payer])), `ClaimsOpen(${held})`)
  await chain.setNextTime(held + 1)
  await broker.send(payer, 'withdraw', [BUCKET.bond, payer])
})

test('claims that lapsed are no longer counted when the next is noticed', async () => {
  for (let i = 0; i < 3; i++) await notice(await broker.winner(wallet, payee, random))
  assert.is((await broker.snapshot(payer)).openClaims, 3n)
  await chain.increaseTime(TERMS.grace + TERMS.delay + 1)
  const winner = await broker.winner(wallet, payee, random)
  await notice(winner)
  assert.is((await broker.snapshot(payer)).openClaims, 1n)
  await chain.increaseTime(TERMS.grace + 1)
  await claim(winner)
  assert.is((await broker.snapshot(payer)).openClaims, 0n)
})

test('of two claims the first takes what is left and burns the bond, the second finds nothing', async () => {
  const [one, two] = [await broker.winner(wallet, payee, random), await broker.winner(wallet, payee, random)]
  await notice(one)
  await notice(two)
  await chain.increaseTime(TERMS.grace + 1)
  await claim(one)
  await claim(two)
  assert.equal(await money(), { deposit: 0n, bond: 0n, credit: 400n, burned: 3000n })
})

test('a payer that drains its deposit by a self-won ticket loses its bond, which is worth more than the ticket', async () => {
  await broker.send(stranger, 'fund', [payer, 1100n], 1100n)
  const owed = await broker.winner(wallet, payee, random)
  const friend = walletOf('friend').address
  await broker.redeem(payer, await broker.winner(wallet, friend, random, { faceValue: 1500n }))
  await notice(owed)
  await chain.increaseTime(TERMS.grace + 1)
  await claim(owed)
  const { bond, burned } = await money()
  assert.equal([bond, burned], [0n, 3000n])
  assert.ok(burned >= 2n * owed.faceValue, 'a provider accepts no face value above half of the bond')
})

test.run()

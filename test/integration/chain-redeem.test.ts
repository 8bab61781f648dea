/** Winning tickets become credit: when, in what order, and what the client tells of each. Real anvil, blocks by hand. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { memoryStore } from '../../node/chain/index.ts'
import { ChainWorld, ETHER, GWEI, kinds, OTHER, PAYEE, PAYER, reportsOf } from '../helpers/chain.ts'

let world: ChainWorld
let start: string

test.before(async () => {
  world = await ChainWorld.start()
  start = await world.rpc('evm_snapshot')
})

test.before.each(async () => {
  await world.rpc('evm_revert', [start])
  await world.rpc('anvil_dropAllTransactions')
  start = await world.rpc('evm_snapshot')
  await world.mineAt(GWEI)
})

test.after(() => world.stop())

test('a winner is submitted at once, told as redeemed only under its confirmations, and paid whole', async () => {
  const client = await world.client()
  const reports = reportsOf(client)
  const winner = await world.winner()
  const before = await world.balance(PAYEE.address)
  await client.redeem(winner)
  await client.poll()
  assert.equal(kinds(reports), ['submitted'])
  await world.mine(2)
  await client.poll()
  assert.equal(kinds(reports), ['submitted'], 'one block on top is not two')
  await world.mine()
  await client.poll()
  assert.equal(kinds(reports), ['submitted', 'redeemed'])
  const [, redeemed] = reports
  assert.ok(redeemed?.kind === 'redeemed')
  assert.is(redeemed.paidWei, winner.ticket.faceValueWei)
  assert.is(before - await world.balance(PAYEE.address), redeemed.feeWei, 'the fee told is the fee paid')
  assert.is((await client.accounts.balances()).creditWei, winner.ticket.faceValueWei)
  await world.close(client)
})

test('a winner that is handed over again and again is redeemed once, and reported again', async () => {
  const client = await world.client({ confirmations: 0 })
  const reports = reportsOf(client)
  const problems: string[] = []
  client.onProblem(({ code }) => { problems.push(code) })
  const winner = await world.winner()
  await client.redeem(winner)
  await client.redeem(winner)
  await client.poll()
  await client.redeem(winner)
  await client.poll()
  await world.mine()
  await client.poll()
  await client.redeem(winner)
  await client.poll()
  assert.equal([kinds(reports), problems], [['submitted', 'submitted', 'redeemed', 'redeemed'], []])
  assert.is(await world.nonce(PAYEE.address), 1)
  await world.close(client)
})

test('one bad ticket never holds up the others: each is refused by its reason and the rest redeemed together', async () => {
  const client = await world.client({ confirmations: 0 })
  const reports = reportsOf(client)
  const good = [await world.winner(), await world.winner(), await world.winner()]
  const forged = { ...await world.winner(), signature: good[0]!.signature }
  const wrongSecret = { ...await world.winner(), index: 999 }
  const lost = await world.winner({ winProb: 0n })
  const expired = await world.winner({ expirySec: await world.now() - 1 })
  const malformed = [{ ...await world.winner(), signature: '0x12' }, { ...await world.winner(), offerId: 'x' }]
  const tooFar = await world.winner({ lifeSec: 8 * 86_400 })
  const wrongDigest = { ...await world.winner(), digest: `0x${'ab'.repeat(32)}` }
  for (const winner of [forged, good[0]!, ...malformed, wrongSecret, lost, good[1]!, expired, wrongDigest, tooFar, good[2]!]) await client.redeem(winner)
  await client.poll()
  await world.mine()
  await client.poll()
  const refused = Object.fromEntries(reports.flatMap((report) => report.kind === 'refused' ? [[report.digest, report.reason]] : []))
  assert.equal(refused, { [forged.digest]: 'wrongSignature', [wrongSecret.digest]: 'wrongRand', [lost.digest]: 'lost', [expired.digest]: 'expired', [wrongDigest.digest]: 'wrongDigest', [malformed[0]!.digest]: 'malformed', [malformed[1]!.digest]: 'malformed' })
  for (const { digest } of good) assert.equal(kinds(reports, digest), ['submitted', 'redeemed'])
  assert.is(await world.nonce(PAYEE.address), 1)
  assert.is((await client.accounts.balances()).creditWei, 3n * good[0]!.ticket.faceValueWei)
  assert.equal(client.pending, { winners: 1, transactions: 0 }, 'one cannot be redeemed before its time')
  await world.passTime(2 * 86_400)
  for (let i = 0; i < 2; i++) {
    await client.poll()
    await world.mine()
  }
  await client.poll()
  assert.is(kinds(reports, tooFar.digest).at(-1), 'redeemed')
  await world.close(client)
})

test('a winner that was never worth its gas is told as expired, and makes room', async () => {
  const client = await world.client({ confirmations: 0 })
  const reports = reportsOf(client)
  await client.redeem(await world.winner({ faceValueWei: 1000n, lifeSec: 100 }))
  await client.poll()
  assert.is(client.pending.winners, 1)
  await world.passTime(101)
  await client.poll()
  assert.equal(reports.map((report) => report.kind === 'refused' ? report.reason : report.kind), ['expired'])
  assert.is(client.pending.winners, 0)
  await world.close(client)
})

test('gas at a hundred times makes winners wait, until shortly before their expiry', async () => {
  const client = await world.client({ confirmations: 0, gas: { maxFeePerGasWei: 1000n * GWEI } })
  const reports = reportsOf(client)
  await world.mineAt(100n * GWEI)
  const winner = await world.winner({ lifeSec: 10_000 })
  await client.redeem(winner)
  await client.poll()
  await world.mineAt(100n * GWEI)
  await client.poll()
  assert.equal(kinds(reports), [], 'more than 5 % of the ticket would go for gas')
  await world.passTime(7_000)
  await world.mineAt(100n * GWEI)
  await client.poll()
  assert.equal(kinds(reports), ['submitted'])
  await world.mineAt(100n * GWEI)
  await client.poll()
  assert.equal(kinds(reports), ['submitted', 'redeemed'])
  await world.close(client)
})

test('the cap on gas holds even before an expiry, and people are told', async () => {
  const client = await world.client({ confirmations: 0, gas: { maxFeePerGasWei: 50n * GWEI } })
  const reports = reportsOf(client)
  const problems: string[] = []
  client.onProblem(({ code }) => { problems.push(code) })
  await world.mineAt(100n * GWEI)
  await client.redeem(await world.winner({ lifeSec: 1000 }))
  await client.poll()
  assert.equal([kinds(reports), [...new Set(problems)]], [[], ['E_CHAIN_GAS_CAP']])
  await world.mineAt(10n * GWEI)
  await client.poll()
  assert.equal(kinds(reports), ['submitted'])
  await world.close(client)
})

test('a fee that the chain no longer takes is raised, and the winner redeemed once', async () => {
  const client = await world.client({ confirmations: 0 })
  const reports = reportsOf(client)
  await client.redeem(await world.winner())
  await client.poll()
  for (let i = 0; i < 6; i++) {
    await world.mineAt(20n * GWEI)
    await client.poll()
  }
  assert.equal(kinds(reports), ['submitted', 'redeemed'])
  assert.is(await world.nonce(PAYEE.address), 1)
  await world.close(client)
})

test('a fee is never raised above what the ticket brings', async () => {
  const client = await world.client({ confirmations: 0, redeemWhenGasShareBelow: 0.5, gas: { maxFeePerGasWei: 1000n * GWEI } })
  const reports = reportsOf(client)
  await client.redeem(await world.winner({ faceValueWei: ETHER / 1000n }))
  await client.poll()
  for (let i = 0; i < 30; i++) {
    await world.mineAt(50n * GWEI)
    await client.poll()
  }
  assert.equal(kinds(reports), ['submitted'])
  for (let i = 0; i < 2; i++) {
    await world.mineAt(GWEI)
    await client.poll()
  }
  const end = reports.at(-1)
  assert.ok(end?.kind === 'redeemed' && end.feeWei < end.paidWei)
  await world.close(client)
})

test('winners that a deposit covers one by one but not together are not sent together', async () => {
  const client = await world.client({ confirmations: 0 })
  const reports = reportsOf(client)
  const [first, second] = [await world.winner({ faceValueWei: 31n * ETHER }), await world.winner({ faceValueWei: 30n * ETHER })]
  await client.redeem(second)
  await client.redeem(first)
  for (let i = 0; i < 3; i++) {
    await client.poll()
    await world.mine()
  }
  const [paid, waits] = [reports.filter(({ kind }) => kind === 'redeemed').map(({ digest }) => digest), kinds(reports).filter((kind) => kind === 'underfunded')]
  assert.equal([paid.length, waits.length], [1, 1])
  const other = [first, second].find(({ digest }) => digest !== paid[0])
  assert.is(kinds(reports, other!.digest)[0], 'underfunded', 'no gas was spent on the one that could not be paid')
  await world.close(client)
})

test('200 winners are redeemed in batches, and every fee and face value adds up to the wei', async () => {
  const client = await world.client({ confirmations: 1 })
  const reports = reportsOf(client)
  const before = await world.balance(PAYEE.address)
  const winners = []
  for (let i = 0; i < 200; i++) winners.push(await world.winner({ faceValueWei: ETHER / 10n + BigInt(i) }))
  for (const winner of winners) await client.redeem(winner)
  for (let i = 0; client.pending.winners > 0; i++) {
    assert.ok(i < 20, 'it takes more than 20 blocks')
    await client.poll()
    await world.mine()
  }
  const redeemed = reports.flatMap((report) => report.kind === 'redeemed' ? [report] : [])
  assert.is(new Set(redeemed.map(({ digest }) => digest)).size, 200)
  assert.is(before - await world.balance(PAYEE.address), redeemed.reduce((sum, { feeWei }) => sum + feeWei, 0n))
  assert.is((await client.accounts.balances()).creditWei, winners.reduce((sum, { ticket }) => sum + ticket.faceValueWei, 0n))
  assert.is(await world.nonce(PAYEE.address), Math.ceil(200 / 32))
  await world.close(client)
})

test('of two that race for a ticket one redeems it, the other says so, and the payee has the money once', async () => {
  const client = await world.client()
  const rival = await world.client({ signer: OTHER })
  const [ours, theirs] = [reportsOf(client), reportsOf(rival)]
  const winner = await world.winner()
  await client.redeem(winner)
  await rival.redeem(winner)
  await Promise.all([client.poll(), rival.poll()])
  for (let i = 0; i < 8; i++) {
    await world.mine()
    await client.poll()
    await rival.poll()
  }
  const ends = new Set([kinds(ours).at(-1), kinds(theirs).at(-1)])
  assert.equal(ends, new Set(['lost-race', 'redeemed']))
  assert.is((await client.accounts.balances()).creditWei, winner.ticket.faceValueWei)
  await world.close(client)
  await world.close(rival)
})

test('a payer that cannot pay is given notice; one that tops up pays, and keeps its bond', async () => {
  const client = await world.client({ confirmations: 0 })
  const payer = await world.client({ signer: PAYER, confirmations: 0 })
  const reports = reportsOf(client)
  const [large, small] = [await world.winner({ faceValueWei: 60n * ETHER, lifeSec: 5 * 86_400 }), await world.winner()]
  await client.redeem(large)
  await client.redeem(small)
  for (let i = 0; i < 3; i++) {
    await client.poll()
    await world.mine()
  }
  assert.equal(kinds(reports, small.digest), ['submitted', 'redeemed'], 'what can be paid is paid')
  assert.equal(kinds(reports, large.digest), ['underfunded', 'submitted', 'noticed'])
  await world.until(payer, payer.accounts.act({ kind: 'add', bucket: 'deposit', amountWei: 20n * ETHER }))
  for (let i = 0; i < 3; i++) {
    await client.poll()
    await world.mine()
  }
  assert.is(kinds(reports, large.digest).at(-1), 'redeemed')
  const holdings = await payer.accounts.balances()
  assert.equal([holdings.bondWei, holdings.openClaims], [10n * ETHER, 0])
  await world.close(client)
  await world.close(payer)
})

test('a payer that does not top up loses what is left and its bond, after the grace and not before', async () => {
  const store = memoryStore()
  let client = await world.client({ confirmations: 0, store })
  let reports = reportsOf(client)
  const problems: string[] = []
  client.onProblem(({ code }) => { problems.push(code) })
  const large = await world.winner({ faceValueWei: 60n * ETHER })
  await client.redeem(large)
  for (let i = 0; i < 4; i++) {
    await client.poll()
    await world.mine()
  }
  assert.equal(kinds(reports), ['underfunded', 'submitted', 'noticed'])
  // the node was off while the grace ran
  await world.close(client)
  await world.passTime(86_401)
  client = await world.client({ confirmations: 0, store })
  reports = reportsOf(client)
  for (let i = 0; i < 3; i++) {
    await client.poll()
    await world.mine()
  }
  const end = reports.at(-1)
  assert.ok(end?.kind === 'defaulted')
  assert.equal(problems, [], 'nothing is tried that the contract would refuse')
  assert.equal([end.paidWei, end.burnedWei], [50n * ETHER, 10n * ETHER])
  assert.is((await client.accounts.balances()).creditWei, 50n * ETHER)
  await world.close(client)
})

test('a default owed to a cold payee is pursued once that lets the node speak for it, and pays the cold payee', async () => {
  const client = await world.client({ confirmations: 0 })
  const reports = reportsOf(client)
  const problems: string[] = []
  client.onProblem(({ code }) => { problems.push(code) })
  const cold = await world.client({ signer: OTHER, confirmations: 0, pollMs: 5 })
  await client.redeem(await world.winner({ faceValueWei: 60n * ETHER, payee: OTHER.address }))
  const look = async (): Promise<void> => {
    for (let i = 0; i < 3; i++) {
      await client.poll()
      await world.mine()
    }
  }
  await look()
  assert.equal([kinds(reports), problems], [['underfunded'], []], 'nothing is tried that the contract would refuse')
  await world.until(cold, cold.accounts.act({ kind: 'add-signer', signer: PAYEE.address }))
  await look()
  assert.equal(kinds(reports), ['underfunded', 'submitted', 'noticed'])
  await world.passTime(86_401)
  await look()
  const end = reports.at(-1)
  assert.ok(end?.kind === 'defaulted')
  assert.equal([end.paidWei, end.burnedWei], [50n * ETHER, 10n * ETHER])
  assert.equal([(await client.accounts.balances()).creditWei, (await client.accounts.balances(OTHER.address)).creditWei], [0n, 50n * ETHER])
  await world.close(cold)
  await world.close(client)
})

test('a payer that tops up while the claim is on its way has paid, and its bond is whole', async () => {
  const client = await world.client({ confirmations: 0 })
  const reports = reportsOf(client)
  await client.redeem(await world.winner({ faceValueWei: 60n * ETHER }))
  for (let i = 0; i < 4; i++) {
    await client.poll()
    await world.mine()
  }
  await world.passTime(86_401)
  const payer = await world.client({ signer: PAYER, confirmations: 0 })
  const topUp = payer.accounts.act({ kind: 'add', bucket: 'deposit', amountWei: 10n * ETHER }, { onSubmitted: () => { submitted() } })
  let submitted!: () => void
  await new Promise<void>((resolve) => { submitted = resolve })
  await client.poll()
  await world.until(payer, topUp)
  for (let i = 0; i < 2; i++) {
    await client.poll()
    await world.mine()
  }
  assert.is(kinds(reports).at(-1), 'redeemed')
  assert.equal([(await payer.accounts.balances()).bondWei, (await client.accounts.balances()).creditWei], [10n * ETHER, 60n * ETHER])
  await world.close(payer)
  await world.close(client)
})

test('a redemption without coin for gas waits for coin and says so', async () => {
  const store = memoryStore()
  const client = await world.client({ confirmations: 0, store })
  const problems: string[] = []
  client.onProblem(({ code }) => { problems.push(code) })
  const reports = reportsOf(client)
  await world.rpc('anvil_setBalance', [PAYEE.address, '0x1'])
  await client.redeem(await world.winner())
  await client.poll()
  assert.equal([kinds(reports), [...new Set(problems)]], [[], ['E_CHAIN_COIN']])
  await world.rpc('anvil_setBalance', [PAYEE.address, '0xde0b6b3a7640000'])
  await world.mine()
  await client.poll()
  assert.equal(kinds(reports), ['submitted'])
  await world.close(client)
})

test.run()

/** The ledger: money in, the three buckets, unlocks, credit out. For the coin and for tokens. */
import { Interface, concat, getAddress } from 'ethers'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { BUCKET } from '../../src/contracts/index.ts'
import { seededRandom } from '../helpers/seeded.ts'
import { attackers } from './attackers.ts'
import { onFreshChain } from './anvil.ts'
import type { Chain } from './anvil.ts'
import { At, Broker, DAY, HOUR, TERMS, ZERO_ADDRESS, deployNative, deployToken, refusal, walletOf } from './broker.ts'

const parts = attackers('PlainToken', 'FeeToken', 'SilentToken', 'RefusingToken', 'CallbackToken', 'CallbackHolder', 'RevertingPayee', 'GuzzlingPayee', 'SlashableNativeBroker')
const random = seededRandom(3)
const payer = walletOf('payer').address
const BUCKETS = [['fund', BUCKET.deposit, 'deposit'], ['addBond', BUCKET.bond, 'bond'], ['addJobBond', BUCKET.jobBond, 'jobBond']] as const

let chain: Chain
let broker: Broker
let stranger: string

onFreshChain(test, async (started) => {
  chain = started
  stranger = chain.accounts[1]!
  broker = await deployNative(chain)
  await chain.setBalance(payer, 10n ** 20n)
})

async function deployed(name: string, args: unknown[] = []): Promise<At> {
  const abi = new Interface(parts[name]!.abi)
  return new At(chain, (await chain.deploy(stranger, concat([parts[name]!.bytecode, abi.encodeDeploy(args)]))).address, abi)
}

test('terms that could not be kept are refused at deployment', async () => {
  const bad = [{ delay: 0 }, { delay: 90 * DAY + 1 }, { grace: 0 }, { grace: TERMS.delay + 1 }, { feeBps: 501, feeRecipient: stranger }, { feeBps: 10 }, { feeRecipient: stranger }]
  for (const terms of bad) assert.is(await refusal(deployNative(chain, terms)), 'BadTerms', JSON.stringify(terms))
  assert.is(await refusal(deployToken(chain, stranger)), 'BadTerms', 'an address without code is no token')
  const most = await deployNative(chain, { delay: 90 * DAY, grace: 90 * DAY, feeBps: 500, feeRecipient: stranger })
  assert.equal([await most.read('feeBps'), await most.read('delay')].flat().map(Number), [500, 90 * DAY])
})

test('the fee is off by default', async () => {
  assert.equal([...await broker.read('feeBps'), ...await broker.read('feeRecipient'), ...await broker.read('asset')], [0n, ZERO_ADDRESS, ZERO_ADDRESS])
})

test('anyone adds to any bucket, and each stands by itself', async () => {
  for (const [name, bucket, key] of BUCKETS) {
    const receipt = await broker.send(stranger, name, [payer, 70n], 70n)
    assert.equal(broker.events(receipt).map((event) => [event.name, ...event.args]), [['Added', BigInt(bucket), payer, getAddress(stranger), 70n]])
    assert.is((await broker.snapshot(payer))[key], 70n)
  }
  assert.is(await chain.balance(broker.address), 210n)
})

test('money that is not what was named, of nobody or of nothing is refused', async () => {
  for (const [name] of BUCKETS) {
    assert.is(await refusal(broker.send(stranger, name, [payer, 70n], 69n)), 'WrongValue(70, 69)')
    assert.is(await refusal(broker.send(stranger, name, [payer, 0n])), 'ZeroAmount')
    assert.is(await refusal(broker.send(stranger, name, [ZERO_ADDRESS, 1n], 1n)), 'ZeroAddress')
  }
  assert.is(await chain.send({ from: stranger, to: broker.address, value: 1n }).then(() => 'taken', () => 'refused'), 'refused', 'a bare transfer would belong to nobody')
})

test('an unlock waits out the delay to the last second, then pays its owner where it asks', async () => {
  for (const [name, bucket, key] of BUCKETS) {
    await broker.send(payer, name, [payer, 100n], 100n)
    const receipt = await broker.send(payer, 'requestUnlock', [bucket, 60n])
    const [requested] = broker.events(receipt)
    assert.is(requested!.name, 'UnlockRequested')
    const until = Number(requested!.args.getValue('lockedUntil'))
    assert.is(until, await chain.now() + TERMS.delay)
    assert.is(await refusal(broker.send(payer, 'requestUnlock', [bucket, 1n])), `UnlockPending(${until})`)
    await chain.setNextTime(until)
    assert.is(await refusal(broker.send(payer, 'withdraw', [bucket, stranger])), `Locked(${until})`)
    await chain.setNextTime(until + 1)
    const before = await chain.balance(stranger)
    assert.equal(broker.events(await broker.send(payer, 'withdraw', [bucket, stranger])).map((event) => event.name), ['Withdrawn'])
    assert.is(await chain.balance(stranger) - before, 60n)
    const after = await broker.snapshot(payer)
    assert.equal([after[key], after.unlocks[bucket]!.amount], [40n, 0n])
    assert.is(await refusal(broker.send(payer, 'withdraw', [bucket, stranger])), 'NoUnlock')
  }
})

test('an unlock of more than there is, of nothing, or of no bucket is refused', async () => {
  await broker.send(payer, 'fund', [payer, 100n], 100n)
  assert.is(await refusal(broker.send(payer, 'requestUnlock', [BUCKET.deposit, 101n])), 'Insufficient(100)')
  assert.is(await refusal(broker.send(payer, 'requestUnlock', [BUCKET.deposit, 0n])), 'ZeroAmount')
  assert.is(await refusal(broker.send(payer, 'requestUnlock', [BUCKET.bond, 1n])), 'Insufficient(0)')
  assert.is(await refusal(broker.send(payer, 'cancelUnlock', [BUCKET.deposit])), 'NoUnlock')
  assert.is(await refusal(broker.send(payer, 'withdraw', [BUCKET.deposit, ZERO_ADDRESS])), 'ZeroAddress')
  assert.is(await chain.send({ from: payer, to: broker.address, data: concat([broker.encode('requestUnlock', [0, 1n]).slice(0, 10), `0x${'00'.repeat(31)}03`, `0x${'00'.repeat(31)}01`]) }).then(() => 'taken', () => 'refused'), 'refused')
})

test('a cancelled unlock starts over', async () => {
  await broker.send(payer, 'fund', [payer, 100n], 100n)
  await broker.send(payer, 'requestUnlock', [BUCKET.deposit, 100n])
  await chain.increaseTime(TERMS.delay - HOUR)
  assert.equal(broker.events(await broker.send(payer, 'cancelUnlock', [BUCKET.deposit])).map((event) => event.name), ['UnlockCancelled'])
  await broker.send(payer, 'requestUnlock', [BUCKET.deposit, 100n])
  await chain.increaseTime(2 * HOUR)
  assert.match(await refusal(broker.send(payer, 'withdraw', [BUCKET.deposit, payer])), /^Locked/)
})

test('funding by a stranger, of nothing or of a wei, leaves a pending unlock as it is', async () => {
  await broker.send(payer, 'fund', [payer, 100n], 100n)
  await broker.send(payer, 'requestUnlock', [BUCKET.deposit, 100n])
  const { unlocks } = await broker.snapshot(payer)
  assert.is(await refusal(broker.send(stranger, 'fund', [payer, 0n])), 'ZeroAmount')
  for (const [name] of BUCKETS) await broker.send(stranger, name, [payer, 1n], 1n)
  assert.equal((await broker.snapshot(payer)).unlocks, unlocks)
  await chain.increaseTime(TERMS.delay + 1)
  await broker.send(payer, 'withdraw', [BUCKET.deposit, payer])
  assert.is((await broker.snapshot(payer)).deposit, 1n)
})

test('an unlock pays what is left when tickets took a part meanwhile', async () => {
  const wallet = walletOf('payer')
  await broker.send(payer, 'fund', [payer, 1500n], 1500n)
  await broker.send(payer, 'requestUnlock', [BUCKET.deposit, 1500n])
  await broker.redeem(stranger, await broker.winner(wallet, stranger, random))
  await chain.increaseTime(TERMS.delay + 1)
  const receipt = await broker.send(payer, 'withdraw', [BUCKET.deposit, payer])
  assert.is(broker.events(receipt)[0]!.args.getValue('amount'), 500n)
})

test('an unlock whose bucket was emptied pays nothing and can be cancelled', async () => {
  await broker.send(payer, 'fund', [payer, 1000n], 1000n)
  await broker.send(payer, 'requestUnlock', [BUCKET.deposit, 1000n])
  await broker.redeem(stranger, await broker.winner(walletOf('payer'), stranger, random))
  await chain.increaseTime(TERMS.delay + 1)
  assert.is(await refusal(broker.send(payer, 'withdraw', [BUCKET.deposit, payer])), 'Insufficient(0)')
  await broker.send(payer, 'cancelUnlock', [BUCKET.deposit])
})

test('credit is pulled by its owner alone, to where it says, once', async () => {
  await broker.send(payer, 'fund', [payer, 1000n], 1000n)
  await broker.redeem(stranger, await broker.winner(walletOf('payer'), payer, random))
  assert.is(await refusal(broker.send(stranger, 'payout', [stranger])), 'ZeroAmount')
  assert.is(await refusal(broker.send(payer, 'payout', [ZERO_ADDRESS])), 'ZeroAddress')
  const cold = walletOf('cold').address
  assert.equal(broker.events(await broker.send(payer, 'payout', [cold])).map((event) => event.name), ['PaidOut'])
  assert.is(await chain.balance(cold), 1000n)
  assert.is(await refusal(broker.send(payer, 'payout', [cold])), 'ZeroAmount')
})

test('anyone may have an account paid out its credit, to that account and nowhere else', async () => {
  await broker.send(payer, 'fund', [payer, 1000n], 1000n)
  await broker.send(stranger, 'addJobBond', [walletOf('cold').address, 7n], 7n)
  const cold = walletOf('cold').address
  assert.is(await refusal(broker.send(stranger, 'payoutFor', [cold])), 'ZeroAmount')
  assert.is(await refusal(broker.send(stranger, 'payoutFor', [ZERO_ADDRESS])), 'ZeroAmount')
  await broker.redeem(stranger, await broker.winner(walletOf('payer'), cold, random))
  const [paid] = broker.events(await broker.send(stranger, 'payoutFor', [cold]))
  assert.equal([paid?.name, paid?.args['account'], paid?.args['to'], paid?.args['amount']], ['PaidOut', cold, cold, 1000n])
  assert.is(await chain.balance(cold), 1000n)
  const { credit, jobBond } = await broker.snapshot(cold)
  assert.equal([credit, jobBond], [0n, 7n])
  const { address } = await deployed('RevertingPayee')
  await broker.send(payer, 'fund', [payer, 1000n], 1000n)
  await broker.redeem(stranger, await broker.winner(walletOf('payer'), address, random))
  assert.is(await refusal(broker.send(stranger, 'payoutFor', [address])), 'TransferFailed')
  assert.is((await broker.snapshot(address)).credit, 1000n)
})

test('a payout to one that takes no coins, or burns the gas, fails and changes nothing', async () => {
  await broker.send(payer, 'fund', [payer, 1000n], 1000n)
  await broker.redeem(stranger, await broker.winner(walletOf('payer'), payer, random))
  for (const name of ['RevertingPayee', 'GuzzlingPayee']) {
    const { address } = await deployed(name)
    const receipt = await broker.sendWithGas(payer, 'payout', [address], 1_000_000n)
    assert.not(receipt.ok)
    assert.is((await broker.snapshot(payer)).credit, 1000n)
  }
  assert.is(await refusal(broker.send(payer, 'payout', [(await deployed('RevertingPayee')).address])), 'TransferFailed')
})

test('a slash burns half of what it takes, rounded up', async () => {
  const abi = new Interface(parts['SlashableNativeBroker']!.abi)
  const slashable = new Broker(chain, (await chain.deploy(stranger, concat([parts['SlashableNativeBroker']!.bytecode, abi.encodeDeploy([TERMS])]))).address, abi)
  const friend = walletOf('friend').address
  assert.is(await refusal(slashable.send(stranger, 'slash', [payer, 5n, friend])), 'Insufficient(0)')
  await slashable.send(stranger, 'addJobBond', [payer, 100n], 100n)
  assert.equal(slashable.events(await slashable.send(stranger, 'slash', [payer, 1n, friend])).map((event) => event.name), ['Burned', 'Slashed'])
  assert.is((await slashable.snapshot(friend)).credit, 0n, 'of one wei nothing comes back')
  await slashable.send(stranger, 'slash', [payer, 51n, friend])
  await slashable.send(stranger, 'slash', [payer, 1000n, friend])
  assert.equal([(await slashable.snapshot(payer)).jobBond, (await slashable.snapshot(friend)).credit, (await slashable.read('burned'))[0]], [0n, 49n, 51n])
})

test('the broker that is deployed has no door to the slash, no owner and no way to stop it', () => {
  const names = broker.abi.fragments.flatMap((fragment) => 'name' in fragment ? [String(fragment.name).toLowerCase()] : [])
  assert.equal(names.filter((name) => /^slash$|owner|pause|upgrade|admin/.test(name)), [])
})

test('a token broker moves tokens and takes no coins', async () => {
  const token = await deployed('PlainToken')
  const tokens = await deployToken(chain, token.address)
  await token.send(stranger, 'mint', [payer, 1000n])
  assert.match(await refusal(tokens.send(payer, 'fund', [payer, 1000n])), /^execution reverted/, 'nothing was approved')
  await token.send(payer, 'approve', [tokens.address, 1000n])
  assert.is(await refusal(tokens.send(payer, 'fund', [payer, 1000n], 1n)), 'WrongValue(0, 1)')
  await tokens.send(payer, 'fund', [payer, 1000n])
  await tokens.redeem(stranger, await tokens.winner(walletOf('payer'), stranger, random))
  await tokens.send(stranger, 'payout', [stranger])
  assert.is((await token.read('balanceOf', [stranger]))[0], 1000n)
  assert.is((await tokens.read('asset'))[0], token.address)
})

test('a token that keeps a part, or says false, is refused; one that says nothing works', async () => {
  for (const [name, outcome] of [['FeeToken', /^WrongValue\(1000, 990\)$/], ['RefusingToken', /^SafeERC20FailedOperation/], ['SilentToken', /^accepted$/]] as const) {
    const token = await deployed(name)
    const tokens = await deployToken(chain, token.address)
    if (name !== 'RefusingToken') await token.send(stranger, 'mint', [payer, 1000n])
    if (name === 'FeeToken') await token.send(payer, 'approve', [tokens.address, 1000n])
    assert.match(await refusal(tokens.send(payer, 'fund', [payer, 1000n])), outcome, name)
  }
})

test('balances that would outgrow their fields are refused, and a winner waits for room', async () => {
  const token = await deployed('PlainToken')
  const tokens = await deployToken(chain, token.address)
  await token.send(stranger, 'mint', [payer, 2n ** 200n])
  await token.send(payer, 'approve', [tokens.address, 2n ** 200n])
  const [most, mostJobBond] = [2n ** 128n - 1n, 2n ** 120n - 1n]
  for (const [name, largest] of [['fund', most], ['addBond', most], ['addJobBond', mostJobBond]] as const) {
    await tokens.send(payer, name, [payer, largest])
    assert.is(await refusal(tokens.send(payer, name, [payer, 1n])), 'TooMuch')
  }
  const rich = walletOf('rich').address
  await tokens.redeem(stranger, await tokens.winner(walletOf('payer'), rich, random, { faceValue: most }))
  await tokens.send(payer, 'fund', [payer, 10n])
  const winner = await tokens.winner(walletOf('payer'), rich, random, { faceValue: 10n })
  assert.is(await refusal(tokens.redeem(stranger, winner)), 'TooMuch')
  await chain.setBalance(rich, 10n ** 18n)
  await tokens.send(rich, 'payout', [rich])
  await tokens.redeem(stranger, winner)
  assert.equal([(await tokens.snapshot(rich)).credit, (await tokens.snapshot(payer)).jobBond], [10n, mostJobBond])
})

test('a token that calls back cannot enter the broker again while money moves', async () => {
  const token = await deployed('CallbackToken')
  const tokens = await deployToken(chain, token.address)
  const holder = await deployed('CallbackHolder')
  await token.send(stranger, 'mint', [holder.address, 1000n])
  await holder.send(stranger, 'approve', [token.address, tokens.address])
  const fund = tokens.encode('fund', [holder.address, 10n])
  await holder.send(stranger, 'attack', [tokens.address, fund, fund])
  const nested = async (): Promise<unknown[]> => [(await holder.read('nested'))[0], tokens.abi.parseError(String((await holder.read('lastError'))[0]))?.name]
  assert.is((await tokens.snapshot(holder.address)).deposit, 10n)
  assert.equal(await nested(), [false, 'ReentrancyGuardReentrantCall'])
  await holder.send(stranger, 'attack', [tokens.address, tokens.encode('requestUnlock', [BUCKET.deposit, 10n]), '0x'])
  await chain.increaseTime(TERMS.delay + 1)
  const withdraw = tokens.encode('withdraw', [BUCKET.deposit, holder.address])
  await holder.send(stranger, 'attack', [tokens.address, withdraw, withdraw])
  assert.equal([...await nested(), (await token.read('balanceOf', [holder.address]))[0]], [false, 'ReentrancyGuardReentrantCall', 1000n])
})

test.run()

/** Refunds that a provider signed, taken from its job bond. */
import { Interface, concat } from 'ethers'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { BUCKET } from '../../src/contracts/index.ts'
import { attackers } from './attackers.ts'
import { onFreshChain } from './anvil.ts'
import type { Chain, Receipt } from './anvil.ts'
import { Broker, DAY, REFUND_TYPES, STATEMENT_TYPES, TERMS, deployNative, refusal, walletOf } from './broker.ts'

const slashable = attackers('SlashableNativeBroker')['SlashableNativeBroker']!
const wallet = walletOf('provider')
const provider = wallet.address
const requester = walletOf('requester').address
const AGREEMENT = `0x${'a1'.repeat(32)}`

interface Refund { agreement: string, provider: string, requester: string, amount: bigint, expiry: bigint }
interface Statement { agreement: string, provider: string, requester: string, sequence: bigint, paid: bigint }
interface Papers { refund?: Partial<Refund>, statement?: Partial<Statement>, signer?: typeof wallet, statementSigner?: typeof wallet, from?: string }

let chain: Chain
let broker: Broker
let stranger: string
let expiry: bigint

/** The provider has a job bond of 1,000 and acknowledged to have been paid 500. */
onFreshChain(test, async (started) => {
  chain = started
  stranger = chain.accounts[1]!
  const abi = new Interface(slashable.abi)
  broker = new Broker(chain, (await chain.deploy(stranger, concat([slashable.bytecode, abi.encodeDeploy([TERMS])]))).address, abi)
  for (const account of [provider, requester]) await chain.setBalance(account, 10n ** 20n)
  await broker.send(stranger, 'addJobBond', [provider, 1000n], 1000n)
  expiry = BigInt(await chain.now() + 30 * DAY)
})

async function refundCall(papers: Papers): Promise<unknown[]> {
  const refund: Refund = { agreement: AGREEMENT, provider, requester, amount: 250n, expiry, ...papers.refund }
  const statement: Statement = { agreement: AGREEMENT, provider, requester, sequence: 7n, paid: 500n, ...papers.statement }
  return [
    refund, await (papers.signer ?? wallet).signTypedData(broker.domain, REFUND_TYPES, refund),
    statement, await (papers.statementSigner ?? papers.signer ?? wallet).signTypedData(broker.domain, STATEMENT_TYPES, statement)
  ]
}

async function claim(papers: Papers = {}): Promise<Receipt> {
  return broker.send(papers.from ?? requester, 'claimRefund', await refundCall(papers))
}

const collect = (from = stranger): Promise<Receipt> => broker.send(from, 'collectRefund', [AGREEMENT, provider, requester])

async function money(): Promise<[jobBond: bigint, reserved: bigint, credit: bigint]> {
  const { jobBond, reserved } = await broker.snapshot(provider)
  return [jobBond, reserved, (await broker.snapshot(requester)).credit]
}

test('a refund is reserved in the bond, waits out the delay and becomes credit of the requester', async () => {
  assert.equal(broker.events(await claim()).map((event) => event.name), ['RefundReserved'])
  assert.equal(await money(), [1000n, 250n, 0n])
  const until = await chain.now() + TERMS.delay
  await chain.setNextTime(until)
  assert.is(await refusal(collect()), `Locked(${until})`)
  await chain.setNextTime(until + 1)
  assert.equal(broker.events(await collect()).map((event) => event.name), ['RefundCollected'])
  assert.equal(await money(), [750n, 0n, 250n])
  assert.is(await refusal(collect()), 'NothingDue')
  assert.equal((await broker.read('refundClaim', [AGREEMENT, provider, requester]))[0].toArray().slice(0, 2), [250n, 0n])
})

test('a refund is taken once, and a larger one for the same agreement adds only the difference', async () => {
  await claim()
  assert.is(await refusal(claim()), 'NothingDue')
  assert.is(await refusal(claim({ refund: { amount: 1n } })), 'NothingDue')
  await claim({ refund: { amount: 300n } })
  assert.equal(await money(), [1000n, 300n, 0n])
  await chain.increaseTime(TERMS.delay + 1)
  await collect()
  assert.is(await refusal(claim({ refund: { amount: 300n } })), 'NothingDue')
})

test('a refund never exceeds what the provider acknowledged to have been paid', async () => {
  assert.is(await refusal(claim({ refund: { amount: 501n } })), 'AboveAcknowledged(500)')
  await claim({ refund: { amount: 500n } })
})

test('papers that do not fit, are late, or that the provider did not sign are refused', async () => {
  const other = walletOf('other')
  const wrong: [Papers, string][] = [
    [{ refund: { expiry: 0n } }, 'RefundExpired'],
    [{ statement: { agreement: `0x${'b2'.repeat(32)}` } }, 'StatementMismatch'],
    [{ statement: { provider: other.address } }, 'StatementMismatch'],
    [{ statement: { requester: other.address } }, 'StatementMismatch'],
    [{ signer: other }, 'WrongRefundSignature'],
    [{ statementSigner: other }, 'WrongStatementSignature'],
    [{ from: stranger }, 'NotRequester'],
    [{ from: provider }, 'NotRequester']
  ]
  for (const [papers, reason] of wrong) assert.is(await refusal(claim(papers)), reason)
  const call = await refundCall({})
  const [refund, signature, statement, statementSignature] = call as [Refund, string, Statement, string]
  for (const form of [signature.slice(0, -2), `${signature}00`, '0x']) {
    assert.is(await refusal(broker.send(requester, 'claimRefund', [refund, form, statement, statementSignature])), 'WrongRefundSignature')
    assert.is(await refusal(broker.send(requester, 'claimRefund', [refund, signature, statement, form])), 'WrongStatementSignature')
  }
  assert.is(await refusal(broker.send(requester, 'claimRefund', [{ ...refund, amount: 251n }, signature, statement, statementSignature])), 'WrongRefundSignature')
  assert.is(await refusal(broker.send(requester, 'claimRefund', [refund, signature, { ...statement, paid: 501n }, statementSignature])), 'WrongStatementSignature')
})

test('a small bond pays what it can, and the rest can be claimed when it was filled up', async () => {
  await claim({ refund: { agreement: `0x${'b2'.repeat(32)}`, amount: 900n }, statement: { agreement: `0x${'b2'.repeat(32)}`, paid: 900n } })
  await claim()
  assert.equal(await money(), [1000n, 1000n, 0n])
  assert.is(await refusal(claim()), 'Insufficient(0)')
  await broker.send(stranger, 'addJobBond', [provider, 500n], 500n)
  await claim()
  assert.equal(await money(), [1500n, 1150n, 0n])
  await chain.increaseTime(TERMS.delay + 1)
  await collect()
  assert.equal(await money(), [1250n, 900n, 250n])
})

test('reserved money cannot be unlocked or withdrawn by the provider', async () => {
  await broker.send(provider, 'requestUnlock', [BUCKET.jobBond, 1000n])
  await claim()
  await chain.increaseTime(TERMS.delay + 1)
  await broker.send(provider, 'withdraw', [BUCKET.jobBond, provider])
  assert.equal(await money(), [250n, 250n, 0n])
  assert.is(await refusal(broker.send(provider, 'requestUnlock', [BUCKET.jobBond, 1n])), 'Insufficient(0)')
  await collect()
  assert.equal(await money(), [0n, 0n, 250n])
})

test('a slash reaches reserved money: refunding a friend does not save a bond', async () => {
  await claim({ refund: { amount: 500n } })
  await broker.send(stranger, 'slash', [provider, 800n, stranger])
  assert.equal(await money(), [200n, 500n, 0n])
  await chain.increaseTime(TERMS.delay + 1)
  await collect()
  assert.equal(await money(), [0n, 0n, 200n])
})

test('a registered hot key may sign refunds for its provider', async () => {
  const hot = walletOf('hot')
  assert.is(await refusal(claim({ signer: hot })), 'WrongRefundSignature')
  await broker.send(provider, 'addSigner', [hot.address])
  await claim({ signer: hot })
})

test('a refund of another contract is refused', async () => {
  const call = await refundCall({})
  const twin = await deployNative(chain)
  await twin.send(stranger, 'addJobBond', [provider, 1000n], 1000n)
  assert.is(await refusal(twin.send(requester, 'claimRefund', call)), 'WrongRefundSignature')
})

test.run()

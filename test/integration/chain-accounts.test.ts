/** Money for people: funding, bonding, leaving, being paid; what it costs, and why not. Real anvil. */
import { Interface } from 'ethers'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { deploy, formatAmount, keySigner, parseAddress, parseAmount, separatorOf } from '../../node/chain/index.ts'
import type { AccountAction, Asset, ChainClient } from '../../node/chain/index.ts'
import { nativeHasher } from '../../node/keys/index.ts'
import { HearthError } from '../../src/errors.ts'
import { refundDigest, statementDigest } from '../../src/documents/payment-state.ts'
import { attackers } from '../contracts/attackers.ts'
import { ChainWorld, ETHER, GWEI, kinds, OTHER, OWNER, PAYEE, PAYER, reportsOf, TERMS } from '../helpers/chain.ts'

let world: ChainWorld
let client: ChainClient

test.before(async () => {
  world = await ChainWorld.start({ depositWei: 2n * ETHER, bondWei: ETHER })
  client = await world.client({ signer: PAYER, confirmations: 1 })
})

test.after(() => world.stop())

const act = (action: AccountAction) => world.until(client, client.accounts.act(action))

async function refusal(doing: Promise<unknown>): Promise<string> {
  try {
    await doing
    return 'accepted'
  } catch (err) {
    assert.ok(err instanceof HearthError, String(err))
    return err.code
  }
}

test('what is moved, and the gas for it, is what the account has less; the estimate was above', async () => {
  const action: AccountAction = { kind: 'add', bucket: 'deposit', amountWei: parseAmount('0.5 eth') }
  const before = await client.accounts.balances()
  const estimate = await client.accounts.estimate(action)
  const outcome = await act(action)
  const after = await client.accounts.balances()
  assert.is(after.depositWei - before.depositWei, ETHER / 2n)
  assert.is(before.coinWei - after.coinWei, ETHER / 2n + outcome.feeWei)
  assert.ok(outcome.feeWei <= estimate.maxFeeWei && outcome.gasUsed <= estimate.gas)
  assert.is(outcome.words, 'Adds 0.5 ether to the deposit of this node')
})

test('others can be funded, and each bucket is its own', async () => {
  await act({ kind: 'add', bucket: 'bond', amountWei: 3n, account: OTHER.address })
  await act({ kind: 'add', bucket: 'jobBond', amountWei: 4n, account: OTHER.address })
  const { depositWei, bondWei, jobBondWei } = await client.accounts.balances(OTHER.address)
  assert.equal([depositWei, bondWei, jobBondWei], [0n, 3n, 4n])
})

test('leaving takes the delay: asked, refused while locked, cancelled, asked again, withdrawn', async () => {
  assert.is(await refusal(client.accounts.act({ kind: 'withdraw', bucket: 'deposit' })), 'E_CHAIN_NO_UNLOCK')
  assert.is(await refusal(client.accounts.act({ kind: 'request-unlock', bucket: 'deposit', amountWei: 100n * ETHER })), 'E_CHAIN_INSUFFICIENT')
  await act({ kind: 'request-unlock', bucket: 'deposit', amountWei: ETHER })
  assert.is(await refusal(client.accounts.act({ kind: 'request-unlock', bucket: 'deposit', amountWei: 1n })), 'E_CHAIN_UNLOCK_PENDING')
  assert.is(await refusal(client.accounts.estimate({ kind: 'withdraw', bucket: 'deposit' })), 'E_CHAIN_LOCKED')
  await act({ kind: 'cancel-unlock', bucket: 'deposit' })
  await act({ kind: 'request-unlock', bucket: 'deposit', amountWei: ETHER })
  assert.is((await client.accounts.balances()).unlocks.deposit?.amountWei, ETHER)
  await world.passTime(TERMS.delaySec + 1)
  const cold = keySigner(`0x${'0c'.repeat(32)}`).address
  await act({ kind: 'withdraw', bucket: 'deposit', to: cold })
  assert.is(await world.balance(cold), ETHER)
})

test('what cannot be is refused before any gas is spent, each with its code and a way out', async () => {
  const nonce = await world.nonce(PAYER.address)
  const codes: [AccountAction, string][] = [
    [{ kind: 'payout' }, 'E_CHAIN_AMOUNT'],
    [{ kind: 'add', bucket: 'deposit', amountWei: 0n }, 'E_CHAIN_AMOUNT'],
    [{ kind: 'add', bucket: 'deposit', amountWei: 1n << 128n }, 'E_CHAIN_AMOUNT'],
    [{ kind: 'add', bucket: 'deposit', amountWei: 1_000_000n * ETHER }, 'E_CHAIN_COIN'],
    [{ kind: 'add', bucket: 'bond', amountWei: 1n, account: '0xnobody' }, 'E_CHAIN_ADDRESS'],
    [{ kind: 'cancel-unlock', bucket: 'jobBond' }, 'E_CHAIN_NO_UNLOCK'],
    [{ kind: 'revoke-signer', signer: OTHER.address }, 'E_CHAIN_SIGNER'],
    [{ kind: 'collect-refund', agreement: `0x${'01'.repeat(32)}`, provider: OTHER.address }, 'E_CHAIN_REFUND']
  ]
  for (const [action, code] of codes) assert.equal([action.kind, await refusal(client.accounts.act(action))], [action.kind, code])
  assert.is(await world.nonce(PAYER.address), nonce)
})

test('gas above the cap is refused, and waiting can be given up without giving up the transaction', async () => {
  const frugal = await world.client({ signer: OTHER, gas: { maxFeePerGasWei: 1n } })
  assert.is(await refusal(frugal.accounts.act({ kind: 'add', bucket: 'deposit', amountWei: 1n })), 'E_CHAIN_GAS_CAP')
  await world.close(frugal)
  const hasty = await world.client({ signer: OTHER, confirmations: 0 })
  const giveUp = new AbortController()
  const before = await hasty.accounts.balances()
  assert.is(await refusal(hasty.accounts.act({ kind: 'add', bucket: 'deposit', amountWei: 7n }, { signal: giveUp.signal, onSubmitted: () => { giveUp.abort() } })), 'E_CHAIN_PENDING')
  await world.mine()
  assert.is((await hasty.accounts.balances()).depositWei, before.depositWei + 7n)
  await world.close(hasty)
})

test('a refund that a provider signed is claimed from its job bond, and collected after the delay', async () => {
  await act({ kind: 'add', bucket: 'jobBond', amountWei: ETHER, account: OTHER.address })
  const parties = { agreement: `0x${'a9'.repeat(32)}`, provider: OTHER.address, requester: PAYER.address }
  const [statement, refund] = [{ ...parties, sequence: 3, paid: 10_000n }, { ...parties, amount: 5_000n, expiry: await world.now() + 1000 }]
  const separator = separatorOf({ chainId: 31_337, contract: world.contract })
  const refundSignature = OTHER.signMoney(refundDigest(nativeHasher, separator, refund))
  const statementSignature = OTHER.signMoney(statementDigest(nativeHasher, separator, statement))
  assert.is(await refusal(client.accounts.act({ kind: 'claim-refund', refund: { ...refund, amount: 6_000n }, refundSignature, statement, statementSignature })), 'E_CHAIN_REFUND')
  await act({ kind: 'claim-refund', refund, refundSignature, statement, statementSignature })
  assert.is(await refusal(client.accounts.act({ kind: 'collect-refund', agreement: parties.agreement, provider: OTHER.address })), 'E_CHAIN_LOCKED')
  await world.passTime(TERMS.delaySec + 1)
  const { creditWei } = await client.accounts.balances()
  await act({ kind: 'collect-refund', agreement: parties.agreement, provider: OTHER.address })
  assert.is((await client.accounts.balances()).creditWei, creditWei + 5_000n)
})

test('a payout brings the whole credit to where it is sent', async () => {
  const payee = await world.client({ confirmations: 0 })
  const reports = reportsOf(payee)
  await world.mineAt(GWEI)
  const winner = await world.winner()
  await payee.redeem(winner)
  await payee.poll()
  await world.mine()
  await payee.poll()
  assert.is(kinds(reports).at(-1), 'redeemed')
  const cold = keySigner(`0x${'0d'.repeat(32)}`).address
  await world.until(payee, payee.accounts.act({ kind: 'payout', to: cold }))
  assert.equal([await world.balance(cold), (await payee.accounts.balances()).creditWei], [winner.ticket.faceValueWei, 0n])
  await world.close(payee)
})

test('a token is approved for exactly what is funded, counted in its own unit, and tickets are paid in it', async () => {
  const { PlainToken } = attackers('PlainToken')
  const abi = new Interface(PlainToken!.abi)
  await world.rpc('evm_setAutomine', [true])
  const sent = await world.rpc<string>('eth_sendTransaction', [{ from: OWNER.address, data: PlainToken!.bytecode, gas: '0x400000' }])
  const token = (await world.rpc<{ contractAddress: string }>('eth_getTransactionReceipt', [sent])).contractAddress
  await world.rpc('eth_sendTransaction', [{ from: OWNER.address, to: token, data: abi.encodeFunctionData('mint', [PAYER.address, 100n * ETHER]) }])
  const { contract, asset } = await deploy({ rpcUrl: world.anvil.url, kind: 'token', token, terms: TERMS, signer: OWNER, pollMs: 5 })
  assert.equal(asset, { kind: 'token', symbol: 'PLN', decimals: 18 })
  const payer = await world.client({ contract, signer: PAYER, confirmations: 0, pollMs: 5 })
  assert.is(await refusal(payer.accounts.act({ kind: 'add', bucket: 'deposit', amountWei: 101n * ETHER })), 'E_CHAIN_INSUFFICIENT')
  const estimate = await payer.accounts.estimate({ kind: 'add', bucket: 'deposit', amountWei: 12n * ETHER })
  const outcome = await payer.accounts.act({ kind: 'add', bucket: 'deposit', amountWei: parseAmount('12.5 pln', asset) })
  assert.is(outcome.words, 'Adds 12.5 PLN to the deposit of this node')
  assert.ok(outcome.feeWei <= estimate.maxFeeWei)
  const { depositWei, tokenWei } = await payer.accounts.balances()
  const allowed = async (): Promise<bigint> => BigInt(await world.rpc<string>('eth_call', [{ to: token, data: abi.encodeFunctionData('allowance', [PAYER.address, contract]) }, 'latest']))
  assert.equal([depositWei, tokenWei], [25n * ETHER / 2n, 175n * ETHER / 2n])
  assert.is(await allowed(), 0n)
  await world.rpc('eth_sendTransaction', [{ from: PAYER.address, to: token, data: abi.encodeFunctionData('approve', [contract, 1n]) }])
  await payer.accounts.act({ kind: 'add', bucket: 'bond', amountWei: ETHER })
  assert.is(await allowed(), 0n)
  await world.close(payer)
  await world.rpc('evm_setAutomine', [false])
})

test('amounts are read and written exactly, and never without a unit', () => {
  const usd: Asset = { kind: 'token', symbol: 'USDC', decimals: 6 }
  assert.equal(['0.5 eth', '20 gwei', '1000 wei', '1ETH', '0.000000000000000001 ether'].map((text) => parseAmount(text)), [ETHER / 2n, 20n * GWEI, 1000n, ETHER, 1n])
  assert.equal(['12.5 USDC', '0.000001 usdc', '3 units'].map((text) => parseAmount(text, usd)), [12_500_000n, 1n, 3n])
  for (const amount of [0n, 1n, 999_999n, 1_000_000n, 123_456_789n]) assert.is(parseAmount(formatAmount(amount, usd), usd), amount)
  for (const amount of [0n, 1n, 10n ** 9n, 123n * 10n ** 15n, ETHER * 7n]) assert.is(parseAmount(formatAmount(amount)), amount)
  for (const text of ['1', '1 btc', '-1 eth', '1e18 wei', '0.5 wei', '0.0000000001 gwei', ' ', '1,5 eth']) assert.throws(() => parseAmount(text), (err: unknown) => err instanceof HearthError && err.code === 'E_UNIT', text)
  for (const text of ['1 eth', '0.0000001 USDC', '1', `${'9'.repeat(40)} USDC`]) assert.throws(() => parseAmount(text, usd), (err: unknown) => err instanceof HearthError && err.code === 'E_UNIT', text)
})

test('an address in mixed case must carry its check digits', () => {
  assert.is(parseAddress('0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266'), OWNER.address)
  assert.is(parseAddress(PAYEE.address), PAYEE.address)
  for (const text of ['0xF39Fd6e51aad88F6F4ce6aB8827279cffFb92266', '0x12', 'me.eth', '']) assert.throws(() => parseAddress(text), (err: unknown) => err instanceof HearthError && err.code === 'E_CHAIN_ADDRESS')
})

test.run()

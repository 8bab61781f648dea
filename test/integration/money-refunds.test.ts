/** Refunds that providers signed, on a real chain: claimed once, collected when they have waited, left where they are worth nothing. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { separatorOf } from '../../node/chain/index.ts'
import type { ChainClient } from '../../node/chain/index.ts'
import { nativeHasher } from '../../node/keys/index.ts'
import { claimRefunds } from '../../node/money/refunds.ts'
import type { RefundHolder } from '../../node/money/refunds.ts'
import { refundDigest, statementDigest } from '../../src/documents/payment-state.ts'
import { ChainWorld, ETHER, OTHER, PAYER, TERMS } from '../helpers/chain.ts'

let world: ChainWorld
let client: ChainClient

test.before(async () => {
  world = await ChainWorld.start({ depositWei: 2n * ETHER, bondWei: ETHER })
  client = await world.client({ signer: PAYER, confirmations: 0 })
  await world.until(client, client.accounts.act({ kind: 'add', bucket: 'jobBond', amountWei: ETHER, account: OTHER.address }))
})
test.after(() => world.stop())

async function holder(agreement: string, amountWei: bigint, { lifeSec = 100_000, forged = false } = {}): Promise<RefundHolder> {
  const parties = { agreement, provider: OTHER.address, requester: PAYER.address }
  const expirySec = await world.now() + lifeSec
  const separator = separatorOf({ chainId: 31_337, contract: world.contract })
  const paidWei = 2n * amountWei
  return {
    payment: { agreement, job: 'job', provider: 'somebody', providerAddress: OTHER.address, payer: PAYER.address },
    refund: {
      sequence: 3, paidWei, amountWei, expirySec,
      refundSignature: OTHER.signMoney(refundDigest(nativeHasher, separator, { ...parties, amount: forged ? amountWei - 1n : amountWei, expiry: expirySec })),
      statementSignature: OTHER.signMoney(statementDigest(nativeHasher, separator, { ...parties, sequence: 3, paid: paidWei }))
    }
  }
}

const step = async (holders: readonly RefundHolder[]): Promise<[string, string | undefined][]> => (await world.until(client, claimRefunds(client, holders))).refunds.map(({ step, code }) => [step, code])

test('a refund is claimed, waits, comes to the earnings, and is not paid twice', async () => {
  const holders = [await holder(`0x${'a1'.repeat(32)}`, ETHER / 10n)]
  const before = (await client.accounts.balances()).creditWei
  assert.equal(await step(holders), [['claimed', undefined]])
  assert.equal(await step(holders), [['waits', undefined]])
  await world.passTime(TERMS.delaySec + 1)
  assert.equal(await step(holders), [['collected', undefined]])
  assert.is((await client.accounts.balances()).creditWei, before + ETHER / 10n)
  assert.equal(await step(holders), [['left', 'E_CHAIN_REFUND']])
})

test('what is forged, expired, not signed or worth less than its gas is left, and holds nothing else up', async () => {
  const good = await holder(`0x${'b1'.repeat(32)}`, ETHER / 10n)
  const unsigned = await holder(`0x${'b2'.repeat(32)}`, ETHER / 10n)
  const holders: RefundHolder[] = [
    await holder(`0x${'b3'.repeat(32)}`, ETHER / 10n, { forged: true }),
    await holder(`0x${'b4'.repeat(32)}`, ETHER / 10n, { lifeSec: -10 }),
    { payment: unsigned.payment, refund: { sequence: 3, paidWei: 2n, amountWei: 1n, expirySec: 9_000_000_000 } },
    await holder(`0x${'b5'.repeat(32)}`, 1n),
    { payment: unsigned.payment, refund: undefined },
    good
  ]
  assert.equal(await step(holders), [['left', 'E_CHAIN_REFUND'], ['left', 'E_CHAIN_REFUND'], ['left', 'E_CHAIN_REFUND'], ['left', 'E_CHAIN_GAS'], ['claimed', undefined]])
})

test.run()

/** What gas may cost: offers, replacements, and when a batch is worth it. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { feesNow, replacementFees } from '../../node/chain/fees.ts'
import { MAX_BATCH, planBatch } from '../../node/chain/redemption-plan.ts'
import type { Candidate } from '../../node/chain/redemption-plan.ts'

const GWEI = 10n ** 9n
const CAPS = { maxFeePerGasWei: 100n * GWEI, maxTipPerGasWei: 2n * GWEI }
const block = (baseFeeWei: bigint | undefined) => ({ number: 1, hash: '0x', timeSec: 0, baseFeeWei })

test('an offer outlasts a rise of the base fee, and both its parts keep to the caps', () => {
  assert.equal(feesNow(block(10n * GWEI), { tipWei: GWEI, gasPriceWei: 0n }, CAPS), { maxFeeWei: 21n * GWEI, tipWei: GWEI, priceWei: 11n * GWEI, aboveCap: false })
  assert.equal(feesNow(block(90n * GWEI), { tipWei: 9n * GWEI, gasPriceWei: 0n }, CAPS), { maxFeeWei: 100n * GWEI, tipWei: 2n * GWEI, priceWei: 92n * GWEI, aboveCap: false })
  assert.ok(feesNow(block(99n * GWEI), { tipWei: 9n * GWEI, gasPriceWei: 0n }, CAPS).aboveCap)
})

test('a chain without a base fee is offered one price', () => {
  assert.equal(feesNow(block(undefined), { tipWei: 0n, gasPriceWei: 5n }, CAPS), { maxFeeWei: 5n, tipWei: undefined, priceWei: 5n, aboveCap: false })
  assert.ok(feesNow(block(undefined), { tipWei: 0n, gasPriceWei: 101n * GWEI }, CAPS).aboveCap)
})

test('a replacement offers at least a tenth more in both parts, or is none', () => {
  const now = feesNow(block(GWEI), { tipWei: GWEI, gasPriceWei: 0n }, CAPS)
  for (const old of [{ maxFeeWei: 1n, tipWei: 0n }, { maxFeeWei: 3n * GWEI, tipWei: GWEI }, { maxFeeWei: 50n * GWEI, tipWei: 2n * GWEI }]) {
    const next = replacementFees(old, now, CAPS.maxFeePerGasWei)!
    assert.ok(next.maxFeeWei * 10n >= old.maxFeeWei * 11n && next.tipWei! * 10n >= old.tipWei * 11n && next.tipWei! <= next.maxFeeWei)
  }
  assert.equal(replacementFees({ maxFeeWei: GWEI, tipWei: 0n }, now, 2n * GWEI)?.maxFeeWei, 2n * GWEI, 'as far as it may go')
  assert.is(replacementFees({ maxFeeWei: 95n * GWEI, tipWei: GWEI }, now, CAPS.maxFeePerGasWei), undefined)
})

const POLICY = { gasShareBasis: 500, urgentSec: 100 }
const ticket = (digest: string, faceValueWei: bigint, deadlineSec = 10_000, atRisk = false): Candidate => ({ digest, faceValueWei, deadlineSec, atRisk })

test('a batch is made when gas is a small share of it; alone a ticket bears the fixed part too', () => {
  // 65,000 gas alone, 35,000 each in company
  assert.is(planBatch([ticket('a', 1_000_000n)], 1n, 0, POLICY), undefined)
  assert.equal(planBatch([ticket('a', 1_300_000n)], 1n, 0, POLICY), { digests: ['a'], urgent: false })
  assert.equal(planBatch([ticket('a', 1_000_000n), ticket('b', 2_000_000n)], 1n, 0, POLICY)?.digests, ['b', 'a'])
  assert.equal(planBatch([ticket('a', 3_000_000n), ticket('dust', 690_000n)], 1n, 0, POLICY)?.digests, ['a'], 'one not worth its own gas does not ride along')
})

test('before its deadline, or at risk, a ticket goes for less than it brings; never for more', () => {
  assert.equal(planBatch([ticket('a', 66_000n, 100)], 1n, 0, POLICY), { digests: ['a'], urgent: true })
  assert.equal(planBatch([ticket('a', 66_000n, 10_000, true)], 1n, 0, POLICY), { digests: ['a'], urgent: true })
  assert.is(planBatch([ticket('a', 65_000n, 100)], 1n, 0, POLICY), undefined)
  assert.is(planBatch([ticket('a', 66_000n, 101)], 1n, 0, POLICY), undefined)
})

test('the urgent go first, by deadline, then the largest; a batch is bounded', () => {
  const many = Array.from({ length: 100 }, (_, i) => ticket(`n${i}`, 10_000_000n + BigInt(i)))
  const plan = planBatch([...many, ticket('later', 10_000_000n, 50), ticket('soon', 10_000_000n, 40)], 1n, 0, POLICY)
  assert.is(plan?.digests.length, MAX_BATCH)
  assert.equal(plan?.digests.slice(0, 3), ['soon', 'later', 'n99'])
})

test.run()

/** A result's size is paid for, so it is looked at: by those who vote, and by who fetches it. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { fetchExactly } from '../../node/work/transfer.ts'
import { nativeHasher } from '../../node/keys/index.ts'
import { resultHash } from '../../src/documents/receipt.ts'
import { cidOf } from '../../src/sim/truth.ts'

const cid = cidOf('result')
const request = (maxBytes: number): Parameters<ReturnType<typeof fetchExactly>>[0] => ({ cid, from: [], agreementId: '', maxBytes, pinFor: 'job:x' })

test('a result that is smaller than its provider signed is not that result', async () => {
  const fetched: string[] = []
  const fetch = fetchExactly(async ({ cid: got }) => { fetched.push(got) }, { stat: async () => ({ kind: 'folder', sizeBytes: 100 }) })
  await fetch(request(100))
  for (const maxBytes of [101, 99]) {
    const err = await fetch(request(maxBytes)).then(() => undefined, (reason: unknown) => reason)
    assert.is((err as { code?: string }).code, 'E_RESULT_SIZE')
  }
  assert.equal(fetched, [cid, cid, cid])
})

test('replicas of one content that sign two sizes do not agree', () => {
  const result = { status: 'exited', exitCode: 0, trap: 'E_NONE', content: cid, contentBytes: 100 } as const
  assert.is(resultHash(nativeHasher, { ...result }), resultHash(nativeHasher, result))
  assert.is.not(resultHash(nativeHasher, { ...result, contentBytes: 101 }), resultHash(nativeHasher, result))
})

test.run()

/** What a provider's bond stands behind: numbers that never come twice, sums that forget nothing, and words that give a liar away. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { StoredRecord } from '../../src/core/effect.ts'
import { Turn } from '../../src/core/turn.ts'
import type { SignedAcceptance } from '../../src/documents/acceptance.ts'
import { PARAMS } from '../../src/params.ts'
import { Backing } from '../../src/payment/backing.ts'
import { exposureConflict } from '../../src/payment/exposure.ts'
import type { Post } from '../../src/payment/post.ts'
import { Recipient } from '../../src/payment/recipient.ts'
import { Winners } from '../../src/payment/winners.ts'
import { TicketHasher } from '../../src/documents/ticket.ts'
import { nativeHasher } from '../../node/keys/index.ts'
import { TERMS } from '../helpers/pay-provider.ts'

const START = 1_800_000_000_000
const HOUR = 3_600_000
const post: Post = { send: () => undefined, add: () => undefined, done: () => undefined, has: () => false }
const parts = { post, draws: { commit: () => `0x${'11'.repeat(32)}`, wins: () => false }, tickets: new TicketHasher(nativeHasher, new Uint8Array(32)), winners: new Winners() }

/** A provider's books, on a disk that outlives them. */
class Books {
  readonly disk: Map<string, StoredRecord>
  readonly recipients = new Map<string, Recipient>()
  readonly backing = new Backing(this.recipients)
  wallMs = START

  constructor(disk = new Map<string, StoredRecord>()) {
    this.disk = disk
    const last = disk.get('exposure/last')
    if (last !== undefined) this.backing.restore(last)
    for (const [key, value] of disk) {
      if (!key.startsWith('earn/')) continue
      const recipient = Recipient.restore(parts, structuredClone(value))
      this.recipients.set(recipient.id, recipient)
      this.backing.add(recipient.id)
    }
  }

  turn(act: (turn: Turn) => void): void {
    const turn = new Turn({ monoMs: this.wallMs - START, wallMs: this.wallMs }, new Uint8Array(32), nativeHasher)
    act(turn)
    for (const write of turn.finish().writes) {
      if (write.kind === 'put') this.disk.set(write.key, structuredClone(write.value))
      else this.disk.delete(write.key)
    }
  }

  agree(name: number, ownWei: bigint, requester = `r${name}`): SignedAcceptance {
    const agreement = `0x${name.toString(16).padStart(64, '0')}`
    this.turn((turn) => {
      const exposure = this.backing.next(turn, ownWei, START + HOUR)
      this.recipients.set(agreement, Recipient.open(turn, parts, { agreement, job: 'bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy', requester, payer: '0x', payee: '0x', terms: { ...TERMS, prepayCapWei: ownWei }, exposure }))
      this.backing.add(agreement)
    })
    return { agreement, provider: 'p', requester, ...this.recipients.get(agreement)!.earning.exposure, signature: '' }
  }

  release({ agreement }: SignedAcceptance): void {
    this.turn((turn) => { this.recipients.get(agreement)!.release(turn) })
  }
}

test('numbers only grow: across restarts, with the clock set back, and with nothing left but a clock', () => {
  const books = new Books()
  const [first, second] = [books.agree(1, 5n), books.agree(2, 5n)]
  assert.ok(second.sequence > first.sequence)
  const again = new Books(books.disk)
  again.wallMs = START - 10 * HOUR
  assert.ok(again.agree(3, 5n).sequence > second.sequence)
  const fresh = new Books()
  fresh.wallMs = START + HOUR
  assert.ok(fresh.agree(4, 5n).sequence > second.sequence + 1000)
})

test('an agreement counts until its requester closes it or it has expired on every clock, across restarts', () => {
  const books = new Books()
  const [first, second] = [books.agree(1, 5n), books.agree(2, 7n)]
  assert.equal([first.totalWei, second.totalWei], [5n, 12n])
  books.release(first)
  assert.is(books.agree(3, 1n).totalWei, 8n)
  const again = new Books(books.disk)
  assert.is(again.backing.exposedWei(START), 8n)
  assert.is(again.backing.exposedWei(START + HOUR + PARAMS.clockSkewMs), 8n)
  assert.is(again.backing.exposedWei(START + HOUR + PARAMS.clockSkewMs + 1), 0n)
})

test('one requester that closes nothing leaves half of the bond to others', () => {
  const books = new Books()
  const bond = { bondWei: 160n, shares: 16, wallMs: START }
  for (let i = 0; books.backing.freeFor('greedy', bond) > 0n; i++) books.agree(i, 10n, 'greedy')
  assert.is(books.backing.exposedWei(START), 80n)
  assert.is(books.backing.freeFor('modest', bond), 80n)
  // a bond that is meant for one agreement is for whoever comes first
  assert.is(new Books().backing.freeFor('first', { ...bond, shares: 1 }), 160n)
})

test('an honest provider\'s words never conflict, whatever was closed in between; a liar\'s do, as soon as the bond is behind too much', () => {
  const books = new Books()
  const words = Array.from({ length: 6 }, (_, i) => books.agree(i, BigInt(i + 1)))
  assert.is(exposureConflict(words.toReversed(), START), undefined)
  books.release(words[2]!)
  const held = [...words.filter((_, i) => i !== 2), books.agree(6, 9n)]
  assert.is(exposureConflict(held, START), undefined)
  // to those who had not closed it, the same words are at odds
  assert.equal(exposureConflict([...held, words[2]!], START)?.liar.agreement, held.at(-1)!.agreement)
  assert.is(exposureConflict([...held, words[2]!], START + HOUR + 1), undefined, 'it has expired')
  // no two of these are at odds, all three are: what counts is the sum
  const liar = [{ ...words[0]!, sequence: 1, ownWei: 4n, totalWei: 4n }, { ...words[1]!, sequence: 2, ownWei: 4n, totalWei: 8n }, { ...words[2]!, sequence: 3, ownWei: 4n, totalWei: 8n }]
  assert.is(exposureConflict([liar[0]!, liar[2]!], START), undefined)
  assert.equal(exposureConflict(liar, START)?.others.length, 2)
})

test('two agreements of one number are a lie, whatever they say; one said twice is not', () => {
  const one = new Books().agree(1, 5n)
  assert.is(exposureConflict([one, { ...one }], START), undefined)
  assert.ok(exposureConflict([one, { ...one, agreement: `0x${'99'.repeat(32)}`, totalWei: 100n }], START))
  assert.ok(exposureConflict([one, { ...one, totalWei: 100n }], START))
  assert.is(exposureConflict([], START), undefined)
})

test.run()

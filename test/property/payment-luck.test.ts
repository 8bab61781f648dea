/** The draws are fair, and those who make them unfair are seen. Seeds are fixed. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { hmacDraws } from '../../src/payment/draws.ts'
import { chanceOf, relativeDeviation, ticketsWithin } from '../../src/payment/odds.ts'
import { deviations, LuckMeter } from '../../src/payment/statistics.ts'
import { commitOf, isWin, TicketHasher } from '../../src/documents/ticket.ts'
import type { Ticket } from '../../src/documents/ticket.ts'
import { nativeHasher } from '../../node/keys/index.ts'
import { seededRandom } from '../helpers/seeded.ts'

const SEPARATOR = new Uint8Array(32).fill(5)
const OFFER = `0x${'0f'.repeat(32)}`
const hasher = new TicketHasher(nativeHasher, SEPARATOR)
const secrets = hmacDraws(nativeHasher, new Uint8Array(32).fill(1))
const winProbOf = (chance: number): bigint => BigInt(Math.round(chance * 2 ** 64)) - 1n

function ticketOf(winProb: bigint, commit: string, salt: string): Ticket {
  return { payer: `0x${'aa'.repeat(20)}`, payee: `0x${'bb'.repeat(20)}`, faceValueWei: 10n ** 15n, winProb, expirySec: 1_800_000_000, commit, salt, context: `0x${'cc'.repeat(32)}` }
}

/** A payer's salt that its payee can foresee. */
function predictableSalt(index: number): string {
  return `0x${index.toString(16).padStart(64, '0')}`
}

function saltsOf(seed: number): () => string {
  const random = seededRandom(seed)
  return () => `0x${Buffer.from(random.bytes(32)).toString('hex')}`
}

function drawOf(winProb: bigint, rand: Uint8Array, salt: string): boolean {
  return isWin(nativeHasher, rand, hasher.digest(ticketOf(winProb, commitOf(nativeHasher, rand), salt)), winProb)
}

test('a million tickets win as often as they say, within five standard deviations', () => {
  const salt = saltsOf(11)
  let index = 0
  for (const chance of [1 / 2, 1 / 16, 1 / 256, 1 / 4096]) {
    const winProb = winProbOf(chance)
    let wins = 0
    for (let i = 0; i < 250_000; i++) if (drawOf(winProb, secrets.rand(OFFER, index++), salt())) wins++
    assert.ok(deviations(wins, 250_000, chance) < 5, `${wins} wins at ${chance}`)
  }
  assert.is(index, 1_000_000)
})

test('the bounds of a chance: never below 1 in 2^64, and sure at its end', () => {
  const rand = secrets.rand(OFFER, 1)
  for (let i = 0; i < 1000; i++) {
    assert.is(drawOf((1n << 64n) - 1n, rand, predictableSalt(i)), true)
    assert.is(drawOf(0n, rand, predictableSalt(i)), false)
  }
  assert.is(chanceOf((1n << 64n) - 1n), 1)
})

test('income is within the deviation that is told to hosts', () => {
  const chance = 1 / 64
  const winProb = winProbOf(chance)
  const tickets = ticketsWithin(chance, 0.2)
  assert.is(tickets, Math.ceil(63 / 0.04))
  assert.ok(Math.abs(relativeDeviation(chance, tickets) - 0.2) < 0.001)
  // 120 hosts, each with as many tickets as give 20 %: the sample's own deviation is 20 % give or take five times its error
  const salt = saltsOf(5)
  const incomes = Array.from({ length: 120 }, (_, host) => {
    let wins = 0
    for (let i = 0; i < tickets; i++) if (drawOf(winProb, secrets.rand(OFFER, host * tickets + i), salt())) wins++
    return wins / (tickets * chance)
  })
  const mean = incomes.reduce((sum, x) => sum + x, 0) / incomes.length
  const spread = Math.sqrt(incomes.reduce((sum, x) => sum + (x - mean) ** 2, 0) / (incomes.length - 1))
  assert.ok(Math.abs(spread - 0.2) < 5 * 0.2 / Math.sqrt(2 * 119), `spread ${spread}`)
})

/** A payee that foresees salts tries this many secrets before it offers a commit, and keeps one that wins. */
function foreseeing(winProb: bigint, index: number, tries: number, salt: string): boolean {
  for (let i = 0; i < tries; i++) if (drawOf(winProb, secrets.rand(OFFER, index * tries + i), salt)) return true
  return false
}

test('a payee that foresees a predictable salt is seen by its payer, and one that faces a fresh salt is not', () => {
  const winProb = winProbOf(1 / 16)
  const [cheated, fair] = [new LuckMeter(), new LuckMeter()]
  const salt = saltsOf(3)
  let caughtAt = Infinity
  for (let i = 0; i < 3000; i++) {
    cheated.drawn(winProb, false)
    if (foreseeing(winProb, i, 4, predictableSalt(i))) cheated.redeemed()
    if (cheated.alarm('payer').kind === 'too-many') caughtAt = Math.min(caughtAt, i)
    // it guesses the same salt, but the ticket comes with a fresh one
    fair.drawn(winProb, false)
    let kept = i * 4
    for (let tries = 0; tries < 4; tries++) if (drawOf(winProb, secrets.rand(OFFER, i * 4 + tries), predictableSalt(i))) kept = i * 4 + tries
    if (drawOf(winProb, secrets.rand(OFFER, kept), salt())) fair.redeemed()
    assert.is(fair.alarm('payer').kind, 'none')
  }
  assert.ok(caughtAt < 300, `caught after ${caughtAt} tickets`)
})

test('a payer that knows the secrets and withholds winners is seen by its payee; one that withholds blindly gains nothing', () => {
  const winProb = winProbOf(1 / 16)
  const [robbed, blind] = [new LuckMeter(), new LuckMeter()]
  const salt = saltsOf(4)
  let caughtAt = Infinity
  for (let i = 0, sent = 0; sent < 2000; i++) {
    const won = drawOf(winProb, secrets.rand(OFFER, i), salt())
    if (i % 2 === 0) blind.drawn(winProb, won)
    assert.is(blind.alarm().kind, 'none')
    if (won) continue
    sent++
    robbed.drawn(winProb, false)
    if (robbed.alarm().kind === 'too-few') caughtAt = Math.min(caughtAt, sent)
  }
  // fifteen expected wins without one
  assert.ok(caughtAt >= 200 && caughtAt < 260, `caught after ${caughtAt} tickets`)
  // half of the winners only: later, but seen
  const half = new LuckMeter()
  let halfCaughtAt = Infinity
  for (let i = 0, sent = 0; sent < 4000; i++) {
    const won = drawOf(winProb, secrets.rand(OFFER, i), salt())
    if (won && i % 2 === 0) continue
    sent++
    half.drawn(winProb, won)
    if (half.alarm().kind === 'too-few') halfCaughtAt = Math.min(halfCaughtAt, sent)
  }
  assert.ok(halfCaughtAt < 4000, `caught after ${halfCaughtAt} tickets`)
})

test('honest luck raises no alarm, whatever the mix of chances and though it is looked at after every ticket', () => {
  const random = seededRandom(8)
  for (let host = 0; host < 300; host++) {
    const meter = new LuckMeter()
    for (let i = 0; i < 1000; i++) {
      const bits = 1 + random.below(8)
      meter.drawn((1n << BigInt(64 - bits)) - 1n, random.below(2 ** bits) === 0)
      assert.is(meter.alarm().kind, 'none')
    }
  }
})

test.run()

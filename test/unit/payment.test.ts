/** Tickets against ethers, terms and ledgers against arithmetic by hand, and the money key's two engines against each other. */
import { createHmac } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { keccak_256 } from '@noble/hashes/sha3.js'
import { AbiCoder, keccak256, TypedDataEncoder, verifyTypedData, Wallet } from 'ethers'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { safeEncode } from 'zod'
import { acceptanceDigest } from '../../src/documents/acceptance.ts'
import { domainSeparator } from '../../src/codec/eip712.ts'
import { toHex } from '../../src/codec/hasher.ts'
import { Turn } from '../../src/core/turn.ts'
import { Budget } from '../../src/payment/budget.ts'
import { chooseTicket, fundsUntil, maxFaceValueWei } from '../../src/payment/choose.ts'
import { hmacDraws } from '../../src/payment/draws.ts'
import { payerExposure, providerExposure, unacknowledgedExposure } from '../../src/payment/exposure.ts'
import { acceptWork, claimWork, dueFor, failWork, heldBack, NO_WORK } from '../../src/payment/ledger.ts'
import type { Work } from '../../src/payment/ledger.ts'
import { payMessageCodec } from '../../src/documents/pay-message.ts'
import { chanceOf, chanceOfAtLeast, chanceOfAtMost, overdraftChance, ticketsWithin } from '../../src/payment/odds.ts'
import { refundDigest, stateDigest, statementDigest } from '../../src/documents/payment-state.ts'
import { aheadShare, priceOf, termsRefusal, ticketsAhead } from '../../src/documents/terms.ts'
import type { PaymentTerms } from '../../src/documents/terms.ts'
import { commitOf, contextOf, expectedOf, fromWei, isWin, jobDigest, TicketHasher, ticketSchema, toWei } from '../../src/documents/ticket.ts'
import type { Ticket } from '../../src/documents/ticket.ts'
import { nativeHasher } from '../../node/keys/index.ts'
import { moneyAddress, signDigest } from '../../node/keys/money.ts'
import { curve, wasmCurve } from '../../node/keys/secp256k1.ts'
import { TicketChecker } from '../../node/keys/ticket-checker.ts'
import { ticketSecrets } from '../../node/keys/ticket-secrets.ts'
import { seededRandom } from '../helpers/seeded.ts'

const DOMAIN = { name: 'Hearth', version: '1', chainId: 31_337n, verifyingContract: `0x${'11'.repeat(20)}` }
const SEPARATOR = domainSeparator(nativeHasher, DOMAIN)
const TICKET_TYPES = {
  Ticket: [
    { name: 'payer', type: 'address' }, { name: 'payee', type: 'address' }, { name: 'faceValue', type: 'uint128' }, { name: 'winProb', type: 'uint64' },
    { name: 'expiry', type: 'uint64' }, { name: 'commit', type: 'bytes32' }, { name: 'salt', type: 'bytes32' }, { name: 'context', type: 'bytes32' }
  ]
}
const random = seededRandom(1)
const hex = (bytes: number): string => `0x${Buffer.from(random.bytes(bytes)).toString('hex')}`
const bits = (count: number): bigint => BigInt(hex(count / 8))

function anyTicket(): Ticket {
  return { payer: hex(20), payee: hex(20), faceValueWei: bits(128), winProb: bits(64), expirySec: random.below(2 ** 31) + 1, commit: hex(32), salt: hex(32), context: hex(32) }
}

function asEthers({ faceValueWei, expirySec, ...rest }: Ticket): Record<string, unknown> {
  return { ...rest, faceValue: faceValueWei, expiry: expirySec }
}

const EDGES: Ticket[] = [
  { payer: `0x${'00'.repeat(20)}`, payee: `0x${'ff'.repeat(20)}`, faceValueWei: 0n, winProb: 0n, expirySec: 1, commit: `0x${'00'.repeat(32)}`, salt: `0x${'ff'.repeat(32)}`, context: `0x${'00'.repeat(32)}` },
  { payer: `0x${'ff'.repeat(20)}`, payee: `0x${'00'.repeat(20)}`, faceValueWei: (1n << 128n) - 1n, winProb: (1n << 64n) - 1n, expirySec: 9_000_000_000, commit: `0x${'ff'.repeat(32)}`, salt: `0x${'00'.repeat(32)}`, context: `0x${'ff'.repeat(32)}` },
  { payer: `0x${'00'.repeat(20)}`, payee: `0x${'00'.repeat(20)}`, faceValueWei: 1n << 64n, winProb: 1n << 63n, expirySec: 2 ** 32, commit: `0x${'00'.repeat(32)}`, salt: `0x${'00'.repeat(32)}`, context: `0x${'00'.repeat(32)}` }
]

test('digests are those of ethers, one after the other from the same buffers', () => {
  const hasher = new TicketHasher(nativeHasher, SEPARATOR)
  for (const ticket of [...EDGES, ...Array.from({ length: 200 }, anyTicket), ...EDGES]) {
    assert.is(toHex(hasher.digest(ticket)), TypedDataEncoder.hash(DOMAIN, TICKET_TYPES, asEthers(ticket)))
  }
})

interface Vectors {
  domain: { name: string, version: string, chainId: string, verifyingContract: string }
  domainSeparator: string
  tickets: { name: string, ticket: Record<'payer' | 'payee' | 'faceValue' | 'winProb' | 'expiry' | 'commit' | 'salt' | 'context', string>, rand: string, digest: string, wins: boolean, signer: string, signature: string }[]
  badSignatures: { name: string, signature: string }[]
  refunds: { message: Record<'agreement' | 'provider' | 'requester' | 'amount' | 'expiry', string>, digest: string }[]
  statements: { message: Record<'agreement' | 'provider' | 'requester' | 'sequence' | 'paid', string>, digest: string }[]
}

test('the vectors that the contract is tested with: the same digests, wins, signers and refusals', () => {
  const vectors = JSON.parse(readFileSync(join(import.meta.dirname, '../fixtures/payment/vectors.json'), 'utf8')) as Vectors
  const separator = domainSeparator(nativeHasher, { ...vectors.domain, chainId: BigInt(vectors.domain.chainId), verifyingContract: vectors.domain.verifyingContract.toLowerCase() })
  assert.is(toHex(separator), vectors.domainSeparator)
  const hasher = new TicketHasher(nativeHasher, separator)
  const checker = new TicketChecker(separator)
  const ticketOf = ({ ticket: { payer, payee, faceValue, winProb, expiry, commit, salt, context } }: Vectors['tickets'][number]): Ticket =>
    ({ payer: payer.toLowerCase(), payee: payee.toLowerCase(), faceValueWei: BigInt(faceValue), winProb: BigInt(winProb), expirySec: Number(expiry), commit, salt, context })
  assert.ok(vectors.tickets.length > 100)
  let checked = 0
  for (const vector of vectors.tickets) {
    const ticket = ticketOf(vector)
    // the contract takes any 64-bit time; the wire lets none through that a ticket could not live to
    if (BigInt(vector.ticket.expiry) > 9_000_000_000n) {
      assert.not(safeEncode(ticketSchema, ticket).success, vector.name)
      continue
    }
    checked++
    const digest = hasher.digest(ticket)
    assert.is(toHex(digest), vector.digest, vector.name)
    const rand = Buffer.from(vector.rand.slice(2), 'hex')
    assert.is(isWin(nativeHasher, rand, digest, ticket.winProb), vector.wins, vector.name)
    const signer = checker.check(ticket, vector.signature, vector.signer.toLowerCase())
    assert.ok(signer.ok, vector.name)
  }
  assert.ok(checked > 100, `${checked} checked`)
  const [plain] = vectors.tickets
  for (const { name, signature } of vectors.badSignatures) assert.not(checker.check(ticketOf(plain!), signature, plain!.signer.toLowerCase()).ok, name)
  const near = vectors.refunds.filter(({ message }) => BigInt(message.expiry) <= 9_000_000_000n)
  assert.ok(near.length > 0)
  for (const { message: { amount, expiry, ...parties }, digest } of near) {
    assert.is(toHex(refundDigest(nativeHasher, separator, { agreement: parties.agreement, provider: parties.provider.toLowerCase(), requester: parties.requester.toLowerCase(), amount: BigInt(amount), expiry: Number(expiry) })), digest)
  }
  const counted = vectors.statements.filter(({ message }) => BigInt(message.sequence) <= BigInt(Number.MAX_SAFE_INTEGER))
  assert.ok(counted.length > 0)
  for (const { message: { sequence, paid, ...parties }, digest } of counted) {
    assert.is(toHex(statementDigest(nativeHasher, separator, { agreement: parties.agreement, provider: parties.provider.toLowerCase(), requester: parties.requester.toLowerCase(), sequence: Number(sequence), paid: BigInt(paid) })), digest)
  }
})

test('what does not fit its field is never hashed', () => {
  const hasher = new TicketHasher(nativeHasher, SEPARATOR)
  const good = anyTicket()
  const bad: Partial<Ticket>[] = [
    { faceValueWei: 1n << 128n }, { faceValueWei: -1n }, { winProb: 1n << 64n }, { winProb: -1n }, { expirySec: -1 },
    { payer: `${good.payer}00` }, { payer: good.payer.slice(0, -2) }, { payer: good.payer.replace(/^0x../, '0xAB') }, { salt: `0x${'zz'.repeat(32)}` }, { commit: `0x${'é'.repeat(64)}` }
  ]
  for (const change of bad) assert.throws(() => hasher.digest({ ...good, ...change }), JSON.stringify(change, (_, value: unknown) => typeof value === 'bigint' ? String(value) : value))
})

test('commits, contexts and wins are the contract\'s', () => {
  const abi = AbiCoder.defaultAbiCoder()
  let wins = 0
  for (let i = 0; i < 300; i++) {
    const [rand, digest] = [random.bytes(32), random.bytes(32)]
    const winProb = bits(64)
    assert.is(commitOf(nativeHasher, rand), keccak256(abi.encode(['bytes32'], [rand])))
    const word = BigInt(keccak256(abi.encode(['bytes32', 'bytes32'], [rand, digest])))
    assert.is(isWin(nativeHasher, rand, digest, winProb), (word >> 192n) <= winProb)
    if (isWin(nativeHasher, rand, digest, winProb)) wins++
    // the bound itself wins, one less does not
    assert.is(isWin(nativeHasher, rand, digest, word >> 192n), true)
    assert.is(isWin(nativeHasher, rand, digest, (word >> 192n) - 1n), false)
    const [job, agreement] = [hex(32), hex(32)]
    assert.is(contextOf(nativeHasher, job, agreement, i), keccak256(abi.encode(['bytes32', 'bytes32', 'uint256'], [job, agreement, i])))
  }
  assert.ok(wins > 100 && wins < 200)
})

test('states, statements and refunds hash as the contract and ethers do', () => {
  const [agreement, provider, requester] = [hex(32), hex(20), hex(20)]
  const state = { agreement, sequence: 7, tickets: 5, expectedPaid: bits(192), heldBack: bits(128), refunded: bits(64) }
  assert.is(toHex(stateDigest(nativeHasher, SEPARATOR, state)), TypedDataEncoder.hash(DOMAIN, {
    PaymentState: [{ name: 'agreement', type: 'bytes32' }, { name: 'sequence', type: 'uint64' }, { name: 'tickets', type: 'uint64' }, { name: 'expectedPaid', type: 'uint256' }, { name: 'heldBack', type: 'uint256' }, { name: 'refunded', type: 'uint256' }]
  }, state))
  const statement = { agreement, provider, requester, sequence: 7, paid: bits(128) }
  assert.is(toHex(statementDigest(nativeHasher, SEPARATOR, statement)), TypedDataEncoder.hash(DOMAIN, {
    Statement: [{ name: 'agreement', type: 'bytes32' }, { name: 'provider', type: 'address' }, { name: 'requester', type: 'address' }, { name: 'sequence', type: 'uint64' }, { name: 'paid', type: 'uint128' }]
  }, statement))
  const refund = { agreement, provider, requester, amount: bits(128), expiry: 1_800_000_000 }
  assert.is(toHex(refundDigest(nativeHasher, SEPARATOR, refund)), TypedDataEncoder.hash(DOMAIN, {
    Refund: [{ name: 'agreement', type: 'bytes32' }, { name: 'provider', type: 'address' }, { name: 'requester', type: 'address' }, { name: 'amount', type: 'uint128' }, { name: 'expiry', type: 'uint64' }]
  }, refund))
})

test('what a provider accepts hashes as ethers does', () => {
  const acceptance = { agreement: hex(32), provider: hex(20), requester: hex(20), sequence: 1_800_000_000_000, ownWei: bits(96), totalWei: bits(128), expiresWallMs: 1_800_000_600_000 }
  assert.is(toHex(acceptanceDigest(nativeHasher, SEPARATOR, acceptance)), TypedDataEncoder.hash(DOMAIN, {
    Acceptance: [{ name: 'agreement', type: 'bytes32' }, { name: 'provider', type: 'address' }, { name: 'requester', type: 'address' }, { name: 'sequence', type: 'uint64' }, { name: 'own', type: 'uint128' }, { name: 'total', type: 'uint128' }, { name: 'expiresAt', type: 'uint64' }]
  }, { ...acceptance, own: acceptance.ownWei, total: acceptance.totalWei, expiresAt: acceptance.expiresWallMs }))
})

test('tickets signed here verify with ethers, and the other way round; any change of a field does not', async () => {
  const checker = new TicketChecker(SEPARATOR)
  const key = random.bytes(32)
  const wallet = new Wallet(toHex(key))
  const ticket = { ...anyTicket(), payer: moneyAddress(key) }
  const signature = checker.sign(ticket, (digest) => signDigest(key, digest))
  assert.is(verifyTypedData(DOMAIN, TICKET_TYPES, asEthers(ticket), signature).toLowerCase(), ticket.payer)
  assert.is(await wallet.signTypedData(DOMAIN, TICKET_TYPES, asEthers(ticket)), signature)
  assert.ok(checker.check(ticket, signature).ok)
  const changes: Partial<Ticket>[] = [
    { payee: hex(20) }, { faceValueWei: ticket.faceValueWei ^ 1n }, { winProb: ticket.winProb ^ 1n }, { expirySec: ticket.expirySec + 1 }, { commit: hex(32) }, { salt: hex(32) }, { context: hex(32) },
    // equal expected value in another shape
    { faceValueWei: ticket.faceValueWei / 2n, winProb: ticket.winProb * 2n & ((1n << 64n) - 1n) }
  ]
  for (const change of changes) {
    const checked = checker.check({ ...ticket, ...change }, signature)
    assert.is(checked.ok ? 'ok' : checked.code, 'E_SIGNATURE')
  }
  for (const [domain, why] of [[{ ...DOMAIN, chainId: 1n }, 'chain'], [{ ...DOMAIN, verifyingContract: hex(20) }, 'contract']] as const) {
    assert.not(new TicketChecker(domainSeparator(nativeHasher, domain)).check(ticket, signature).ok, why)
  }
})

test('a signature has one spelling: compact, high s, v 0, v 29 and zero r are refused', () => {
  const checker = new TicketChecker(SEPARATOR)
  const key = random.bytes(32)
  const ticket = { ...anyTicket(), payer: moneyAddress(key) }
  const good = checker.sign(ticket, (digest) => signDigest(key, digest))
  const order = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n
  const [r, s, v] = [good.slice(2, 66), good.slice(66, 130), Number.parseInt(good.slice(130), 16)]
  const highS = (order - BigInt(`0x${s}`)).toString(16).padStart(64, '0')
  const byte = (value: number): string => value.toString(16).padStart(2, '0')
  const bad = [`0x${r}${highS}${byte(55 - v)}`, `0x${r}${s}`, `0x${r}${s}${byte(v - 27)}`, `0x${r}${s}${byte(29)}`, `0x${'00'.repeat(32)}${s}${byte(v)}`, `0x${r}${'00'.repeat(32)}${byte(v)}`, good.toUpperCase().replace('0X', '0x'), `${good}00`, '', '0x']
  for (const signature of bad) {
    const checked = checker.check(ticket, signature)
    assert.is(checked.ok ? 'ok' : checked.code, 'E_SIGNATURE_FORM', signature)
  }
  assert.is((checker.check(ticket, undefined) as { code: string }).code, 'E_SIGNATURE_MISSING')
})

test('native and WebAssembly libsecp256k1 give the same bytes and refuse the same', () => {
  assert.is(curve.name, 'native')
  assert.is(wasmCurve.name, 'wasm')
  for (let i = 0; i < 50; i++) {
    const [key, digest] = [random.bytes(32).slice(), random.bytes(32).slice()]
    assert.equal(wasmCurve.publicKey(key), curve.publicKey(key))
    const [a, b] = [curve.sign(digest, key), wasmCurve.sign(digest, key)]
    assert.equal({ ...a, signature: toHex(a.signature) }, { ...b, signature: toHex(b.signature) })
    for (const engine of [curve, wasmCurve]) assert.equal(engine.recover(digest, a.signature, a.recoveryId), curve.publicKey(key))
    // garbage: both find the same signer, or both none
    const garbage = random.bytes(64).slice()
    const [found, same] = [curve.recover(digest, garbage, i & 1), wasmCurve.recover(digest, garbage, i & 1)]
    assert.equal(found === undefined ? undefined : toHex(found), same === undefined ? undefined : toHex(same))
  }
  const order = Buffer.from('fffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141', 'hex')
  for (const engine of [curve, wasmCurve]) {
    assert.not(engine.isPrivateKey(new Uint8Array(32)))
    assert.not(engine.isPrivateKey(order))
    assert.is(engine.recover(new Uint8Array(32).fill(1), new Uint8Array(64).fill(255), 0), undefined)
  }
})

test('Keccak in WebAssembly is Keccak, at every length around its block', () => {
  for (let length = 0; length < 420; length++) {
    const data = random.bytes(length)
    assert.is(toHex(nativeHasher.keccak256(data)), toHex(keccak_256(data)))
  }
  const big = random.bytes(300_000)
  assert.is(toHex(nativeHasher.keccak256(big)), toHex(keccak_256(big)))
  // a view into something larger, and a result that stays when the next one is made
  const view = Buffer.from(big.buffer, 1000, 77)
  const first = nativeHasher.keccak256(view)
  nativeHasher.keccak256(big)
  assert.is(toHex(first), toHex(keccak_256(Uint8Array.from(view))))
})

test('secrets are HMACs of offer and index; commits and draws follow from them and from nothing else', () => {
  const key = random.bytes(32)
  const [offer, other] = [hex(32), hex(32)]
  const draws = hmacDraws(nativeHasher, key)
  const seen = new Set<string>()
  for (const id of [offer, other]) {
    for (const index of [0, 1, 255, 256, 65_535]) {
      const message = Buffer.alloc(40)
      message.write(id.slice(2), 'hex')
      message.writeBigUInt64BE(BigInt(index), 32)
      const rand = toHex(draws.rand(id, index))
      assert.is(rand, `0x${createHmac('sha256', key).update(message).digest('hex')}`)
      assert.is(draws.commit(id, index), commitOf(nativeHasher, draws.rand(id, index)))
      assert.is(draws.wins(id, index, SEPARATOR, 1n << 63n), isWin(nativeHasher, draws.rand(id, index), SEPARATOR, 1n << 63n))
      seen.add(rand)
    }
  }
  assert.is(seen.size, 10)
  const seed = random.bytes(32)
  assert.is(ticketSecrets(seed).commit(offer, 3), ticketSecrets(seed.slice()).commit(offer, 3))
  assert.is.not(ticketSecrets(seed).commit(offer, 3), ticketSecrets(random.bytes(32)).commit(offer, 3))
})

const TERMS: PaymentTerms = {
  mode: 'tickets', unit: { kind: 'resource-ms', size: 10_000 }, unitPriceWei: 1_000_000n, faceValueWei: 2_800_000n, winProb: (1n << 62n) - 1n,
  ticketLifeSec: 86_400, openCommits: 8, aheadUnits: 2, holdback: 3000, refund: 5000, prepayCapWei: 10_000_000n
}

test('expected value is exact: a ticket is worth face value x (winProb + 1), in 2^-64 wei', () => {
  assert.is(expectedOf(TERMS), fromWei(700_000n))
  assert.is(expectedOf({ faceValueWei: 1n, winProb: 0n }), 1n)
  assert.is(expectedOf({ faceValueWei: (1n << 128n) - 1n, winProb: (1n << 64n) - 1n }), fromWei((1n << 128n) - 1n))
  assert.is(toWei(fromWei(5n) - 1n), 4n)
})

test('what is due: all but the holdback as work is done, the rest on a match, nothing more on a failure', () => {
  assert.is(priceOf(TERMS, 25_000), fromWei(2_500_000n))
  assert.is(aheadShare(TERMS, fromWei(1000n)), fromWei(700n))
  assert.is(ticketsAhead(TERMS), 2)
  let work: Work = claimWork(NO_WORK, 30_000)
  assert.is(claimWork(work, 30_000), work)
  assert.is(claimWork(work, 10_000), work)
  assert.is(claimWork(work, Number.NaN), work)
  assert.is(dueFor(TERMS, work, 0), fromWei(2_100_000n))
  assert.is(dueFor(TERMS, work, 20_000), fromWei(3_500_000n))
  assert.is(heldBack(TERMS, work), fromWei(900_000n))
  const accepted = acceptWork(TERMS, work, 10_000)
  assert.ok(accepted.ok)
  work = accepted.value
  assert.is(dueFor(TERMS, work, 0), fromWei(2_400_000n))
  const failed = failWork(TERMS, work, 20_000)
  assert.ok(failed.ok)
  work = failed.value
  assert.is(dueFor(TERMS, work, 0), fromWei(2_400_000n))
  assert.is(work.refundable, fromWei(700_000n))
  assert.is(heldBack(TERMS, work), 0n)
  for (const quantity of [1, -1, 0.5, Number.NaN]) assert.not(acceptWork(TERMS, work, quantity).ok || failWork(TERMS, work, quantity).ok, String(quantity))
})

test('bytes are due with the results that they were moved for: program and shared inputs once, own inputs and results each', () => {
  const moving: PaymentTerms = { ...TERMS, moved: { gibWei: 2n ** 30n * 3n, onceBytes: 1000, taskBytes: 50 } }
  const accepted = (work: Work, tasks: number, bytes: number): Work => { const next = acceptWork(moving, work, 0, { tasks, bytes }); assert.ok(next.ok); return next.value }
  let work = claimWork(NO_WORK, 10_000)
  assert.is(dueFor(moving, work, 0), dueFor(TERMS, work, 0), 'nothing before a result')
  work = accepted(work, 1, 7)
  assert.is(work.moved, 1057)
  assert.is(dueFor(moving, work, 0) - dueFor(TERMS, work, 0), fromWei(3n * 1057n))
  // heard together or one by one, the sum is the same
  assert.equal(accepted(accepted(work, 1, 3), 1, 4), accepted(work, 2, 7))
  assert.is(accepted(work, 2, 7).moved, 1057 + 107)
  const failed = failWork(moving, work, 10_000)
  assert.ok(failed.ok)
  assert.is(failed.value.moved, 1057)
  const free = acceptWork(TERMS, work, 0, { tasks: 5, bytes: 1e9 })
  assert.ok(free.ok)
  assert.is(dueFor(TERMS, free.value, 0), dueFor(TERMS, work, 0))
})

test('work not revealed is never paid above the cap, and what is due never falls', () => {
  const capped = { ...TERMS, prepayCapWei: 1_000_000n }
  let work = claimWork(NO_WORK, 100_000)
  assert.is(dueFor(capped, work, 20_000), fromWei(1_000_000n))
  let last = dueFor(capped, work, 0)
  for (let i = 0; i < 9; i++) {
    const next = i % 2 === 0 ? acceptWork(capped, work, 11_111) : failWork(capped, work, 11_111)
    assert.ok(next.ok)
    work = next.value
    assert.ok(dueFor(capped, work, 0) >= last)
    last = dueFor(capped, work, 0)
  }
})

test('a good ticket: worth the unit, cheap to redeem, and carried by the payer\'s bond and deposit', () => {
  const funds = { depositWei: 10n ** 18n, bondWei: 10n ** 18n }
  // 50,000 gas at 1 gwei, at most 2 % of a winner
  const choice = { terms: { ...TERMS, unitPriceWei: 10n ** 12n }, redemptionCostWei: 50_000n * 10n ** 9n, maxCostShare: 200, funds, pendingWinnersWei: 0n }
  const chosen = chooseTicket(choice)
  assert.ok(chosen.ok)
  assert.is(chosen.value.faceValueWei, 25n * 10n ** 14n)
  assert.is(chosen.value.costShare, 200)
  const wanted = fromWei(7n * 10n ** 11n)
  assert.ok(chosen.value.expected >= wanted && chosen.value.expected - wanted < chosen.value.faceValueWei)
  assert.ok(Math.abs(chanceOf(chosen.value.winProb) - 7e11 / 25e14) < 1e-9)
  // gas times a hundred: fewer and larger winners, as long as the money carries them
  const dear = chooseTicket({ ...choice, redemptionCostWei: choice.redemptionCostWei * 100n })
  assert.ok(dear.ok)
  assert.is(dear.value.faceValueWei, 25n * 10n ** 16n)
  for (const poor of [{ funds: { ...funds, bondWei: 5n * 10n ** 15n - 1n } }, { funds: { ...funds, depositWei: 25n * 10n ** 14n - 1n } }, { pendingWinnersWei: 10n ** 18n }]) {
    const refused = chooseTicket({ ...choice, ...poor })
    assert.is(refused.ok ? 'ok' : refused.code, 'E_TERMS_FUNDS')
  }
  // no gas, or a dear unit: a ticket that always wins
  const sure = chooseTicket({ ...choice, redemptionCostWei: 0n })
  assert.ok(sure.ok)
  assert.is(sure.value.winProb, (1n << 64n) - 1n)
  assert.is(sure.value.faceValueWei, 7n * 10n ** 11n)
})

test('money that is being withdrawn counts as long as it stays', () => {
  const funds = { depositWei: 100n, bondWei: 50n, depositUnlock: { amountWei: 70n, lockedUntilSec: 1000 }, bondUnlock: { amountWei: 60n, lockedUntilSec: 1000 } }
  assert.equal(fundsUntil(funds, 1000), { depositWei: 100n, bondWei: 50n })
  assert.equal(fundsUntil(funds, 1001), { depositWei: 30n, bondWei: 0n })
  assert.is(maxFaceValueWei({ depositWei: 100n, bondWei: 50n }, 80n), 20n)
  assert.is(maxFaceValueWei({ depositWei: 100n, bondWei: 50n }, 101n), 0n)
})

test('a payer refuses terms that are dear, hold back little, prepay much or hide a large stake in one ticket', () => {
  const policy = { maxUnitPriceWei: 1_000_000n, minHoldback: 3000, maxPrepayWei: 10_000_000n }
  assert.is(termsRefusal(TERMS, policy), undefined)
  const wrong: [string, Partial<PaymentTerms>][] = [
    ['E_TERMS_PRICE', { unitPriceWei: 1_000_001n }], ['E_TERMS_HOLDBACK', { holdback: 2999 }], ['E_TERMS_PREPAY', { prepayCapWei: 10_000_001n }],
    ['E_TERMS_FACE', { faceValueWei: 0n }], ['E_TERMS_TICKET', { faceValueWei: 5_000_000n, winProb: (1n << 64n) - 1n }]
  ]
  for (const [code, change] of wrong) assert.is(termsRefusal({ ...TERMS, ...change }, policy)?.code, code)
})

test('exposures are what the rules leave open', () => {
  const payer = payerExposure(TERMS, 50_000)
  // (5 + 2) units at 70 %, seven tickets
  assert.equal(payer, { expected: fromWei(4_900_000n), worstWei: 7n * TERMS.faceValueWei })
  assert.is(payerExposure({ ...TERMS, prepayCapWei: 1_000_000n }, 50_000).expected, fromWei(1_400_000n))
  const provider = providerExposure(TERMS, 50_000)
  assert.equal(provider, { expected: fromWei(1_500_000n + 2_000_000n), worstWei: 7_000_001n })
  assert.equal(unacknowledgedExposure(TERMS), { expected: fromWei(1_400_000n), worstWei: 2n * TERMS.faceValueWei })
})

test('the bounds on luck hold against the exact binomial', () => {
  const binomial = (n: number, p: number, k: number): number => {
    let term = (1 - p) ** n
    let sum = 0
    for (let i = 0; i <= n; i++) {
      if (i >= k) sum += term
      term *= (n - i) / (i + 1) * p / (1 - p)
    }
    return sum
  }
  for (const [n, p] of [[50, 0.1], [200, 0.03], [20, 0.5]] as const) {
    for (let k = 0; k <= n; k++) {
      const [exact, bound] = [binomial(n, p, k), chanceOfAtLeast(k, n, n * p)]
      assert.ok(bound >= exact - 1e-12, `P(X >= ${k}) of ${n} at ${p}: ${exact} > ${bound}`)
      assert.ok(chanceOfAtMost(k, n, n * p) >= 1 - binomial(n, p, k + 1) - 1e-12)
    }
  }
  assert.is(ticketsWithin(1 / 1000, 0.05), 399_600)
  assert.is(overdraftChance(10, 0.01, 5n, 50n), 0)
  assert.ok(overdraftChance(10_000, 0.001, 5n, 200n) < 1e-6)
  assert.is(overdraftChance(10_000, 0.01, 5n, 200n), 1)
})

test('a budget counts by job, day and provider, and starts anew with the day but not with the clock set back', () => {
  const at = (wallMs: number): Turn => new Turn({ monoMs: 0, wallMs }, new Uint8Array(32), nativeHasher)
  const day = 86_400_000
  const budget = new Budget({ jobWei: 100n, dayWei: 60n, peerDayWei: 40n })
  const code = (wallMs: number, job: string, peer: string, amountWei: bigint): string | undefined => budget.refusal({ monoMs: 0, wallMs }, { job, peer }, fromWei(amountWei))?.code
  budget.spend(at(day), { job: 'a', peer: 'p' }, fromWei(40n))
  assert.is(code(day, 'a', 'p', 1n), 'E_BUDGET_PEER')
  assert.is(code(day, 'a', 'q', 20n), undefined)
  assert.is(code(day, 'a', 'q', 21n), 'E_BUDGET_DAY')
  budget.spend(at(2 * day), { job: 'a', peer: 'p' }, fromWei(40n))
  assert.is(code(2 * day, 'a', 'q', 20n), undefined)
  assert.is(code(2 * day, 'a', 'q', 21n), 'E_BUDGET_JOB')
  assert.is(code(2 * day, 'b', 'q', 20n), undefined)
  assert.is(code(2 * day - 1, 'b', 'q', 21n), 'E_BUDGET_DAY', 'a clock a little behind gets no second budget')
  const restored = new Budget({ jobWei: 100n, dayWei: 60n, peerDayWei: 40n })
  for (const [, value] of budget.records()) restored.restore(value)
  assert.is(restored.refusal({ monoMs: 0, wallMs: 2 * day }, { job: 'a', peer: 'p' }, 1n)?.code, 'E_BUDGET_PEER')
  budget.pause({ ok: false, code: 'E_BUDGET_DEPOSIT', message: 'the deposit is empty' })
  assert.is(code(9 * day, 'z', 'z', 1n), 'E_BUDGET_DEPOSIT')
})

test('tickets on the wire: bounded, in one spelling, and no time that is none', () => {
  const ticket = anyTicket()
  const message = { kind: 'ticket' as const, agreement: hex(32), index: 5, ticket, signature: hex(65) }
  const raw = payMessageCodec.encode(message)
  assert.ok(raw.length < 500)
  const decoded = payMessageCodec.decode(raw)
  assert.equal(decoded.ok && decoded.value, message)
  for (const change of [{ expirySec: 0 }, { expirySec: 1e13 }, { expirySec: 1.5 }, { winProb: 1n << 64n }, { faceValueWei: 1n << 128n }, { salt: hex(31) }]) {
    assert.throws(() => payMessageCodec.encode({ ...message, ticket: { ...ticket, ...change } }))
  }
  assert.throws(() => payMessageCodec.encode({ ...message, index: 65_536 }))
  assert.not(payMessageCodec.decode(Buffer.concat([raw, Buffer.alloc(1)])).ok)
  assert.not(payMessageCodec.decode(new Uint8Array(50_000)).ok)
  assert.match(jobDigest('bafyreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy'), /^0x[0-9a-f]{64}$/)
})

test.run()

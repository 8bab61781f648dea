/**
 * Makes test/fixtures/payment/vectors.json, which TypeScript and Solidity both are held against. By ethers and its own
 * hashing alone, so that it shares no line with what it tests: `node test/contracts/vectors.ts`.
 */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Signature, TypedDataEncoder, concat, hexlify, keccak256, toBeHex } from 'ethers'
import type { TypedDataField } from 'ethers'
import { seededRandom } from '../helpers/seeded.ts'
import { ALWAYS, REFUND_TYPES, STATEMENT_TYPES, TICKET_TYPES, commitOf, walletOf, wins } from './broker.ts'
import type { Ticket } from './broker.ts'

export const VECTORS_FILE = join(import.meta.dirname, '../fixtures/payment/vectors.json')
/** Where the first contract of anvil's first account lands on a fresh chain: a test deploys the broker there. */
const DOMAIN = { name: 'Hearth', version: '1', chainId: 31_337, verifyingContract: '0x5FbDB2315678afecb367f032d93F642f64180aa3' }
const CURVE_ORDER = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n
const MANY = 200
/** Times and counts are plain numbers in TypeScript. */
const LARGEST_SAFE = BigInt(Number.MAX_SAFE_INTEGER)

/** Whole numbers are decimal text, bytes are `0x…`. */
export interface TicketVector {
  readonly name: string
  readonly ticket: Record<keyof Ticket, string>
  readonly rand: string
  readonly digest: string
  /** The first 64 bits of keccak256(rand | digest). */
  readonly draw: string
  readonly wins: boolean
  readonly signer: string
  readonly signature: string
}
/** Signatures of the first ticket, which wins, in forms that must be refused. */
export interface BadSignature { readonly name: string, readonly signature: string }
export interface DocumentVector { readonly message: Record<string, string>, readonly digest: string, readonly signer: string, readonly signature: string }
export interface Vectors {
  readonly domain: { name: string, version: string, chainId: string, verifyingContract: string }
  readonly domainSeparator: string
  readonly typeHashes: Record<string, string>
  readonly tickets: TicketVector[]
  readonly badSignatures: BadSignature[]
  readonly refunds: DocumentVector[]
  readonly statements: DocumentVector[]
}

const texts = <K extends string>(value: Record<K, string | bigint>): Record<K, string> =>
  Object.fromEntries(Object.entries<string | bigint>(value).map(([key, field]) => [key, String(field)])) as Record<K, string>

async function ticketVector(name: string, changes: Partial<Ticket>, random: ReturnType<typeof seededRandom>): Promise<TicketVector> {
  const bytes32 = (): string => hexlify(random.bytes(32))
  const signer = walletOf(`vector payer ${random.below(4)}`)
  const rand = bytes32()
  const ticket: Ticket = {
    payer: signer.address, payee: walletOf(`vector payee ${random.below(4)}`).address, faceValue: BigInt(hexlify(random.bytes(8))), winProb: BigInt(hexlify(random.bytes(8))),
    expiry: 1_800_000_000n + BigInt(random.below(1_000_000)), commit: commitOf(rand), salt: bytes32(), context: bytes32(), ...changes
  }
  const digest = TypedDataEncoder.hash(DOMAIN, TICKET_TYPES, ticket)
  const draw = BigInt(keccak256(concat([rand, digest]))) >> 192n
  return { name, ticket: texts(ticket), rand, digest, draw: String(draw), wins: wins(digest, rand, ticket.winProb), signer: signer.address, signature: await signer.signTypedData(DOMAIN, TICKET_TYPES, ticket) }
}

/** A chance that is the draw itself is not to be had: the draw depends on it. So the nearest that was found on each side. */
async function edgeVectors(): Promise<TicketVector[]> {
  let [win, loss]: (TicketVector | undefined)[] = []
  const margin = (vector: TicketVector): bigint => BigInt(vector.ticket.winProb) - BigInt(vector.draw)
  for (let i = 0; i < MANY * 5; i++) {
    const vector = await ticketVector('nearest', {}, seededRandom(10_000 + i))
    if (vector.wins && (win === undefined || margin(vector) < margin(win))) win = vector
    if (!vector.wins && (loss === undefined || margin(vector) > margin(loss))) loss = vector
  }
  return [{ ...win!, name: 'wins narrowly' }, { ...loss!, name: 'loses narrowly' }]
}

function badSignatures(good: string): BadSignature[] {
  const { r, s, v } = Signature.from(good)
  const other = v === 27 ? 28 : 27
  const join65 = (a: string, b: string, last: number): string => concat([a, b, toBeHex(last, 1)])
  const zero = `0x${'00'.repeat(32)}`
  return [
    { name: 'high s', signature: join65(r, toBeHex(CURVE_ORDER - BigInt(s), 32), other) },
    { name: 'high s, same v', signature: join65(r, toBeHex(CURVE_ORDER - BigInt(s), 32), v) },
    { name: 'compact, 64 bytes', signature: Signature.from(good).compactSerialized },
    { name: 'recovery id for v', signature: join65(r, s, v - 27) },
    { name: 'the other v', signature: join65(r, s, other) },
    { name: 'v of 29', signature: join65(r, s, 29) },
    { name: 'r of zero', signature: join65(zero, s, v) },
    { name: 's of zero', signature: join65(r, zero, v) },
    { name: 'r above the order', signature: join65(toBeHex(CURVE_ORDER + 1n, 32), s, v) },
    { name: 'r and s swapped', signature: join65(s, r, v) },
    { name: 'a byte short', signature: good.slice(0, -2) },
    { name: 'a byte long', signature: `${good}00` },
    { name: 'empty', signature: '0x' }
  ]
}

async function documents(types: Record<string, TypedDataField[]>, messages: Record<string, string | bigint>[]): Promise<DocumentVector[]> {
  const provider = walletOf('vector provider')
  return Promise.all(messages.map(async (message) => ({
    message: texts(message), digest: TypedDataEncoder.hash(DOMAIN, types, message), signer: provider.address, signature: await provider.signTypedData(DOMAIN, types, message)
  })))
}

/** The same in every run: signatures are deterministic (RFC 6979). */
export async function vectors(): Promise<Vectors> {
  const random = seededRandom(712)
  const zero = `0x${'00'.repeat(32)}`
  const tickets = [
    await ticketVector('wins always', { winProb: ALWAYS }, random),
    await ticketVector('one chance in a hundred', { winProb: ALWAYS / 100n }, random),
    await ticketVector('one chance in 2^64', { winProb: 0n }, random),
    await ticketVector('largest numbers', { faceValue: 2n ** 128n - 1n, winProb: ALWAYS, expiry: 2n ** 64n - 1n }, random),
    await ticketVector('zero wherever it can be', { payee: `0x${'00'.repeat(20)}`, faceValue: 0n, winProb: 0n, expiry: 0n, salt: zero, context: zero }, random),
    await ticketVector('leading zeros', { faceValue: 1n, expiry: 1n, salt: toBeHex(1, 32), context: toBeHex(256, 32), payee: toBeHex(1, 20) }, random)
  ]
  for (let i = 0; i < MANY; i++) tickets.push(await ticketVector(`seeded ${i}`, {}, random))
  tickets.push(...await edgeVectors())
  const parties = { agreement: hexlify(random.bytes(32)), provider: walletOf('vector provider').address, requester: walletOf('vector requester').address }
  const typeHash = (types: Record<string, TypedDataField[]>): string => keccak256(new TextEncoder().encode(TypedDataEncoder.from(types).encodeType(Object.keys(types)[0]!)))
  return {
    domain: texts({ ...DOMAIN, chainId: BigInt(DOMAIN.chainId) }),
    domainSeparator: TypedDataEncoder.hashDomain(DOMAIN),
    typeHashes: { Ticket: typeHash(TICKET_TYPES), Refund: typeHash(REFUND_TYPES), Statement: typeHash(STATEMENT_TYPES) },
    tickets,
    badSignatures: badSignatures(tickets[0]!.signature),
    refunds: await documents(REFUND_TYPES, [{ ...parties, amount: 12_345n, expiry: 1_800_000_000n }, { ...parties, amount: 2n ** 128n - 1n, expiry: LARGEST_SAFE }]),
    statements: await documents(STATEMENT_TYPES, [{ ...parties, sequence: 0n, paid: 0n }, { ...parties, sequence: LARGEST_SAFE, paid: 2n ** 128n - 1n }])
  }
}

export function vectorsText(value: Vectors): string {
  const { tickets, badSignatures, refunds, statements, ...head } = value
  const list = (rows: readonly object[]): string => `[\n    ${rows.map((row) => JSON.stringify(row)).join(',\n    ')}\n  ]`
  return `${JSON.stringify(head, undefined, 2).slice(0, -2)},\n  "tickets": ${list(tickets)},\n  "badSignatures": ${list(badSignatures)},\n  "refunds": ${list(refunds)},\n  "statements": ${list(statements)}\n}\n`
}

if (import.meta.main) writeFileSync(VECTORS_FILE, vectorsText(await vectors()))

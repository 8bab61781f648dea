/** The shared vectors: what ethers says of them, the contract and the house's own hashing say too. */
import { readFileSync } from 'node:fs'
import { dataLength, dataSlice } from 'ethers'
import { keccak_256 } from '@noble/hashes/sha3.js'
import { sha256 } from '@noble/hashes/sha2.js'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { domainSeparator, typedDigest } from '../../src/codec/eip712.ts'
import type { FieldType, StructType } from '../../src/codec/eip712.ts'
import { toHex } from '../../src/codec/hasher.ts'
import { REFUSALS } from '../../src/contracts/index.ts'
import { onChain } from './anvil.ts'
import type { Chain } from './anvil.ts'
import { DAY, REFUND_TYPES, STATEMENT_TYPES, TICKET_TYPES, deployNative } from './broker.ts'
import type { Broker } from './broker.ts'
import { VECTORS_FILE, vectors, vectorsText } from './vectors.ts'
import type { TicketVector, Vectors } from './vectors.ts'

const file = readFileSync(VECTORS_FILE, 'utf8')
const known = JSON.parse(file) as Vectors
const hasher = { sha256, keccak256: keccak_256 }
const struct = (name: string, types: Record<string, { name: string, type: string }[]>): StructType => ({ name, fields: types[name]!.map((field) => [field.name, field.type as FieldType]) })

let chain: Chain
let broker: Broker
onChain(test, async (started) => {
  chain = started
  // The longest delay, so that no ticket is too far ahead.
  broker = await deployNative(chain, { delay: 90 * DAY })
}, { chainId: Number(known.domain.chainId) })

test('the file is what the generator makes', async () => {
  assert.ok(vectorsText(await vectors()) === file, 'run node test/contracts/vectors.ts, and say why the vectors changed')
})

test('the vectors hold winners and losers, and both sides of a narrow draw', () => {
  const won = known.tickets.filter((vector) => vector.wins).length
  assert.ok(won > 50 && known.tickets.length - won > 50)
  for (const vector of known.tickets) assert.is(vector.wins, BigInt(vector.draw) <= BigInt(vector.ticket.winProb), vector.name)
})

test('the contract agrees on domain, types, and every digest and draw', async () => {
  assert.is(broker.address, known.domain.verifyingContract)
  assert.is((await broker.read('domainSeparator'))[0], known.domainSeparator)
  for (const name of ['Ticket', 'Refund', 'Statement']) assert.is((await broker.read(`${name.toUpperCase()}_TYPEHASH`))[0], known.typeHashes[name])
  for (const { name, ticket, rand, digest, wins } of known.tickets) {
    assert.is((await broker.read('hashTicket', [ticket]))[0], digest, name)
    assert.is((await broker.read('wins', [digest, rand, ticket.winProb]))[0], wins, name)
  }
  for (const { message, digest } of known.refunds) assert.is((await broker.read('hashRefund', [message]))[0], digest)
  for (const { message, digest } of known.statements) assert.is((await broker.read('hashStatement', [message]))[0], digest)
})

test('the contract takes the signature of each ticket, and none of the wrong forms', async () => {
  const id = await chain.snapshot()
  const check = async ({ ticket, rand }: TicketVector, signature: string): Promise<string> => {
    const { commit: _, ...rest } = ticket
    const winner = { ...rest, rand, r: dataSlice(signature, 0, 32), s: dataSlice(signature, 32, 64), v: dataSlice(signature, 64) }
    return REFUSALS[Number((await broker.read('check', [winner]))[1])]!
  }
  await chain.setNextTime(1_799_999_000)
  await chain.mine()
  // Nobody has a deposit here: a ticket that is good but for that is refused for that.
  for (const vector of known.tickets.filter(({ name, wins }) => wins && /^(seeded|wins)/.test(name))) {
    assert.is(await check(vector, vector.signature), 'underfunded', vector.name)
  }
  const [first] = known.tickets
  const whole = known.badSignatures.filter(({ signature }) => dataLength(signature) === 65)
  assert.ok(whole.length > 8)
  for (const { name, signature } of whole) assert.is(await check(first!, signature), 'wrongSignature', name)
  await chain.revert(id)
})

test('the house agrees on domain and digests', () => {
  const separator = domainSeparator(hasher, { ...known.domain, chainId: BigInt(known.domain.chainId) })
  assert.is(toHex(separator), known.domainSeparator)
  const numbers = (type: StructType, message: Readonly<Record<string, string>>): Record<string, string | bigint> =>
    Object.fromEntries(type.fields.map(([name, kind]) => [name, kind.startsWith('uint') ? BigInt(message[name]!) : message[name]!]))
  const check = (type: StructType, message: Readonly<Record<string, string>>, digest: string): void => { assert.is(toHex(typedDigest(hasher, separator, type, numbers(type, message))), digest) }
  for (const { ticket, digest } of known.tickets) check(struct('Ticket', TICKET_TYPES), ticket, digest)
  for (const { message, digest } of known.refunds) check(struct('Refund', REFUND_TYPES), message, digest)
  for (const { message, digest } of known.statements) check(struct('Statement', STATEMENT_TYPES), message, digest)
})

test.run()

/**
 * Gas of each call, against the figures in gas.json. A call that takes more than its figure fails; one that takes less does
 * too, so that the file tells the truth. `HEARTH_GAS=write` writes the figures anew.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Interface, concat } from 'ethers'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { BUCKET } from '../../src/contracts/index.ts'
import { seededRandom } from '../helpers/seeded.ts'
import { attackers } from './attackers.ts'
import { onChain } from './anvil.ts'
import type { Chain, Receipt } from './anvil.ts'
import { At, DAY, REFUND_TYPES, STATEMENT_TYPES, TERMS, TICKET_TYPES, deployNative, deployToken, opened, ticketOf, walletOf } from './broker.ts'
import type { Broker, Ticket, Winner } from './broker.ts'

const FILE = join(import.meta.dirname, 'gas.json')
const README = join(import.meta.dirname, '../../src/contracts/README.md')
/** 10^15 wei is what a face value looks like: its bytes are calldata. */
const FACE_VALUE = 10n ** 15n
const FUNDS = 10n ** 18n
/** Zero bytes of random fields are cheaper calldata, and random numbers have more or fewer: this much is noise. */
const NOISE = 0.002
/** What the project promises, a ticket. */
const TARGETS: Record<string, number> = {
  'native: redeem, payee credited before': 75_000,
  'native: redeem, payee with a job bond and no credit yet': 75_000,
  'native: redeemBatch of 8, one payer, a ticket': 42_000,
  'native: redeemBatch of 8, eight payers, a ticket': 42_000,
  'token with fee: redeemBatch of 8, eight payers, a ticket': 55_000
}
const EIGHT = [0, 1, 2, 3, 4, 5, 6, 7]
const payers = EIGHT.map((i) => walletOf(`payer ${i}`))
const host = walletOf('host')
const owner = payers[0]!

let chain: Chain
let anyone: string
const measured: Record<string, number> = {}

onChain(test, async (started) => {
  chain = started
  anyone = chain.accounts[1]!
  for (const { address } of [...payers, host]) await chain.setBalance(address, 10n ** 22n)
})

async function note(name: string, receipt: Promise<Receipt>, tickets = 1): Promise<void> {
  measured[name] = Math.round(Number((await receipt).gasUsed) / tickets)
}

async function measure(prefix: string, broker: Broker, native: boolean): Promise<void> {
  const random = seededRandom(7)
  const value = (amount: bigint): bigint => native ? amount : 0n
  const winner = (i: number, changes: Partial<Ticket> = {}): Promise<Winner> => broker.winner(payers[i % 8]!, host.address, random, { faceValue: FACE_VALUE, ...changes })
  const batch = async (ofPayer: (i: number) => number): Promise<Winner[]> => {
    const winners: Winner[] = []
    for (const i of EIGHT) winners.push(await winner(ofPayer(i)))
    return winners
  }
  const say = (name: string, receipt: Promise<Receipt>, tickets?: number): Promise<void> => note(`${prefix}: ${name}`, receipt, tickets)

  await say('fund, new payer', broker.send(owner.address, 'fund', [owner.address, FUNDS], value(FUNDS)))
  await say('fund again', broker.send(owner.address, 'fund', [owner.address, FUNDS], value(FUNDS)))
  for (const { address } of payers.slice(1)) await broker.send(address, 'fund', [address, FUNDS], value(FUNDS))
  await say('addBond', broker.send(owner.address, 'addBond', [owner.address, FUNDS], value(FUNDS)))
  const id = await chain.snapshot()
  await say('redeem, payee never credited', broker.redeem(anyone, await winner(0)))
  await chain.revert(id)
  await say('addJobBond', broker.send(host.address, 'addJobBond', [host.address, FUNDS], value(FUNDS)))
  await say('redeem, payee with a job bond and no credit yet', broker.redeem(anyone, await winner(0)))
  await say('redeem, payee credited before', broker.redeem(anyone, await winner(0)))
  await say('addSigner', broker.send(owner.address, 'addSigner', [payers[1]!.address]))
  const byKey = ticketOf(await winner(0))
  const { rand } = await winner(0)
  const signed = { ...byKey, commit: ticketOf({ ...await winner(0), rand }).commit }
  await say('redeem, signed by a hot key', broker.redeem(anyone, opened(signed, rand, await payers[1]!.signTypedData(broker.domain, TICKET_TYPES, signed))))
  await say('revokeSigner', broker.send(owner.address, 'revokeSigner', [payers[1]!.address]))
  await say('redeemBatch of 8, one payer, a ticket', broker.send(anyone, 'redeemBatch', [await batch(() => 0)]), 8)
  await say('redeemBatch of 8, eight payers, a ticket', broker.send(anyone, 'redeemBatch', [await batch((i) => i)]), 8)
  const again = await batch((i) => i)
  await broker.send(anyone, 'redeemBatch', [again])
  await say('redeemBatch of 8, all used, a ticket', broker.send(anyone, 'redeemBatch', [again]), 8)
  await say('payout', broker.send(host.address, 'payout', [host.address]))
  await broker.redeem(anyone, await winner(0))
  await say('payoutFor', broker.send(anyone, 'payoutFor', [host.address]))
  await say('redeem, payee paid out before', broker.redeem(anyone, await winner(0)))
  await say('requestUnlock', broker.send(owner.address, 'requestUnlock', [BUCKET.deposit, 1000n]))
  await say('cancelUnlock', broker.send(owner.address, 'cancelUnlock', [BUCKET.deposit]))
  await broker.send(owner.address, 'requestUnlock', [BUCKET.deposit, 1000n])
  await chain.increaseTime(TERMS.delay + 1)
  await say('withdraw', broker.send(owner.address, 'withdraw', [BUCKET.deposit, owner.address]))
  const big = await winner(0, { faceValue: 100n * FUNDS })
  await say('noticeDefault', broker.send(host.address, 'noticeDefault', [big]))
  await chain.increaseTime(TERMS.grace + 1)
  await say('claimDefault, short', broker.send(host.address, 'claimDefault', [ticketOf(big)]))
  const parties = { agreement: `0x${'a1'.repeat(32)}`, provider: host.address, requester: owner.address }
  const refund = { ...parties, amount: FACE_VALUE, expiry: BigInt(await chain.now() + DAY) }
  const statement = { ...parties, sequence: 3n, paid: 2n * FACE_VALUE }
  await say('claimRefund', broker.send(owner.address, 'claimRefund', [refund, await host.signTypedData(broker.domain, REFUND_TYPES, refund), statement, await host.signTypedData(broker.domain, STATEMENT_TYPES, statement)]))
  await chain.increaseTime(TERMS.delay + 1)
  await say('collectRefund', broker.send(anyone, 'collectRefund', [parties.agreement, host.address, owner.address]))
}

test('gas of each call of the native broker, without a fee', async () => {
  await measure('native', await deployNative(chain), true)
})

test('gas of each call of the token broker, with a fee', async () => {
  const artifact = attackers('PlainToken')['PlainToken']!
  const token = new At(chain, (await chain.deploy(anyone, artifact.bytecode)).address, artifact.abi)
  const broker = await deployToken(chain, token.address, { feeBps: 250, feeRecipient: walletOf('collector').address })
  for (const { address } of [...payers, host]) {
    await token.send(anyone, 'mint', [address, 10n ** 22n])
    await token.send(address, 'approve', [broker.address, 2n ** 256n - 1n])
  }
  await measure('token with fee', broker, false)
})

test('a redemption takes no more gas than was promised', () => {
  const above = Object.entries(TARGETS).flatMap(([name, most]) => (measured[name] ?? Infinity) <= most ? [] : [`${name}: ${measured[name]} of ${most}`])
  assert.equal(above, [])
})

test('no call takes other gas than the file says', () => {
  if (process.env['HEARTH_GAS'] === 'write') writeFileSync(FILE, `${JSON.stringify(measured, undefined, 2)}\n`)
  assert.ok(existsSync(FILE), 'no figures: run with HEARTH_GAS=write')
  const known = JSON.parse(readFileSync(FILE, 'utf8')) as Record<string, number>
  const changed = [...new Set([...Object.keys(known), ...Object.keys(measured)])].flatMap((name) => {
    const [was, is] = [known[name], measured[name]]
    return was !== undefined && is !== undefined && Math.abs(is - was) <= was * NOISE ? [] : [`${name}: ${was} in the file, ${is} now`]
  })
  assert.equal(changed, [])
})

test('the table for readers says what the file says', () => {
  const known = JSON.parse(readFileSync(FILE, 'utf8')) as Record<string, number>
  const rows = [...readFileSync(README, 'utf8').matchAll(/^\| (.+) \| (\d+) \| (\d+) \|$/gm)]
  assert.ok(rows.length > 4)
  for (const [, call, coin, token] of rows) assert.equal([Number(coin), Number(token)], [known[`native: ${call}`], known[`token with fee: ${call}`]], call)
})

test('with any amount of gas a batch of the deployed code pays what it uses up', async () => {
  const artifact = attackers('Starver')['Starver']!
  const starver = new At(chain, (await chain.deploy(anyone, concat([artifact.bytecode, new Interface(artifact.abi).encodeDeploy([])]))).address, artifact.abi)
  const broker = await deployNative(chain)
  const random = seededRandom(8)
  await broker.send(anyone, 'fund', [owner.address, FUNDS], FUNDS)
  const winners = [await broker.winner(owner, host.address, random), await broker.winner(owner, host.address, random)]
  const digests = await Promise.all(winners.map(async (winner) => String((await broker.read('hashTicket', [ticketOf(winner)]))[0])))
  const [probes, through, burned] = (await starver.read('sweep', [broker.address, broker.encode('redeemBatch', [winners]), digests, host.address, 1000n, 1000n, 120_000n, 37n])).map(Number)
  assert.ok(through! > 100 && probes! - through! > 1000, `${through} of ${probes} went through`)
  assert.is(burned, 0)
})

test.run()

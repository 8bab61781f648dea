/**
 * Seeded sequences of calls of many accounts, each compared with the model: how it ended, and all state after it. One
 * transaction drives many calls through `Driver`, so 20,000 calls take seconds. `HEARTH_SEED` replays another seed.
 */
import { Interface, concat } from 'ethers'
import type { Wallet } from 'ethers'
import secp256k1 from 'secp256k1'
import { keccak_256 } from '@noble/hashes/sha3.js'
import { sha256 } from '@noble/hashes/sha2.js'
import { hexToBytes } from '@noble/hashes/utils.js'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { domainSeparator, typedDigest } from '../../src/codec/eip712.ts'
import type { FieldType, StructType } from '../../src/codec/eip712.ts'
import { toHex } from '../../src/codec/hasher.ts'
import { BUCKET, REFUSALS } from '../../src/contracts/index.ts'
import { seededRandom } from '../helpers/seeded.ts'
import type { SeededRandom } from '../helpers/seeded.ts'
import { attackers, planted } from './attackers.ts'
import { onChain } from './anvil.ts'
import type { Chain } from './anvil.ts'
import { ALWAYS, At, REFUND_TYPES, STATEMENT_TYPES, TICKET_TYPES, ZERO_ADDRESS, coder, commitOf, randomBytes32, walletOf, wins } from './broker.ts'
import { Model } from './model.ts'
import type { BucketName, ModelRefund, ModelTerms, ModelTicket, Op } from './model.ts'

const SEED = Number(process.env['HEARTH_SEED'] ?? 20_261_120)
const STEPS = 10_080
const STEPS_A_TRANSACTION = 24
/** Short, so that unlocks, graces and lives end within a run. */
const TERMS = { delay: 1000, grace: 200 }
/** Tickets and refunds that calls are made of; old ones give way. */
const POOL = 60
const hasher = { sha256, keccak256: keccak_256 }
const struct = (name: string, types: Record<string, { name: string, type: string }[]>): StructType => ({ name, fields: types[name]!.map((field) => [field.name, field.type as FieldType]) })
const TICKET = struct('Ticket', TICKET_TYPES)
const REFUND = struct('Refund', REFUND_TYPES)
const STATEMENT = struct('Statement', STATEMENT_TYPES)
const parts = attackers('Actor', 'Driver', 'SlashableNativeBroker', 'SlashableTokenBroker', 'PlainToken')

interface Step { actor: string, op: Op, data: string, value: bigint }
interface Made { ticket: ModelTicket, winner: unknown[], plain: unknown[] }
interface MadeRefund { refund: ModelRefund, call: unknown[] }

const wallets = Array.from({ length: 6 }, (_, i) => walletOf(`actor ${i}`))
const actors = wallets.map((wallet) => wallet.address)
const keys = Array.from({ length: 3 }, (_, i) => walletOf(`hot key ${i}`))

function sign(wallet: Wallet, digest: Uint8Array): { r: string, s: string, v: number, bytes: string } {
  const { signature, recid } = secp256k1.ecdsaSign(digest, hexToBytes(wallet.privateKey.slice(2)))
  const hex = Buffer.from(signature).toString('hex')
  return { r: `0x${hex.slice(0, 64)}`, s: `0x${hex.slice(64)}`, v: recid + 27, bytes: `0x${hex}${(recid + 27).toString(16)}` }
}

/** Makes calls that are mostly sensible, against the model's state, so that they often succeed, and often just not. */
class Maker {
  readonly #random: SeededRandom
  readonly #model: Model
  readonly #broker: At
  readonly #separator: Uint8Array
  readonly #others: string[]
  readonly #tickets: Made[] = []
  readonly #noticed: Made[] = []
  readonly #refunds: MadeRefund[] = []

  constructor(random: SeededRandom, model: Model, broker: At, others: string[]) {
    this.#random = random
    this.#model = model
    this.#broker = broker
    this.#others = others
    this.#separator = domainSeparator(hasher, { name: 'Hearth', version: '1', chainId: BigInt(broker.chain.chainId), verifyingContract: broker.address })
  }

  pick<T>(from: readonly T[]): T { return from[this.#random.below(from.length)]! }
  chance(percent: number): boolean { return this.#random.below(100) < percent }

  step(): Step {
    const op = this.pick(this.#kinds)()
    const actor = op.by ?? this.pick(actors)
    return { actor, op: op.op, data: this.#broker.encode(op.name, op.args), value: op.op.kind === 'add' ? op.op.value : 0n }
  }

  readonly #kinds: (() => { op: Op, name: string, args: unknown[], by?: string })[] = [
    () => this.#add(), () => this.#add(), () => this.#add(), () => this.#unlock(), () => this.#unlock(), () => this.#withdraw(), () => this.#withdraw(),
    () => this.#payout(), () => this.#signer(), () => this.#redeem(), () => this.#redeem(), () => this.#redeem(), () => this.#redeem(), () => this.#batch(),
    () => this.#batch(), () => this.#default(), () => this.#default(), () => this.#default(), () => this.#refund(), () => this.#refund(), () => this.#slash()
  ]

  #amount(around: bigint): bigint {
    if (this.chance(5)) return 0n
    return this.chance(15) ? around + 1n : this.chance(30) ? around : BigInt(this.#random.below(2000))
  }

  #bucket(): BucketName { return this.pick(['deposit', 'deposit', 'bond', 'jobBond'] as const) }
  #to(): string { return this.chance(5) ? this.pick(this.#others) : this.pick(actors) }

  #add(): { op: Op, name: string, args: unknown[] } {
    const bucket = this.#bucket()
    const amount = this.#amount(BigInt(this.#random.below(10_000)))
    const account = this.chance(2) ? ZERO_ADDRESS : this.pick(actors)
    const value = this.#model.terms.native !== this.chance(3) ? amount : 0n
    return { op: { kind: 'add', bucket, account, amount, value }, name: { deposit: 'fund', bond: 'addBond', jobBond: 'addJobBond' }[bucket], args: [account, amount] }
  }

  #unlock(): { op: Op, name: string, args: unknown[], by: string } {
    const bucket = this.#bucket()
    const by = this.pick(actors)
    if (this.chance(15)) return { op: { kind: 'cancelUnlock', bucket }, name: 'cancelUnlock', args: [BUCKET[bucket]], by }
    const amount = this.#amount(this.#model.account(by)[bucket])
    return { op: { kind: 'requestUnlock', bucket, amount }, name: 'requestUnlock', args: [BUCKET[bucket], amount], by }
  }

  #withdraw(): { op: Op, name: string, args: unknown[] } {
    const [bucket, to] = [this.#bucket(), this.#to()]
    return { op: { kind: 'withdraw', bucket, to }, name: 'withdraw', args: [BUCKET[bucket], to] }
  }

  #payout(): { op: Op, name: string, args: unknown[] } {
    const to = this.#to()
    if (this.chance(30)) return { op: { kind: 'payoutFor', account: to }, name: 'payoutFor', args: [to] }
    return { op: { kind: 'payout', to }, name: 'payout', args: [to] }
  }

  #signer(): { op: Op, name: string, args: unknown[] } {
    const signer = this.chance(2) ? ZERO_ADDRESS : this.chance(40) ? this.pick(actors) : this.pick(keys).address
    const kind = this.chance(60) ? 'addSigner' : 'revokeSigner'
    return { op: { kind, signer }, name: kind, args: [signer] }
  }

  /** A new ticket, or one of before, or one of before with a field changed. */
  #ticket(): Made {
    if (this.#tickets.length > 0 && this.chance(45)) {
      const old = this.pick(this.#tickets)
      if (!this.chance(8)) return old
      const [winner, faceValue] = [[...old.winner], BigInt(this.#random.below(3000))]
      winner[2] = faceValue
      return this.#made(winner, old.ticket.faceValue === faceValue ? old.ticket.signer : undefined)
    }
    const payer = this.#random.below(actors.length)
    const deposit = this.#model.account(actors[payer]!).deposit
    const faceValue = this.chance(10) ? deposit : this.chance(10) ? deposit + 1n : this.chance(2) ? 0n : BigInt(this.#random.below(3000))
    const expiry = this.chance(3) ? 0 : this.#model.now - 100 + this.#random.below(this.chance(90) ? 1100 : 1300)
    const wallet = this.chance(80) ? wallets[payer]! : this.pick([...keys, ...wallets])
    const rand = randomBytes32(this.#random)
    const winner: unknown[] = [actors[payer], this.pick(actors), faceValue, this.chance(80) ? ALWAYS : ALWAYS / 2n, expiry, rand, randomBytes32(this.#random), randomBytes32(this.#random)]
    const { r, s, v } = sign(wallet, this.#ticketDigest(winner))
    const made = this.#made([...winner, r, s, v], wallet.address)
    this.#tickets.push(made)
    if (this.#tickets.length > POOL) this.#tickets.splice(this.#random.below(POOL), 1)
    return made
  }

  #ticketDigest(winner: unknown[]): Uint8Array {
    const [payer, payee, faceValue, winProb, expiry, rand, salt, context] = winner as [string, string, bigint, bigint, number, string, string, string]
    return typedDigest(hasher, this.#separator, TICKET, { payer, payee, faceValue, winProb, expiry, commit: commitOf(rand), salt, context })
  }

  #made(winner: unknown[], signer: string | undefined): Made {
    const [payer, payee, faceValue, winProb, expiry, rand, salt, context] = winner as [string, string, bigint, bigint, number, string, string, string]
    const digest = toHex(this.#ticketDigest(winner))
    return { winner, plain: [payer, payee, faceValue, winProb, expiry, commitOf(rand), salt, context], ticket: { digest, payer, payee, faceValue, expiry, wins: wins(digest, rand, winProb), signer } }
  }

  #redeem(): { op: Op, name: string, args: unknown[] } {
    const { ticket, winner } = this.#ticket()
    return { op: { kind: 'redeem', ticket }, name: 'redeem', args: [winner] }
  }

  #batch(): { op: Op, name: string, args: unknown[] } {
    const made = Array.from({ length: this.#random.below(6) }, () => this.#ticket())
    return { op: { kind: 'redeemBatch', tickets: made.map(({ ticket }) => ticket) }, name: 'redeemBatch', args: [made.map(({ winner }) => winner)] }
  }

  #default(): { op: Op, name: string, args: unknown[], by: string } {
    const claims = this.chance(50)
    // Claims come long after their notices, when the pool has moved on.
    const made = claims && this.#noticed.length > 0 && this.chance(80) ? this.pick(this.#noticed) : this.#ticket()
    const { ticket, winner, plain } = made
    const by = this.chance(80) ? ticket.payee : this.pick(actors)
    if (!claims) {
      this.#noticed.push(made)
      if (this.#noticed.length > POOL) this.#noticed.splice(this.#random.below(POOL), 1)
    }
    if (!claims) return { op: { kind: 'noticeDefault', ticket }, name: 'noticeDefault', args: [winner], by }
    return { op: { kind: 'claimDefault', ticket }, name: 'claimDefault', args: [plain], by }
  }

  #refund(): { op: Op, name: string, args: unknown[], by?: string } {
    if (this.#refunds.length > 0 && this.chance(60)) {
      const { refund, call } = this.pick(this.#refunds)
      const { agreement, provider, requester } = refund
      if (this.chance(70)) return { op: { kind: 'collectRefund', agreement, provider, requester }, name: 'collectRefund', args: [agreement, provider, requester] }
      return { op: { kind: 'claimRefund', refund }, name: 'claimRefund', args: call, by: requester }
    }
    const who = this.#random.below(wallets.length)
    const requester = this.pick(actors)
    const parties = { agreement: `0x${String(this.#random.below(4)).repeat(64)}`, provider: actors[who]!, requester }
    const refund = { ...parties, amount: BigInt(this.#random.below(1500)), expiry: this.#model.now - 50 + this.#random.below(3000) }
    const statement = { ...parties, sequence: this.#random.below(9), paid: this.chance(90) ? 1500n : BigInt(this.#random.below(1500)) }
    if (this.chance(3)) statement.requester = this.pick(actors)
    const [wallet, other] = [0, 1].map(() => this.chance(92) ? wallets[who]! : this.pick(keys)) as [Wallet, Wallet]
    const call = [refund, sign(wallet, typedDigest(hasher, this.#separator, REFUND, refund)).bytes, statement, sign(other, typedDigest(hasher, this.#separator, STATEMENT, statement)).bytes]
    const made = { refund: { ...refund, paid: statement.paid, mismatch: statement.requester !== requester, signer: wallet.address, statementSigner: other.address }, call }
    this.#refunds.push(made)
    if (this.#refunds.length > POOL) this.#refunds.splice(this.#random.below(POOL), 1)
    return { op: { kind: 'claimRefund', refund: made.refund }, name: 'claimRefund', args: call, by: this.chance(97) ? requester : this.pick(actors) }
  }

  #slash(): { op: Op, name: string, args: unknown[] } {
    const [provider, beneficiary] = [this.pick(actors), this.pick(actors)]
    const amount = this.#amount(BigInt(this.#random.below(1000)))
    return { op: { kind: 'slash', provider, amount, beneficiary }, name: 'slash', args: [provider, amount, beneficiary] }
  }
}

let chain: Chain
onChain(test, async (started) => {
  chain = started
}, { args: ['--prune-history', '64'] })

async function deploy(name: string, args: unknown[] = [], bytecode = parts[name]!.bytecode): Promise<At> {
  const abi = new Interface(parts[name]!.abi)
  return new At(chain, (await chain.deploy(chain.accounts[0]!, concat([bytecode, abi.encodeDeploy(args)]))).address, abi)
}

/** What the contract said, in the model's words. */
function outcome(broker: At, name: string, ok: boolean, result: string): string {
  if (!ok) {
    const parsed = broker.abi.parseError(result)
    if (parsed === null) return `unknown error ${result}`
    if (parsed.name === 'TicketRefused') return `TicketRefused(${REFUSALS[Number(parsed.args[1])]})`
    return parsed.args.length === 0 ? parsed.name : `${parsed.name}(${parsed.args.join(', ')})`
  }
  return ['ok', ...broker.abi.decodeFunctionResult(name, result)].join(' ')
}

/** One run. Returns how often each outcome was seen. */
async function fuzz(native: boolean, feeBps: number, seed: number, wrong: { plant?: (model: Model) => void, broker?: string } = {}): Promise<Map<string, number>> {
  const feeRecipient = feeBps === 0 ? ZERO_ADDRESS : walletOf('collector').address
  const terms: ModelTerms = { ...TERMS, feeBps, feeRecipient, native }
  const deployed = { ...TERMS, feeBps, feeRecipient }
  const token = native ? undefined : await deploy('PlainToken')
  const broker = await (token === undefined ? deploy('SlashableNativeBroker', [deployed], wrong.broker) : deploy('SlashableTokenBroker', [token.address, deployed]))
  const driver = await deploy('Driver')
  const actorCode = await chain.rpc<string>('eth_getCode', [(await deploy('Actor')).address, 'latest'])
  for (const actor of actors) {
    await chain.setBalance(actor, 10n ** 24n)
    await token?.send(chain.accounts[0]!, 'mint', [actor, 10n ** 24n])
    await token?.send(actor, 'approve', [broker.address, 2n ** 256n - 1n])
  }
  // Accounts that sign with their keys and still do what Driver says.
  for (const actor of actors) await chain.setCode(actor, actorCode)
  const model = new Model(terms)
  model.refusers.add(driver.address)
  const watched = [...actors, walletOf('collector').address]
  const random = seededRandom(seed)
  const maker = new Maker(random, model, broker, [driver.address, ZERO_ADDRESS])
  const seen = new Map<string, number>()
  model.now = await chain.now()
  for (let done = 0; done < STEPS; done += STEPS_A_TRANSACTION) {
    model.now += 1 + random.below(90)
    const expected: { step: Step, outcome: string, state: string }[] = []
    for (let i = 0; i < STEPS_A_TRANSACTION; i++) {
      const step = maker.step()
      const said = model.apply(step.actor, step.op)
      wrong.plant?.(model)
      assert.ok(model.conserved(), `the model lost money: ${JSON.stringify(step.op, (_, value: unknown) => typeof value === 'bigint' ? String(value) : value)}`)
      expected.push({ step, outcome: said, state: toHex(keccak_256(model.state(watched))) })
      const byKey = said === 'ok' && 'ticket' in step.op && step.op.kind !== 'redeem' && step.actor !== step.op.ticket.payee
      const kind = `${byKey ? 'by a key: ' : ''}${step.op.kind}: ${said.replace(/(?<!TicketRefused)\(.*\)$|(?<=^ok).*/, '')}`
      seen.set(kind, (seen.get(kind) ?? 0) + 1)
    }
    await chain.setNextTime(model.now)
    const receipt = await driver.send(chain.accounts[0]!, 'run', [broker.address, watched, expected.map(({ step }) => [step.actor, step.value, step.data])])
    const events = driver.events(receipt)
    assert.is(events.length, expected.length)
    events.forEach(({ args }, i) => {
      const { step, outcome: said, state } = expected[i]!
      const where = `seed ${seed}, ${native ? 'coin' : 'token'}, call ${done + i}: ${step.op.kind} by ${step.actor}`
      assert.is(outcome(broker, broker.abi.parseTransaction(step)!.name, Boolean(args[0]), String(args[1])), said, where)
      assert.is(args[2], state, `${where}: the state differs after "${said}"`)
    })
  }
  return seen
}

/** Every way in which a call can end must have been seen, or the run shows less than it seems to. */
const MUST_BE_SEEN = [
  'add: ok', 'add: ZeroAmount', 'add: ZeroAddress', 'add: WrongValue', 'requestUnlock: ok', 'requestUnlock: UnlockPending', 'requestUnlock: Insufficient', 'requestUnlock: ZeroAmount',
  'cancelUnlock: ok', 'cancelUnlock: NoUnlock', 'withdraw: ok', 'withdraw: Locked', 'withdraw: NoUnlock', 'withdraw: ClaimsOpen', 'withdraw: ZeroAddress', 'withdraw: Insufficient', 'payout: ok', 'payout: ZeroAmount', 'payoutFor: ok', 'payoutFor: ZeroAmount',
  'addSigner: ok', 'revokeSigner: ok', 'revokeSigner: UnknownSigner', 'redeem: ok', ...REFUSALS.slice(1).map((reason) => `redeem: TicketRefused(${reason})`), 'redeemBatch: ok',
  'by a key: noticeDefault: ok', 'by a key: claimDefault: ok', 'noticeDefault: ok', 'noticeDefault: Covered', 'noticeDefault: NotPayee', 'noticeDefault: AlreadyNoticed', 'claimDefault: ok', 'claimDefault: NoNotice', 'claimDefault: GraceRuns', 'claimDefault: ClaimLapsed', 'claimDefault: NotPayee',
  'claimRefund: ok', 'claimRefund: NothingDue', 'claimRefund: NotRequester', 'claimRefund: RefundExpired', 'claimRefund: StatementMismatch', 'claimRefund: AboveAcknowledged', 'claimRefund: WrongRefundSignature', 'claimRefund: WrongStatementSignature', 'claimRefund: Insufficient',
  'collectRefund: ok', 'collectRefund: Locked', 'collectRefund: NothingDue', 'slash: ok', 'slash: Insufficient'
]

for (const [name, native, feeBps] of [['the coin, without a fee', true, 0], ['a token, with a fee', false, 250]] as const) {
  test(`${STEPS} calls: the broker of ${name} does what the model says, and money is conserved after each`, async () => {
    console.log(`seed ${SEED}`)
    const seen = await fuzz(native, feeBps, SEED + feeBps)
    assert.equal(MUST_BE_SEEN.filter((kind) => !seen.has(kind)), [], JSON.stringify(Object.fromEntries(seen)))
    if (native) assert.ok(seen.has('withdraw: TransferFailed') || seen.has('payout: TransferFailed'))
  })
}

test('a wei in the wrong bucket, or a defect of the contract in a rare turn, is found out', async () => {
  let calls = 0
  const off = await fuzz(true, 0, SEED, {
    plant(model) {
      const donor = ++calls === 500 ? actors.find((actor) => model.account(actor).deposit > 0n) : undefined
      if (donor === undefined) return
      model.account(donor).deposit -= 1n
      model.account(donor).credit += 1n
    }
  }).then(() => 'passed', String)
  assert.match(off, /call 499: .*the state differs/)
  const wrong = planted({ wrong: [{ file: 'Tickets.sol', find: 'block.timestamp > payer.heldUntil ? 1 : payer.openClaims + 1', put: 'payer.openClaims + 1' }] }, 'SlashableNativeBroker')['wrong']!
  assert.match(await fuzz(true, 0, SEED, { broker: wrong.bytecode }).then(() => 'passed', String), /noticeDefault by .*the state differs after "ok"/)
})

test('the words of the model are those of the ABI', () => {
  const model = new Model({ ...TERMS, feeBps: 0, feeRecipient: ZERO_ADDRESS, native: true })
  model.burned = 2n ** 100n + 5n
  model.account(actors[0]!).heldUntil = 1_800_000_000
  const words = [0, 2n ** 100n + 5n, 0, 0, 0, 0, 0, 1_800_000_000, 0, 0, 0, 0, 0, 0, 0]
  assert.is(toHex(model.state([actors[0]!])), coder.encode(words.map(() => 'uint256'), words))
})

test.run()

import type { Hasher } from '../codec/hasher.ts'
import { toHex } from '../codec/hasher.ts'
import type { Account, PayerFunds } from '../documents/account.ts'
import { commitOf, isWin, TicketHasher } from '../documents/ticket.ts'
import type { Ticket } from '../documents/ticket.ts'

/** The rules of `src/contracts`, as far as a simulated world uses them: the same buckets, delays, marks and refusals, without gas. */
export type Bucket = 'deposit' | 'bond' | 'jobBond'

interface Unlock { amountWei: bigint, lockedUntilSec: number }

export interface Balance {
  /** Outside the contract. */
  walletWei: bigint
  depositWei: bigint
  bondWei: bigint
  jobBondWei: bigint
  creditWei: bigint
  unlocks: Partial<Record<Bucket, Unlock>>
  /** Until the end of this second deposit and bond stay, while claims are open. */
  heldUntilSec: number
  openClaims: number
}

export type Transaction =
  | { kind: 'add', from: string, bucket: Bucket, amountWei: bigint }
  | { kind: 'request-unlock', from: string, bucket: Bucket, amountWei: bigint }
  | { kind: 'withdraw', from: string, bucket: Bucket }
  | { kind: 'payout', from: string }
  | { kind: 'redeem' | 'notice-default', from: string, ticket: Ticket, rand: Uint8Array, signature: string }
  | { kind: 'claim-default', from: string, ticket: Ticket }

export type Revert =
  | 'used' | 'lost' | 'expired' | 'too-far-ahead' | 'wrong-signature' | 'underfunded' | 'covered' | 'not-payee' | 'already-noticed' | 'no-notice' | 'grace-runs' | 'claim-lapsed'
  | 'insufficient' | 'unlock-pending' | 'no-unlock' | 'locked' | 'claims-open'

export interface BrokerTerms { /** Of an unlock; also the longest life of a ticket. */ delaySec: number, graceSec: number }

/** Stands for a signature of a money key: nobody in a simulated world makes another's. */
export function simSignature(hasher: Hasher, address: string, digest: Uint8Array): string {
  const preimage = new Uint8Array(52)
  preimage.set(digest)
  for (let i = 0; i < 20; i++) preimage[32 + i] = Number.parseInt(address.slice(2 + 2 * i, 4 + 2 * i), 16)
  return `${toHex(hasher.keccak256(preimage))}${toHex(hasher.sha256(preimage)).slice(2)}1b`
}

const NOBODY: Balance = Object.freeze({ walletWei: 0n, depositWei: 0n, bondWei: 0n, jobBondWei: 0n, creditWei: 0n, unlocks: {}, heldUntilSec: 0, openClaims: 0 })
const USED = Number.POSITIVE_INFINITY

/** What the contract holds after a block. A block's transactions work on a copy, so that a reorganisation goes back to what was. */
export class Broker {
  readonly #hasher: Hasher
  readonly #tickets: TicketHasher
  readonly #terms: BrokerTerms
  readonly #accounts: Map<string, Balance>
  /** The end of the grace of an open notice, or that it was paid. */
  readonly #digests: Map<string, number>
  readonly #separator: Uint8Array
  burnedWei = 0n
  /** Ever put in from outside, and taken out again. */
  receivedWei = 0n
  paidOutWei = 0n
  /** A planted bug: nothing is marked as paid. */
  forgetful = false

  constructor(hasher: Hasher, separator: Uint8Array, terms: BrokerTerms, accounts: ReadonlyMap<string, Balance> = new Map(), digests: ReadonlyMap<string, number> = new Map()) {
    this.#hasher = hasher
    this.#tickets = new TicketHasher(hasher, separator)
    this.#separator = separator
    this.#terms = terms
    this.#accounts = new Map([...accounts].map(([address, balance]) => [address, { ...balance, unlocks: { ...balance.unlocks } }]))
    this.#digests = new Map(digests)
  }

  copy(): Broker {
    const copy = new Broker(this.#hasher, this.#separator, this.#terms, this.#accounts, this.#digests)
    copy.burnedWei = this.burnedWei
    copy.receivedWei = this.receivedWei
    copy.paidOutWei = this.paidOutWei
    copy.forgetful = this.forgetful
    return copy
  }

  get accounts(): ReadonlyMap<string, Readonly<Balance>> {
    return this.#accounts
  }

  balance(address: string): Readonly<Balance> {
    return this.#accounts.get(address) ?? NOBODY
  }

  /** Tickets paid or claimed. */
  get used(): number {
    let used = 0
    for (const state of this.#digests.values()) if (state === USED) used++
    return used
  }

  isUsed(digest: string): boolean {
    return this.#digests.get(digest) === USED
  }

  /** The last second of the grace of an open notice. */
  graceUntilSec(digest: string): number | undefined {
    const state = this.#digests.get(digest)
    return state === USED ? undefined : state
  }

  /** What `account` events tell. */
  account(address: string): Account {
    const { depositWei, bondWei, jobBondWei, unlocks } = this.balance(address)
    return {
      depositWei, bondWei, jobBondWei,
      ...unlocks.deposit === undefined ? {} : { depositUnlock: unlocks.deposit },
      ...unlocks.bond === undefined ? {} : { bondUnlock: unlocks.bond }
    }
  }

  /** Money from nowhere, before the first block. */
  endow(address: string, endowment: Pick<Balance, 'walletWei' | 'depositWei' | 'bondWei' | 'jobBondWei'>): void {
    Object.assign(this.#of(address), endowment)
    this.receivedWei += endowment.depositWei + endowment.bondWei + endowment.jobBondWei
  }

  /** Takes effect in whole, or is refused and changes nothing. */
  apply(tx: Transaction, nowSec: number): Revert | undefined {
    switch (tx.kind) {
      case 'add': return this.#add(tx)
      case 'request-unlock': return this.#requestUnlock(tx, nowSec)
      case 'withdraw': return this.#withdraw(tx, nowSec)
      case 'payout': return this.#payout(tx)
      case 'redeem': return this.#redeem(tx, nowSec)
      case 'notice-default': return this.#notice(tx, nowSec)
      case 'claim-default': return this.#claim(tx, nowSec)
    }
  }

  #of(address: string): Balance {
    let balance = this.#accounts.get(address)
    if (balance === undefined) {
      balance = { ...NOBODY, unlocks: {} }
      this.#accounts.set(address, balance)
    }
    return balance
  }

  #add({ from, bucket, amountWei }: Extract<Transaction, { kind: 'add' }>): Revert | undefined {
    const account = this.#of(from)
    if (amountWei <= 0n || account.walletWei < amountWei) return 'insufficient'
    account.walletWei -= amountWei
    account[`${bucket}Wei`] += amountWei
    this.receivedWei += amountWei
    return undefined
  }

  #requestUnlock({ from, bucket, amountWei }: Extract<Transaction, { kind: 'request-unlock' }>, nowSec: number): Revert | undefined {
    const account = this.#of(from)
    if (account.unlocks[bucket] !== undefined) return 'unlock-pending'
    if (amountWei <= 0n || amountWei > account[`${bucket}Wei`]) return 'insufficient'
    account.unlocks[bucket] = { amountWei, lockedUntilSec: nowSec + this.#terms.delaySec }
    return undefined
  }

  #withdraw({ from, bucket }: Extract<Transaction, { kind: 'withdraw' }>, nowSec: number): Revert | undefined {
    const account = this.#of(from)
    const unlock = account.unlocks[bucket]
    if (unlock === undefined) return 'no-unlock'
    if (nowSec <= unlock.lockedUntilSec) return 'locked'
    if (bucket !== 'jobBond' && account.openClaims > 0 && nowSec <= account.heldUntilSec) return 'claims-open'
    const free = account[`${bucket}Wei`]
    if (free === 0n) return 'insufficient'
    const amountWei = free < unlock.amountWei ? free : unlock.amountWei
    delete account.unlocks[bucket]
    account[`${bucket}Wei`] -= amountWei
    account.walletWei += amountWei
    this.paidOutWei += amountWei
    return undefined
  }

  #payout({ from }: Extract<Transaction, { kind: 'payout' }>): Revert | undefined {
    const account = this.#of(from)
    if (account.creditWei === 0n) return 'insufficient'
    account.walletWei += account.creditWei
    this.paidOutWei += account.creditWei
    account.creditWei = 0n
    return undefined
  }

  #refusal({ ticket, rand, signature }: Extract<Transaction, { kind: 'redeem' | 'notice-default' }>, digest: Uint8Array, nowSec: number): Revert | undefined {
    const state = this.#digests.get(toHex(digest))
    if (state === USED) return 'used'
    if (commitOf(this.#hasher, rand) !== ticket.commit || simSignature(this.#hasher, ticket.payer, digest) !== signature) return 'wrong-signature'
    if (!isWin(this.#hasher, rand, digest, ticket.winProb)) return 'lost'
    if (nowSec > ticket.expirySec && (state === undefined || nowSec > state + this.#terms.delaySec)) return 'expired'
    if (ticket.expirySec > nowSec + this.#terms.delaySec) return 'too-far-ahead'
    return this.balance(ticket.payer).depositWei < ticket.faceValueWei ? 'underfunded' : undefined
  }

  #redeem(tx: Extract<Transaction, { kind: 'redeem' | 'notice-default' }>, nowSec: number): Revert | undefined {
    const digest = this.#tickets.digest(tx.ticket)
    const refusal = this.#refusal(tx, digest, nowSec)
    if (refusal !== undefined) return refusal
    this.#use(toHex(digest), tx.ticket.payer)
    this.#of(tx.ticket.payer).depositWei -= tx.ticket.faceValueWei
    this.#of(tx.ticket.payee).creditWei += tx.ticket.faceValueWei
    return undefined
  }

  #notice(tx: Extract<Transaction, { kind: 'redeem' | 'notice-default' }>, nowSec: number): Revert | undefined {
    if (tx.from !== tx.ticket.payee) return 'not-payee'
    const digest = this.#tickets.digest(tx.ticket)
    const refusal = this.#refusal(tx, digest, nowSec)
    if (refusal === undefined) return 'covered'
    if (refusal !== 'underfunded') return refusal
    if (this.#digests.has(toHex(digest))) return 'already-noticed'
    const graceUntilSec = nowSec + this.#terms.graceSec
    this.#digests.set(toHex(digest), graceUntilSec)
    const payer = this.#of(tx.ticket.payer)
    payer.openClaims = nowSec > payer.heldUntilSec ? 1 : payer.openClaims + 1
    payer.heldUntilSec = graceUntilSec + this.#terms.delaySec
    return undefined
  }

  #claim({ from, ticket }: Extract<Transaction, { kind: 'claim-default' }>, nowSec: number): Revert | undefined {
    if (from !== ticket.payee) return 'not-payee'
    const digest = toHex(this.#tickets.digest(ticket))
    const state = this.#digests.get(digest)
    if (state === USED) return 'used'
    if (state === undefined) return 'no-notice'
    if (nowSec <= state) return 'grace-runs'
    if (nowSec > state + this.#terms.delaySec) return 'claim-lapsed'
    this.#use(digest, ticket.payer)
    const payer = this.#of(ticket.payer)
    let paidWei = ticket.faceValueWei
    if (payer.depositWei < paidWei) {
      paidWei = payer.depositWei
      this.burnedWei += payer.bondWei
      payer.bondWei = 0n
    }
    payer.depositWei -= paidWei
    this.#of(from).creditWei += paidWei
    return undefined
  }

  #use(digest: string, payer: string): void {
    if (this.#digests.get(digest) !== undefined) this.#of(payer).openClaims--
    if (!this.forgetful) this.#digests.set(digest, USED)
  }
}

/** The less sure of two views: what may still go down counts as gone. */
export function cautious(a: Account, b: Account): Account {
  const low = (x: bigint, y: bigint): bigint => x < y ? x : y
  const depositUnlock: PayerFunds['depositUnlock'] = b.depositUnlock ?? a.depositUnlock
  const bondUnlock: PayerFunds['bondUnlock'] = b.bondUnlock ?? a.bondUnlock
  return {
    depositWei: low(a.depositWei, b.depositWei), bondWei: low(a.bondWei, b.bondWei), jobBondWei: low(a.jobBondWei, b.jobBondWei),
    ...depositUnlock === undefined ? {} : { depositUnlock }, ...bondUnlock === undefined ? {} : { bondUnlock }
  }
}

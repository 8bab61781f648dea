/**
 * What a broker should do, in plain TypeScript, written from PAYMENT.md and not from the contract. It has the state of a
 * deployment and says of each call how it ends. `conserved` is the invariant that no sequence of calls may break.
 */
export type BucketName = 'deposit' | 'bond' | 'jobBond'
const BUCKET_NAMES: readonly BucketName[] = ['deposit', 'bond', 'jobBond']

export interface ModelTerms { delay: number, grace: number, feeBps: number, feeRecipient: string, native: boolean }

/** A ticket with what the model must know of it: its digest, whether it wins, and who really signed these very fields. */
export interface ModelTicket { digest: string, payer: string, payee: string, faceValue: bigint, expiry: number, wins: boolean, signer: string | undefined }
export interface ModelRefund { agreement: string, provider: string, requester: string, amount: bigint, expiry: number, paid: bigint, mismatch: boolean, signer: string, statementSigner: string }

export type Op =
  | { kind: 'add', bucket: BucketName, account: string, amount: bigint, value: bigint }
  | { kind: 'requestUnlock', bucket: BucketName, amount: bigint }
  | { kind: 'cancelUnlock', bucket: BucketName }
  | { kind: 'withdraw', bucket: BucketName, to: string }
  | { kind: 'payout', to: string }
  | { kind: 'payoutFor', account: string }
  | { kind: 'addSigner', signer: string }
  | { kind: 'revokeSigner', signer: string }
  | { kind: 'redeem', ticket: ModelTicket }
  | { kind: 'redeemBatch', tickets: ModelTicket[] }
  | { kind: 'noticeDefault', ticket: ModelTicket }
  | { kind: 'claimDefault', ticket: ModelTicket }
  | { kind: 'claimRefund', refund: ModelRefund }
  | { kind: 'collectRefund', agreement: string, provider: string, requester: string }
  | { kind: 'slash', provider: string, amount: bigint, beneficiary: string }

/** How a call ends: `ok`, with a number where it returns one, or the name of an error, as `refusal()` writes it. */
export type Outcome = string

interface Unlock { amount: bigint, lockedUntil: number }
interface Account { deposit: bigint, bond: bigint, jobBond: bigint, reserved: bigint, credit: bigint, heldUntil: number, openClaims: number, unlocks: Record<BucketName, Unlock> }

class Refused extends Error {}
function refuse(reason: string): never { throw new Refused(reason) }
const least = (...values: bigint[]): bigint => values.reduce((a, b) => a < b ? a : b)

const WORD_BYTES = 32
const FOREVER = Number.MAX_SAFE_INTEGER
const ZERO_ADDRESS = `0x${'00'.repeat(20)}`

export class Model {
  now = 0
  held = 0n
  burned = 0n
  received = 0n
  paidOut = 0n
  readonly terms: ModelTerms
  /** Addresses that take no coins. */
  readonly refusers = new Set<string>()
  readonly #accounts = new Map<string, Account>()
  readonly #signers = new Map<string, number>()
  readonly #used = new Set<string>()
  readonly #notices = new Map<string, number>()
  readonly #refunds = new Map<string, { reserved: bigint, waiting: bigint, lockedUntil: number }>()

  constructor(terms: ModelTerms) {
    this.terms = terms
  }

  /** What a call of `from` does; a refused one changes nothing. */
  apply(from: string, op: Op): Outcome {
    try {
      return this.#run(from, op)
    } catch (err) {
      if (err instanceof Refused) return err.message
      throw err
    }
  }

  /** Invariants: money conserved, and no bucket negative. */
  conserved(): boolean {
    let sum = this.burned
    for (const account of this.#accounts.values()) {
      const parts = [account.deposit, account.bond, account.jobBond, account.credit, account.reserved]
      if (parts.some((part) => part < 0n)) return false
      sum += account.deposit + account.bond + account.jobBond + account.credit
    }
    return sum === this.received - this.paidOut && sum === this.held
  }

  /** The same words as `Driver.state`. */
  state(accounts: readonly string[]): Uint8Array {
    const words: (bigint | number)[] = [this.held, this.burned]
    for (const address of accounts) {
      const a = this.account(address)
      words.push(a.deposit, a.bond, a.jobBond, a.reserved, a.credit, a.heldUntil, a.openClaims, ...BUCKET_NAMES.flatMap((bucket) => [a.unlocks[bucket].amount, a.unlocks[bucket].lockedUntil]))
    }
    const raw = new Uint8Array(words.length * WORD_BYTES)
    const view = new DataView(raw.buffer)
    words.forEach((word, i) => {
      // Amounts stay below 2^128: the upper half of each word is zero.
      view.setBigUint64(i * WORD_BYTES + 16, BigInt(word) >> 64n)
      view.setBigUint64(i * WORD_BYTES + 24, BigInt.asUintN(64, BigInt(word)))
    })
    return raw
  }

  account(address: string): Account {
    let account = this.#accounts.get(address)
    if (account === undefined) {
      const none = (): Unlock => ({ amount: 0n, lockedUntil: 0 })
      account = { deposit: 0n, bond: 0n, jobBond: 0n, reserved: 0n, credit: 0n, heldUntil: 0, openClaims: 0, unlocks: { deposit: none(), bond: none(), jobBond: none() } }
      this.#accounts.set(address, account)
    }
    return account
  }

  #run(from: string, op: Op): Outcome {
    switch (op.kind) {
      case 'add': return this.#add(op)
      case 'requestUnlock': return this.#requestUnlock(from, op)
      case 'cancelUnlock': return this.#cancelUnlock(from, op)
      case 'withdraw': return this.#withdraw(from, op)
      case 'payout': return this.#payout(from, op.to)
      case 'payoutFor': return this.#payout(op.account, op.account)
      case 'addSigner': return this.#addSigner(from, op)
      case 'revokeSigner': return this.#revokeSigner(from, op)
      case 'redeem': return this.#redeem(op.ticket)
      case 'redeemBatch': return `ok ${op.tickets.filter((ticket) => this.#refusal(ticket) === undefined && this.#pay(ticket) === 'ok').length}`
      case 'noticeDefault': return this.#notice(from, op.ticket)
      case 'claimDefault': return this.#claimDefault(from, op.ticket)
      case 'claimRefund': return this.#claimRefund(from, op.refund)
      case 'collectRefund': return this.#collectRefund(op)
      case 'slash': return this.#slash(op)
    }
  }

  #add({ bucket, account, amount, value }: Op & { kind: 'add' }): Outcome {
    if (amount === 0n) refuse('ZeroAmount')
    if (account === ZERO_ADDRESS) refuse('ZeroAddress')
    const expected = this.terms.native ? amount : 0n
    if (value !== expected) refuse(`WrongValue(${expected}, ${value})`)
    this.account(account)[bucket] += amount
    this.received += amount
    this.held += amount
    return 'ok'
  }

  #free(address: string, bucket: BucketName): bigint {
    const account = this.account(address)
    if (bucket !== 'jobBond') return account[bucket]
    return account.jobBond > account.reserved ? account.jobBond - account.reserved : 0n
  }

  #requestUnlock(from: string, { bucket, amount }: Op & { kind: 'requestUnlock' }): Outcome {
    if (amount === 0n) refuse('ZeroAmount')
    const unlock = this.account(from).unlocks[bucket]
    if (unlock.amount !== 0n) refuse(`UnlockPending(${unlock.lockedUntil})`)
    if (amount > this.#free(from, bucket)) refuse(`Insufficient(${this.#free(from, bucket)})`)
    this.account(from).unlocks[bucket] = { amount, lockedUntil: this.now + this.terms.delay }
    return 'ok'
  }

  #cancelUnlock(from: string, { bucket }: Op & { kind: 'cancelUnlock' }): Outcome {
    if (this.account(from).unlocks[bucket].amount === 0n) refuse('NoUnlock')
    this.account(from).unlocks[bucket] = { amount: 0n, lockedUntil: 0 }
    return 'ok'
  }

  #withdraw(from: string, { bucket, to }: Op & { kind: 'withdraw' }): Outcome {
    if (to === ZERO_ADDRESS) refuse('ZeroAddress')
    const account = this.account(from)
    const unlock = account.unlocks[bucket]
    if (unlock.amount === 0n) refuse('NoUnlock')
    if (this.now <= unlock.lockedUntil) refuse(`Locked(${unlock.lockedUntil})`)
    if (bucket !== 'jobBond' && account.openClaims > 0 && this.now <= account.heldUntil) refuse(`ClaimsOpen(${account.heldUntil})`)
    const amount = least(unlock.amount, this.#free(from, bucket))
    if (amount === 0n) refuse('Insufficient(0)')
    this.#send(to, amount)
    account[bucket] -= amount
    account.unlocks[bucket] = { amount: 0n, lockedUntil: 0 }
    return 'ok'
  }

  #payout(account: string, to: string): Outcome {
    const { credit } = this.account(account)
    if (to === ZERO_ADDRESS && account !== to) refuse('ZeroAddress')
    if (credit === 0n) refuse('ZeroAmount')
    this.#send(to, credit)
    this.account(account).credit = 0n
    return `ok ${credit}`
  }

  #send(to: string, amount: bigint): void {
    if (this.terms.native && this.refusers.has(to)) refuse('TransferFailed')
    this.held -= amount
    this.paidOut += amount
  }

  #addSigner(from: string, { signer }: Op & { kind: 'addSigner' }): Outcome {
    if (signer === ZERO_ADDRESS) refuse('UnknownSigner')
    this.#signers.set(`${from} ${signer}`, FOREVER)
    return 'ok'
  }

  #revokeSigner(from: string, { signer }: Op & { kind: 'revokeSigner' }): Outcome {
    if (this.#signers.get(`${from} ${signer}`) !== FOREVER) refuse('UnknownSigner')
    this.#signers.set(`${from} ${signer}`, this.now + this.terms.delay)
    return 'ok'
  }

  #signs(account: string, signer: string | undefined): boolean {
    return signer !== undefined && (signer === account || this.now <= (this.#signers.get(`${account} ${signer}`) ?? -1))
  }

  /** The end of a notice's claim, while there is a notice. */
  #lapses(ticket: ModelTicket): number | undefined {
    const grace = this.#notices.get(ticket.digest)
    return grace === undefined ? undefined : grace + this.terms.delay
  }

  #refusal(ticket: ModelTicket): string | undefined {
    if (this.#used.has(ticket.digest)) return 'used'
    if (!ticket.wins) return 'lost'
    if (this.now > Math.max(ticket.expiry, this.#lapses(ticket) ?? 0)) return 'expired'
    if (ticket.expiry - this.now > this.terms.delay) return 'tooFarAhead'
    if (!this.#signs(ticket.payer, ticket.signer)) return 'wrongSignature'
    if (this.account(ticket.payer).deposit < ticket.faceValue) return 'underfunded'
    return undefined
  }

  #settleNotice(ticket: ModelTicket): void {
    this.#used.add(ticket.digest)
    if (this.#notices.delete(ticket.digest)) this.account(ticket.payer).openClaims--
  }

  #earn(payee: string, amount: bigint): void {
    const fee = amount * BigInt(this.terms.feeBps) / 10_000n
    this.account(payee).credit += amount - fee
    this.account(this.terms.feeRecipient).credit += fee
  }

  #pay(ticket: ModelTicket): Outcome {
    this.#settleNotice(ticket)
    this.account(ticket.payer).deposit -= ticket.faceValue
    this.#earn(ticket.payee, ticket.faceValue)
    return 'ok'
  }

  #redeem(ticket: ModelTicket): Outcome {
    const reason = this.#refusal(ticket)
    if (reason !== undefined) refuse(`TicketRefused(${reason})`)
    return this.#pay(ticket)
  }

  #notice(from: string, ticket: ModelTicket): Outcome {
    if (!this.#signs(ticket.payee, from)) refuse('NotPayee')
    const reason = this.#refusal(ticket)
    if (reason === undefined) refuse('Covered')
    if (reason !== 'underfunded') refuse(`TicketRefused(${reason})`)
    if (this.#notices.has(ticket.digest)) refuse('AlreadyNoticed')
    const graceUntil = this.now + this.terms.grace
    this.#notices.set(ticket.digest, graceUntil)
    const payer = this.account(ticket.payer)
    payer.openClaims = this.now > payer.heldUntil ? 1 : payer.openClaims + 1
    payer.heldUntil = graceUntil + this.terms.delay
    return 'ok'
  }

  #claimDefault(from: string, ticket: ModelTicket): Outcome {
    if (!this.#signs(ticket.payee, from)) refuse('NotPayee')
    if (this.#used.has(ticket.digest)) refuse('TicketRefused(used)')
    const graceUntil = this.#notices.get(ticket.digest)
    if (graceUntil === undefined) refuse('NoNotice')
    if (this.now <= graceUntil) refuse(`GraceRuns(${graceUntil})`)
    if (this.now > graceUntil + this.terms.delay) refuse(`ClaimLapsed(${graceUntil + this.terms.delay})`)
    const payer = this.account(ticket.payer)
    this.#settleNotice(ticket)
    const paid = least(payer.deposit, ticket.faceValue)
    if (paid < ticket.faceValue) {
      this.burned += payer.bond
      payer.bond = 0n
    }
    payer.deposit -= paid
    this.#earn(ticket.payee, paid)
    return 'ok'
  }

  #claimRefund(from: string, refund: ModelRefund): Outcome {
    if (from !== refund.requester) refuse('NotRequester')
    if (this.now > refund.expiry) refuse('RefundExpired')
    if (refund.mismatch) refuse('StatementMismatch')
    if (refund.amount > refund.paid) refuse(`AboveAcknowledged(${refund.paid})`)
    if (!this.#signs(refund.provider, refund.signer)) refuse('WrongRefundSignature')
    if (!this.#signs(refund.provider, refund.statementSigner)) refuse('WrongStatementSignature')
    const claim = this.#refund(refund)
    if (refund.amount <= claim.reserved) refuse('NothingDue')
    const amount = least(refund.amount - claim.reserved, this.#free(refund.provider, 'jobBond'))
    if (amount === 0n) refuse('Insufficient(0)')
    claim.reserved += amount
    claim.waiting += amount
    claim.lockedUntil = this.now + this.terms.delay
    this.account(refund.provider).reserved += amount
    return `ok ${amount}`
  }

  #collectRefund(op: Op & { kind: 'collectRefund' }): Outcome {
    const claim = this.#refund(op)
    if (claim.waiting === 0n) refuse('NothingDue')
    if (this.now <= claim.lockedUntil) refuse(`Locked(${claim.lockedUntil})`)
    const provider = this.account(op.provider)
    const amount = least(claim.waiting, provider.jobBond)
    provider.reserved -= claim.waiting
    provider.jobBond -= amount
    claim.waiting = 0n
    this.account(op.requester).credit += amount
    return `ok ${amount}`
  }

  #refund({ agreement, provider, requester }: { agreement: string, provider: string, requester: string }): { reserved: bigint, waiting: bigint, lockedUntil: number } {
    const key = `${agreement} ${provider} ${requester}`
    let claim = this.#refunds.get(key)
    if (claim === undefined) this.#refunds.set(key, claim = { reserved: 0n, waiting: 0n, lockedUntil: 0 })
    return claim
  }

  #slash({ provider, amount, beneficiary }: Op & { kind: 'slash' }): Outcome {
    const account = this.account(provider)
    const taken = least(amount, account.jobBond)
    if (taken === 0n) refuse('Insufficient(0)')
    const burned = (taken + 1n) / 2n
    account.jobBond -= taken
    this.burned += burned
    this.account(beneficiary).credit += taken - burned
    return 'ok'
  }
}

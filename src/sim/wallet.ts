import type { PeerEvent } from '../core/event.ts'
import type { Account } from '../documents/account.ts'
import type { Winner } from '../documents/ticket.ts'
import type { Secrets } from '../payment/draws.ts'
import { paysHonestly } from './behaviour.ts'
import type { Behaviour } from './behaviour.ts'
import { cautious } from './broker.ts'
import type { Broker } from './broker.ts'
import type { Chain, ChainWatcher } from './chain.ts'

/** What one believes to have that does not care. */
const ENDLESS_WEI = 10n ** 30n

export interface WalletHooks {
  /** The computer is up and awake. */
  isAwake(): boolean
  receive(event: PeerEvent): void
}

/** A computer's chain client: follows accounts, redeems winners, claims defaults, tops up its own deposit. Its memory dies with the power. */
export class Wallet implements ChainWatcher {
  readonly address: string
  readonly #chain: Chain
  readonly #secrets: Secrets
  readonly #redemptionWei: bigint
  readonly #hooks: WalletHooks
  /** The owner fills its deposit up when a winner is found uncovered. */
  readonly #topsUp: boolean
  readonly #delusion: Partial<Account>
  readonly #watched = new Map<string, string>()
  readonly #winners = new Map<string, { winner: Winner, txId: number | undefined }>()
  /** Transactions that are sent once at a time, by what they do. */
  readonly #sent = new Map<string, number>()
  /** The deposit that the owner began with. */
  readonly #meantWei: bigint
  /** Ends of the times in which the chain cannot be seen. */
  #away = 0
  #leaving: 'no' | 'asked' | 'left' = 'no'

  constructor(chain: Chain, address: string, secrets: Secrets, redemptionWei: bigint, behaviour: Behaviour, hooks: WalletHooks) {
    this.#chain = chain
    this.address = address
    this.#secrets = secrets
    this.#redemptionWei = redemptionWei
    this.#topsUp = paysHonestly(behaviour)
    this.#delusion = behaviour.kind === 'overdrawer' ? { depositWei: ENDLESS_WEI } : behaviour.kind === 'overexposer' ? { jobBondWei: ENDLESS_WEI } : {}
    this.#hooks = hooks
    this.#meantWei = chain.head.after.balance(address).depositWei
    chain.watchedBy(this)
  }

  get waits(): boolean {
    return this.#winners.size > 0 || this.#leaving === 'asked' || (this.#topsUp && isHeld(this.#chain.head.after, this.address, this.#chain.head.atSec))
  }

  get pending(): number {
    return this.#winners.size
  }

  /** Power is cut. */
  clear(): void {
    this.#watched.clear()
    this.#winners.clear()
  }

  started(): void {
    this.#sayCosts()
  }

  watch(address: string): void {
    this.#watched.delete(address)
    this.#tell(address)
  }

  redeem(winner: Winner): void {
    if (!this.#winners.has(winner.digest)) this.#winners.set(winner.digest, { winner, txId: undefined })
    this.#chain.wake()
  }

  /** The chain cannot be seen until the returned function is called. */
  lose(): () => void {
    this.#away++
    for (const address of this.#watched.keys()) this.#tell(address)
    let isOver = false
    return () => {
      if (isOver) return
      isOver = true
      this.#away--
      this.awoke()
    }
  }

  /** Tells all again: what was said to a sleeper was lost. */
  awoke(): void {
    if (!this.#hooks.isAwake() || this.#away > 0) return
    this.#sayCosts()
    for (const address of [...this.#watched.keys()]) this.watch(address)
    this.#chain.wake()
  }

  /** A payer that takes its money back under the feet of its providers. */
  leave(): void {
    if (this.#leaving !== 'no') return
    this.#leaving = 'asked'
    this.#chain.wake()
  }

  blockCame(): void {
    this.#leave()
    if (!this.#hooks.isAwake() || this.#away > 0) return
    for (const address of [...this.#watched.keys()]) this.#tell(address)
    this.#topUp()
    for (const pending of [...this.#winners.values()]) this.#follow(pending)
  }

  #sayCosts(): void {
    if (this.#away === 0) this.#hooks.receive({ kind: 'chain-costs', costs: { redemptionWei: this.#redemptionWei } })
  }

  /** Says what an account holds, if that is news. */
  #tell(address: string): void {
    const account = this.#away > 0 ? undefined : this.#view(address)
    const text = account === undefined ? 'unseen' : Object.values(account).map((value: Account[keyof Account]) => typeof value === 'bigint' ? `${value}` : `${value?.amountWei} ${value?.lockedUntilSec}`).join(' ')
    if (this.#watched.get(address) === text) return
    this.#watched.set(address, text)
    this.#hooks.receive({ kind: 'account', address, account })
  }

  #view(address: string): Account {
    const account = cautious(this.#chain.confirmed.after.account(address), this.#chain.head.after.account(address))
    return address === this.address ? { ...account, ...this.#delusion } : account
  }

  #follow(pending: { winner: Winner, txId: number | undefined }): void {
    const { winner, txId } = pending
    const { index, digest, ticket, signature } = winner
    const { confirmed, head } = this.#chain
    if (confirmed.after.isUsed(digest)) { this.#over(winner, true); return }
    const nowSec = head.atSec
    const graceUntilSec = head.after.graceUntilSec(digest)
    const lapsesSec = graceUntilSec === undefined ? ticket.expirySec : graceUntilSec + this.#chain.spec.delaySec
    // only the confirmed clock says that it is too late: a block before may still come to be
    if (confirmed.atSec > lapsesSec && confirmed.after.graceUntilSec(digest) === graceUntilSec) { this.#over(winner, false); return }
    if (head.after.isUsed(digest) || (txId !== undefined && this.#chain.isUnderWay(txId))) return
    const covered = head.after.balance(ticket.payer).depositWei >= ticket.faceValueWei
    const rand = this.#secrets.rand(winner.offerId, index)
    if (covered) pending.txId = this.#chain.submit({ kind: 'redeem', from: this.address, ticket, rand, signature })
    else if (graceUntilSec === undefined) pending.txId = this.#chain.submit({ kind: 'notice-default', from: this.address, ticket, rand, signature })
    else if (nowSec > graceUntilSec) pending.txId = this.#chain.submit({ kind: 'claim-default', from: this.address, ticket })
  }

  #over({ agreement, index, digest }: Winner, paid: boolean): void {
    this.#winners.delete(digest)
    this.#hooks.receive({ kind: 'redeemed', agreement, index, paid })
  }

  /** Up to what its owner meant to have there. */
  #topUp(): void {
    const { after, atSec } = this.#chain.head
    const { depositWei, walletWei } = after.balance(this.address)
    if (!this.#topsUp || !isHeld(after, this.address, atSec) || depositWei >= this.#meantWei || walletWei === 0n || this.#isUnderWay('top-up')) return
    const lackingWei = this.#meantWei - depositWei
    this.#sent.set('top-up', this.#chain.submit({ kind: 'add', from: this.address, bucket: 'deposit', amountWei: lackingWei < walletWei ? lackingWei : walletWei }))
  }

  #leave(): void {
    if (this.#leaving !== 'asked') return
    const { atSec, after } = this.#chain.head
    const { depositWei, bondWei, unlocks } = after.balance(this.address)
    if (depositWei + bondWei === 0n) { this.#leaving = 'left'; return }
    for (const [bucket, amountWei] of [['deposit', depositWei], ['bond', bondWei]] as const) {
      const unlock = unlocks[bucket]
      if (amountWei === 0n || this.#isUnderWay(bucket)) continue
      if (unlock === undefined) this.#sent.set(bucket, this.#chain.submit({ kind: 'request-unlock', from: this.address, bucket, amountWei }))
      else if (atSec > unlock.lockedUntilSec && !isHeld(after, this.address, atSec)) this.#sent.set(bucket, this.#chain.submit({ kind: 'withdraw', from: this.address, bucket }))
    }
  }

  #isUnderWay(what: string): boolean {
    const id = this.#sent.get(what)
    return id !== undefined && this.#chain.isUnderWay(id)
  }
}

function isHeld(broker: Broker, address: string, nowSec: number): boolean {
  const { openClaims, heldUntilSec } = broker.balance(address)
  return openClaims > 0 && nowSec <= heldUntilSec
}

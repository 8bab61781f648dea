import { priceOf } from '../../src/documents/terms.ts'
import { expectedOf } from '../../src/documents/ticket.ts'
import type { Expected } from '../../src/documents/ticket.ts'
import { dueFor, totalOf } from '../../src/payment/ledger.ts'
import { chanceOf } from '../../src/payment/odds.ts'
import type { Books } from './books.ts'
import type { ChainFacts } from './demo-chain.ts'

/** A node with its account and what it has written down. */
export interface Party { readonly name: string, readonly peer: string, readonly address: string, readonly books: Books }

/** What an audit compares: the books of both sides, and the chain before and after. */
export interface Evidence { readonly payer: Party, readonly providers: readonly Party[], readonly before: ChainFacts, readonly after: ChainFacts }

/** One provider's money. Expected values are in 2^-64 wei. */
export interface Earnings {
  readonly name: string
  /** Of one core, as the payer's books have it. */
  readonly workMs: number
  readonly tickets: number
  readonly expected: Expected
  readonly winners: number
  /** How many to expect of its tickets, and their variance. */
  readonly meanWinners: number
  readonly variance: number
  readonly wonWei: bigint
  readonly redeemed: number
  readonly redeemedWei: bigint
  readonly gasWei: bigint
  /** Price of work that was never accepted, less what was due for it: the share held back. */
  readonly forfeited: Expected
  /** Paid ahead of work that did not come any more, and what the last ticket was above what was due. */
  readonly ahead: Expected
}

export interface Audit {
  readonly earnings: readonly Earnings[]
  readonly depositBeforeWei: bigint
  readonly depositAfterWei: bigint
  /** How many sums were compared. */
  readonly checked: number
  /** Sums that do not agree, in words. */
  readonly disagreements: readonly string[]
}

const NOBODY = { depositWei: 0n, bondWei: 0n, jobBondWei: 0n, reservedWei: 0n, creditWei: 0n, coinWei: 0n }

/** Compares sums; none is rounded. */
class Comparison {
  checked = 0
  readonly disagreements: string[] = []

  equal(what: string, a: { words: string, value: bigint | number }, b: { words: string, value: bigint | number }): void {
    this.checked++
    if (BigInt(a.value) !== BigInt(b.value)) this.disagreements.push(`${what}: ${a.words} ${a.value}, ${b.words} ${b.value}`)
  }
}

/** Who earned what, and whether the payer's books, the providers' books and the chain say the same. */
export function audit({ payer, providers, before, after }: Evidence): Audit {
  const sums = new Comparison()
  const earnings = providers.map((provider) => earningsOf(payer, provider, after))
  for (const [i, { address, name }] of providers.entries()) {
    const earned = earnings[i]
    if (earned === undefined) continue
    compareBooks(sums, payer, providers[i] ?? payer)
    const [was, is] = [before, after].map(({ accounts }) => accounts.get(address) ?? NOBODY) as [typeof NOBODY, typeof NOBODY]
    sums.equal(`what ${name} is owed`, { words: 'due and not paid', value: earned.ahead < 0n ? -earned.ahead : 0n }, { words: 'should be', value: 0n })
    sums.equal(`${name}'s winners`, { words: 'won', value: earned.wonWei }, { words: 'redeemed', value: earned.redeemedWei })
    sums.equal(`${name}'s credit in the contract`, { words: 'it grew by', value: is.creditWei - was.creditWei }, { words: 'redeemed', value: earned.redeemedWei })
    sums.equal(`${name}'s gas`, { words: 'its coin shrank by', value: was.coinWei - is.coinWei }, { words: 'the receipts say', value: earned.gasWei })
  }
  const depositBeforeWei = before.accounts.get(payer.address)?.depositWei ?? 0n
  const depositAfterWei = after.accounts.get(payer.address)?.depositWei ?? 0n
  const redeemedWei = after.redemptions.filter((one) => one.payer === payer.address).reduce((sum, { faceValueWei }) => sum + faceValueWei, 0n)
  sums.equal(`${payer.name}'s deposit`, { words: 'it shrank by', value: depositBeforeWei - depositAfterWei }, { words: 'all winners redeemed', value: redeemedWei })
  sums.equal('all winners', { words: 'redeemed by these providers', value: earnings.reduce((sum, one) => sum + one.redeemedWei, 0n) }, { words: 'paid by the contract', value: after.redemptions.reduce((sum, { faceValueWei }) => sum + faceValueWei, 0n) })
  sums.equal('the contract', { words: 'it holds', value: after.brokerWei }, { words: 'deposits, bonds and credits are', value: [...after.accounts.values()].reduce((sum, one) => sum + one.depositWei + one.bondWei + one.jobBondWei + one.creditWei, 0n) })
  sums.equal('tickets redeemed', { words: 'redemptions', value: after.redemptions.length }, { words: 'different digests', value: new Set(after.redemptions.map(({ digest }) => digest)).size })
  return { earnings, depositBeforeWei, depositAfterWei, checked: sums.checked, disagreements: sums.disagreements }
}

/** What the payer signed for, and took as right, under each agreement is what its provider credited and was told. */
function compareBooks(sums: Comparison, payer: Party, provider: Party): void {
  const earned = new Map(provider.books.earned.map((record) => [record.agreement, record]))
  for (const record of payer.books.paid) {
    if (record.provider !== provider.peer) continue
    const credited = earned.get(record.agreement)
    sums.equal(`tickets to ${provider.name}`, { words: `${payer.name} signed`, value: record.issued }, { words: `${provider.name} credited`, value: credited?.tickets ?? 0 })
    sums.equal(`accepted work of ${provider.name}, ms`, { words: `${payer.name} took`, value: record.work.accepted }, { words: `${provider.name} was told`, value: credited?.work.accepted ?? 0 })
    sums.equal(`expected value to ${provider.name}`, { words: 'paid', value: BigInt(record.issued) * expectedOf(record.terms) }, { words: 'credited', value: credited === undefined ? 0n : BigInt(credited.tickets) * expectedOf(credited.terms) })
  }
}

function earningsOf(payer: Party, { name, peer, address, books }: Party, { redemptions, gasWei }: ChainFacts): Earnings {
  const paid = payer.books.paid.filter(({ provider }) => provider === peer)
  const mine = redemptions.filter(({ payee }) => payee === address)
  const sum = <T>(list: readonly T[], of: (one: T) => bigint): bigint => list.reduce((total, one) => total + of(one), 0n)
  const paidInAll = sum(paid, ({ issued, terms }) => BigInt(issued) * expectedOf(terms))
  const due = sum(paid, ({ terms, work }) => dueFor(terms, work, 0))
  const means = books.earned.map(({ tickets, terms }) => ({ mean: tickets * chanceOf(terms.winProb), chance: chanceOf(terms.winProb) }))
  return {
    name,
    workMs: paid.reduce((total, { work }) => total + totalOf(work), 0),
    tickets: books.earned.reduce((total, { tickets }) => total + tickets, 0),
    expected: sum(books.earned, ({ tickets, terms }) => BigInt(tickets) * expectedOf(terms)),
    winners: books.earned.reduce((total, { wins }) => total + wins, 0),
    meanWinners: means.reduce((total, { mean }) => total + mean, 0),
    variance: means.reduce((total, { mean, chance }) => total + mean * (1 - chance), 0),
    wonWei: sum(books.earned, ({ wins, terms }) => BigInt(wins) * terms.faceValueWei),
    redeemed: mine.length,
    redeemedWei: sum(mine, ({ faceValueWei }) => faceValueWei),
    gasWei: gasWei.get(address) ?? 0n,
    forfeited: sum(paid, ({ terms, work }) => priceOf(terms, totalOf(work))) - due,
    ahead: paidInAll - due
  }
}

/**
 * What an owner asks of its node's money. Amounts are whole numbers of the asset's smallest unit (wei) as decimal text,
 * exact; shares and chances are doubles, for people. All refuse with E_PAYMENT_FREE where nothing is paid.
 */
export interface MoneyApi {
  wallet(): Promise<Wallet>
  /** Moves coin (or tokens) of the node's account into its deposit, bond or job bond, and waits for the chain. Throws E_CHAIN_…. */
  fund(request: FundRequest, watch?: Watching): Promise<MoneyMoved>
  /** One step towards having money back: asks for an unlock, says when it is due, or withdraws what is. Earnings are paid out at once. */
  withdraw(request: WithdrawRequest, watch?: Watching): Promise<Withdrawal>
  /** One step for each refund that a provider signed: claims it, or collects it into the earnings when it has waited. */
  claimRefunds(): Promise<RefundsReport>
  tickets(): Promise<TicketsReport>
  earnings(): Promise<EarningsReport>
  price(): Promise<PriceReport>
  /** For bids from now on; saved at once. */
  setPrice(change: PriceChange): Promise<PriceReport>
  caps(): Promise<CapsReport>
  /** Null takes a cap away. Saved at once. */
  setCaps(change: CapsChange): Promise<CapsReport>
  /** Of a job of this node. */
  bill(job: string): Promise<Bill>
}

/** As `Watch` of the contract, of which only the signal counts: what was sent to the chain stays sent. */
export interface Watching { signal?: AbortSignal }

export type AssetInfo = { kind: 'coin' } | { kind: 'token', symbol: string, decimals: number }
export type LockedBucket = 'deposit' | 'bond' | 'jobs'
export interface Exposed { agreements: number, expectedWei: string, /** When the luck of every ticket is against this node. */ worstWei: string }

export interface Wallet {
  mode: 'devnet' | 'chain'
  address: string
  /** Where earnings go. */
  payee: string
  chainId: number
  contract: string
  asset: AssetInfo
  chain: { state: 'up', blockNumber: number } | { state: 'down', code: string, message: string }
  /** The balances are not of now: the chain does not answer. */
  stale: boolean
  /** Absent when the chain was never seen. `tokens` where the broker holds a token. */
  balances?: { coin: string, tokens?: string, deposit: string, bond: string, jobs: string, /** Of the job bond: refunds that wait to be collected. */ reserved: string, /** What tickets brought and `withdraw earnings` pays out: of the payee, and of this node where that is another. */ credit: string }
  unlocks: { from: LockedBucket, amountWei: string, dueWallMs: number, due: boolean }[]
  /** What this node could lose now: as requester to its providers, as host to its requesters. */
  exposed: { toProviders: Exposed, fromRequesters: Exposed, /** Of the job bond, what running agreements count on. */ bondBehindWei: string }
  pending: { winners: number, winnersWei: string, transactions: number }
  confirmAboveWei?: string
}

export interface FundRequest { to: LockedBucket, amountWei: string }
export interface MoneyMoved { words: string, tx: string, blockNumber: number, feeWei: string }
/** `amountWei` absent: all of it. `to`: another address than the node's own. */
export interface WithdrawRequest { from: LockedBucket | 'earnings', amountWei?: string, to?: string }
export type Withdrawal = { from: LockedBucket | 'earnings', amountWei: string } & (
  | { step: 'asked', dueWallMs: number, moved: MoneyMoved }
  | { step: 'waits', dueWallMs: number }
  | { step: 'withdrawn', moved: MoneyMoved })

/** `left`: the code says why; E_CHAIN_GAS: it costs more than it brings. */
export interface RefundRow { peer: string, job: string, agreement: string, amountWei: string, step: 'claimed' | 'waits' | 'collected' | 'left', code?: string }
export interface RefundsReport { asset: AssetInfo, refunds: RefundRow[] }

/** Sums of tickets. */
export interface TicketSum {
  tickets: number
  expectedWei: string
  /** Wins expected; a fraction of a ticket may be. */
  expectedWins: number
  /** Standard deviation to expect of the value, over what is expected: sqrt(sum of n p (1 - p) F^2) / sum of n p F. */
  deviation: number
}
export interface WinnerView { digest: string, job: string, peer: string, faceWei: string, wonWallMs: number, state: 'pending' | 'submitted' | 'underfunded' | 'redeemed' | 'defaulted' | 'refused', paidWei?: string, gasWei?: string }
export interface TicketsReport {
  asset: AssetInfo
  sinceWallMs: number
  received: TicketSum & { wins: number, wonWei: string, redeemed: number, redeemedWei: string, gasWei: string, pending: number, pendingWei: string, lost: number, lostWei: string, /** (won - expected) / expected. */ off: number, alarm: 'none' | 'too-many' | 'too-few' }
  issued: TicketSum & { redeemed: number, redeemedWei: string, off: number, alarm: 'none' | 'too-many' }
  /** Newest first, a few. */
  winners: WinnerView[]
}

export interface EarningsDay { day: string, tickets: number, expectedWei: string, wins: number, wonWei: string, redeemedWei: string, gasWei: string }
export interface EarningsJob { job: string, requester: string, lastWallMs: number, tickets: number, expectedWei: string, wins: number, wonWei: string }
export interface EarningsReport {
  asset: AssetInfo
  /** Newest first. */
  days: EarningsDay[]
  jobs: EarningsJob[]
  /** Nine times in ten the next week brings between low and high, if its work is as that of the days looked at. Absent before a whole day was seen. */
  forecast?: { days: number, expectedWei: string, lowWei: string, highWei: string, /** Whole days that it rests on. */ basisDays: number, /** Of the deviation, how much is the luck of tickets; the rest is how much work came. */ luckShare: number }
}

export interface PriceReport { asset: AssetInfo, coreHourWei: string, gibHourWei: string, gpuHourWei: string, /** A GiB. */ movedWei: string, /** 2^30 fuel. */ fuelWei: string, unitMs: number, /** Shares, 0 to 1. */ holdback: number, refund: number }
export interface PriceChange { coreHourWei?: string, gibHourWei?: string, gpuHourWei?: string, movedWei?: string, fuelWei?: string }

export interface CapsReport { asset: AssetInfo, jobWei?: string, dayWei?: string, peerDayWei?: string, confirmAboveWei?: string, spentTodayWei: string, /** Today, most first. */ peers: { peer: string, spentWei: string }[] }
export interface CapsChange { jobWei?: string | null, dayWei?: string | null, peerDayWei?: string | null }

export interface BillSums {
  workedMs: number, acceptedMs: number, failedMs: number, waitingMs: number
  /** For results that count, and what that costs. */
  movedBytes: number
  movedWei: string
  tickets: number
  /** Expected value of the tickets signed: what it costs on average. */
  paidWei: string
  /** Of that, what was paid ahead and not worked off: its provider keeps it. */
  aheadWei: string
  /** Of work that waits for its reveal: due when its result matches. */
  heldBackWei: string
  /** Refunds that its provider signed, and what is due of them by the agreement. */
  refundWei: string, refundDueWei: string
  /** What winners took from the deposit so far. */
  winners: number, winnersWei: string
}
export interface BillRow extends BillSums { peer: string, agreement: string, state: string, unitMs: number, unitPriceWei: string }
export interface Bill { asset: AssetInfo, job: string, name: string, state: string, providers: BillRow[], total: BillSums, capWei?: string }

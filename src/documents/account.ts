/** A payer's money on the chain as its provider last saw it confirmed. */
export interface PayerFunds {
  depositWei: bigint
  bondWei: bigint
  /** Withdrawals asked for, and the last second in which the money is still there. */
  depositUnlock?: { amountWei: bigint, lockedUntilSec: number }
  bondUnlock?: { amountWei: bigint, lockedUntilSec: number }
}

/** What the chain holds of somebody, as of a confirmed block. */
export interface Account extends PayerFunds {
  /** What a provider stands behind its work with. */
  jobBondWei: bigint
}

/** What the chain asks of tickets. */
export interface ChainCosts {
  /** Gas of a redemption in a usual batch, times the price of gas. */
  redemptionWei: bigint
  /** The contract pays no ticket that lives longer than its delay; clocks may differ, so a little less. */
  maxTicketLifeSec?: number
}

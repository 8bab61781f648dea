/** What providers ask, and the work that one ticket pays for. */
export interface DemoPrices { readonly coreHourGwei: number, readonly unitMs: number }

/**
 * What a core-hour costs in the demo, chosen so that a minute or two see a handful of winners. A host takes the lowest face
 * value of which a redemption costs 5 % (`payment.redeemShare`): 50,000 gas at some 1.2 gwei are 60,000 gwei, so a winner
 * brings about 1,200,000 gwei. The job takes 60 to 300 core-seconds, the more the fewer cores there are for the four: two
 * replicas of each tile, and what was lost with the liar and the dead. At the default of 10,000 gwei a core-hour that is
 * 170 to 830 gwei, and a winner comes once in 120 core-hours. At 25,000 times as much a core-second costs 69,000 gwei,
 * and the job brings four to seventeen winners.
 */
export const DEMO_PRICES: DemoPrices = Object.freeze({ coreHourGwei: 250_000_000, unitMs: 1_000 })

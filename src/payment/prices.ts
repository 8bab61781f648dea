import type { Resources } from '../documents/resources.ts'
import { GIB, HOUR_MS } from '../units.ts'

/** What a host asks for what it lends, in wei; where nothing else is said, an hour. */
export interface Prices {
  coreHourWei: bigint
  /** Of memory, GiB for an hour. */
  gibHourWei: bigint
  gpuHourWei: bigint
  /** GiB moved: program and inputs that it fetches, results that it sends. */
  movedWei: bigint
  /** 2^30 fuel of metered WebAssembly. No run is metered yet: it is said in bids, and not charged. */
  fuelWei: bigint
}

/** Cores may be parts of one. */
const MILLI = 1000

/** Price of one slot of this shape for `ms`, wei, rounded up: work is never quite free. */
export function slotPriceWei(prices: Prices, { cores, memoryBytes, gpu }: Pick<Resources, 'cores' | 'memoryBytes' | 'gpu'>, ms: number): bigint {
  const perHour = prices.coreHourWei * BigInt(Math.ceil(cores * MILLI)) / BigInt(MILLI)
    + prices.gibHourWei * BigInt(memoryBytes) / BigInt(GIB)
    + prices.gpuHourWei * BigInt(gpu?.count ?? 0)
  const hour = BigInt(HOUR_MS)
  return (perHour * BigInt(ms) + hour - 1n) / hour
}

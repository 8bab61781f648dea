import { CID } from 'multiformats/cid'
import * as Digest from 'multiformats/hashes/digest'
import { ENGINES, HARDWARE_CLASSES } from '../../src/documents/resources.ts'
import { marketName } from '../../src/documents/offer.ts'
import type { Market } from '../../src/documents/offer.ts'
import { PARAMS } from '../../src/params.ts'
import { nativeHasher } from '../keys/index.ts'
import { MARKET_EPOCH_MS } from './options.ts'

const RAW_CODE = 0x55
const SHA2_256_CODE = 0x12

/** Providers announce a new epoch within this, clocks and the spread of the announcement together. */
export const EPOCH_OVERLAP_MS = 5 * PARAMS.clockSkewMs

export function epochOf(wallMs: number): number {
  return Math.floor(wallMs / MARKET_EPOCH_MS)
}

/** The DHT key of a sub-market in an epoch: old records are never asked for, however long strangers keep them. */
export function marketKey(market: Market, epoch: number): CID {
  const preimage = Buffer.from(`hearth/market/1/${marketName(market)}/${epoch}`)
  return CID.createV1(RAW_CODE, Digest.create(SHA2_256_CODE, nativeHasher.sha256(preimage)))
}

/** Keys to ask for now: early in an epoch also those of the one before, whose providers may not have announced themselves again. */
export function keysToAsk(markets: readonly Market[], wallMs: number): CID[] {
  const epoch = epochOf(wallMs)
  const epochs = wallMs % MARKET_EPOCH_MS < EPOCH_OVERLAP_MS ? [epoch, epoch - 1] : [epoch]
  return markets.flatMap((market) => epochs.map((each) => marketKey(market, each)))
}

/** Every sub-market there can be has one of these pairs and a region. */
export const MAX_MARKETS = ENGINES.length * HARDWARE_CLASSES.length * 8

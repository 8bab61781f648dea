import { payerExposure, providerExposure } from '../../src/payment/exposure.ts'
import type { Exposure } from '../../src/payment/exposure.ts'
import { toWei } from '../../src/documents/ticket.ts'
import type { Peer } from '../../src/peer.ts'
import { SECOND_MS } from '../../src/units.ts'
import type { AssetInfo, Exposed, LockedBucket, Wallet } from '../api/money.ts'
import type { Balances, Bucket, ChainClient, Holdings } from '../chain/index.ts'

/** People's word for each bucket of the contract. */
export const BUCKETS: Readonly<Record<LockedBucket, Bucket>> = { deposit: 'deposit', bond: 'bond', jobs: 'jobBond' }
const NAMES: readonly LockedBucket[] = ['deposit', 'bond', 'jobs']

export interface WalletParts {
  chain: ChainClient
  peer: Pick<Peer, 'earning' | 'paying'>
  mode: 'devnet' | 'chain'
  address: string
  payee: string
  chainId: number
  contract: string
  confirmAboveWei: bigint | undefined
}

/** When what was asked for can be withdrawn, by the chain's clock: deposit and bond wait for open claims too. */
export function dueSec({ unlocks, heldUntilSec, openClaims }: Pick<Holdings, 'unlocks' | 'heldUntilSec' | 'openClaims'>, from: LockedBucket): number | undefined {
  const unlock = unlocks[BUCKETS[from]]
  if (unlock === undefined) return undefined
  return from !== 'jobs' && openClaims > 0 ? Math.max(unlock.lockedUntilSec, heldUntilSec) : unlock.lockedUntilSec
}

/** All that an owner has, and what of it could be lost now. A chain that does not answer is said, and what was seen last is shown. */
export async function walletOf({ chain, peer, mode, address, payee, chainId, contract, confirmAboveWei }: WalletParts): Promise<Wallet> {
  const now = await chain.accounts.balances().catch(() => undefined)
  const cold = payee === address ? undefined : await chain.accounts.balances(payee).catch(() => undefined)
  const seen = now ?? chain.snapshot(address)?.snapshot
  const { status } = chain
  const winnersWei = [...peer.earning.winners.all()].reduce((sum, { ticket }) => sum + ticket.faceValueWei, 0n)
  return {
    mode, address, payee, chainId, contract, asset: assetOf(chain),
    chain: status.state === 'up' ? { state: 'up', blockNumber: status.block.number } : { state: 'down', code: status.error.code, message: status.error.message },
    stale: now === undefined,
    ...seen === undefined ? {} : { balances: balancesOf(seen, now, cold?.creditWei ?? 0n) },
    unlocks: seen === undefined ? [] : NAMES.flatMap((from) => {
      const due = dueSec(seen, from)
      return due === undefined ? [] : [{ from, amountWei: (seen.unlocks[BUCKETS[from]]?.amountWei ?? 0n).toString(), dueWallMs: due * SECOND_MS, due: seen.block.timeSec > due || Date.now() > (due + 1) * SECOND_MS }]
    }),
    exposed: { ...exposedNow(peer), bondBehindWei: peer.earning.bond(Date.now()).exposureWei.toString() },
    pending: { winners: peer.earning.winners.size, winnersWei: winnersWei.toString(), transactions: chain.pending.transactions },
    ...confirmAboveWei === undefined ? {} : { confirmAboveWei: confirmAboveWei.toString() }
  }
}

/** Of a chain that never answered it is not known what its broker holds: then coin is assumed. */
export function assetOf(chain: Pick<ChainClient, 'facts'>): AssetInfo {
  try {
    return chain.facts.asset
  } catch {
    return { kind: 'coin' }
  }
}

/** A coin that was not read is none of an old snapshot's business. */
function balancesOf({ depositWei, bondWei, jobBondWei, reservedWei, creditWei }: Holdings, now: Balances | undefined, coldWei: bigint): NonNullable<Wallet['balances']> {
  return {
    coin: (now?.coinWei ?? 0n).toString(), ...now?.tokenWei === undefined ? {} : { tokens: now.tokenWei.toString() },
    deposit: depositWei.toString(), bond: bondWei.toString(), jobs: jobBondWei.toString(), reserved: reservedWei.toString(), credit: (creditWei + coldWei).toString()
  }
}

function exposedNow({ earning, paying }: WalletParts['peer']): Pick<Wallet['exposed'], 'toProviders' | 'fromRequesters'> {
  const open = [...paying.senders.values()].filter(({ state }) => state.kind === 'open' || state.kind === 'closing')
  const live = [...earning.recipients.values()].filter((recipient) => !recipient.isClosed && earning.isLive(recipient.id))
  return {
    toProviders: sum(open.map(({ payment: { terms }, work }) => payerExposure(terms, work.unsettled))),
    fromRequesters: sum(live.map(({ earning: { terms }, work }) => providerExposure(terms, work.unsettled)))
  }
}

function sum(all: readonly Exposure[]): Exposed {
  return {
    agreements: all.length,
    expectedWei: toWei(all.reduce((total, { expected }) => total + expected, 0n)).toString(),
    worstWei: all.reduce((total, { worstWei }) => total + worstWei, 0n).toString()
  }
}

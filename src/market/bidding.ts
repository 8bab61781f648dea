import type { ErrorCode } from '../errors.ts'
import type { HostState } from '../core/event.ts'
import type { Offer } from '../documents/offer.ts'
import type { PeerHistory } from '../reputation/history.ts'
import { formatDuration, formatSize } from '../units.ts'
import type { Capacity } from './capacity.ts'
import type { SharePolicy } from '../documents/share.ts'
import { heldBy, unmetResources } from './fit.ts'
import type { Unmet } from './fit.ts'
import { imageUnmet } from './images.ts'

/** Below this many served tasks a requester's share of faulty programs says nothing. */
const FAULT_SAMPLE = 10

export interface HostView {
  policy: SharePolicy
  capacity: Capacity
  host: HostState
  draining: boolean
  history: PeerHistory
  /** Why this requester is not served on the terms of the day. */
  unwelcome?: Unmet | undefined
}
export type BidDecision = { kind: 'bid', slots: number } | { kind: 'decline', code: ErrorCode, message: string, unmet: ErrorCode[] }

function withinHours(policy: SharePolicy, host: HostState): boolean {
  if (policy.hours.length === 0) return true
  return policy.hours.some(({ days, fromMinute, toMinute }) => {
    const spansMidnight = fromMinute > toMinute
    const late = host.minuteOfDay >= fromMinute
    const early = host.minuteOfDay < toMinute
    const inside = spansMidnight ? late || early : late && early
    /** The hours after midnight belong to the day on which they began. */
    const day = spansMidnight && early ? (host.weekday + 6) % 7 : host.weekday
    return inside && (days === undefined || days.includes(day))
  })
}

/** What closes this host to everyone for now; undefined when it is open. */
export function closedBecause(view: Pick<HostView, 'policy' | 'host' | 'draining'>): Unmet | undefined {
  if (view.draining) return { code: 'E_HOST_DRAINING', message: 'is shutting down' }
  if (!view.policy.enabled) return { code: 'E_HOST_NOT_SHARING', message: 'lends nothing' }
  if (view.policy.paused) return { code: 'E_HOST_PAUSED', message: 'is paused by its owner' }
  if (!withinHours(view.policy, view.host)) return { code: 'E_HOST_HOURS', message: 'is outside its hours' }
  if (view.policy.onlyWhenIdle && view.host.ownerActive) return { code: 'E_HOST_ACTIVE', message: 'is in use by its owner' }
  return undefined
}

function unmetByPolicy(offer: Offer, view: HostView): Unmet[] {
  const { policy, history } = view
  const unmet: Unmet[] = []
  if (policy.deny.includes(offer.requester) || (policy.allow.length > 0 && !policy.allow.includes(offer.requester))) unmet.push({ code: 'E_HOST_DENIES', message: 'does not serve this requester' })
  if (view.unwelcome !== undefined) unmet.push(view.unwelcome)
  if (history.served >= FAULT_SAMPLE && history.faulty / history.served > policy.maxRequesterFaultShare) unmet.push({ code: 'E_HOST_HISTORY', message: 'has seen too many of this requester\'s programs fail' })
  if (!policy.engines.includes(offer.market.engine)) unmet.push({ code: 'E_FIT_ENGINE', message: `runs ${policy.engines.join(', ')}, not ${offer.market.engine}` })
  if (offer.market.region !== 'any' && offer.market.region !== policy.region) unmet.push({ code: 'E_FIT_REGION', message: `is in ${policy.region}, not ${offer.market.region}` })
  if (offer.runMs > policy.maxRunMs) unmet.push({ code: 'E_FIT_RUN_TIME', message: `runs tasks of at most ${formatDuration(policy.maxRunMs)}, this one may take ${formatDuration(offer.runMs)}` })
  if (offer.inputBytes + offer.moduleBytes > policy.maxInputBytes) unmet.push({ code: 'E_FIT_INPUT', message: `fetches at most ${formatSize(policy.maxInputBytes)}, the inputs have ${formatSize(offer.inputBytes + offer.moduleBytes)}` })
  return offer.container === undefined ? unmet : [...unmet, ...imageUnmet(offer.container, policy)]
}

/**
 * Whether this host wants the offered job. All unmet requirements are listed, not only the first, so that the requester
 * learns which one keeps everybody away.
 */
export function decideBid(offer: Offer, view: HostView): BidDecision {
  const closed = closedBecause(view)
  const unmet = [...closed === undefined ? [] : [closed], ...unmetByPolicy(offer, view), ...unmetResources(heldBy(offer), view.capacity.total)]
  const imageBytes = offer.container?.image.from === 'content' ? offer.container.image.sizeBytes : 0
  if (view.host.diskFreeBytes < offer.inputBytes + imageBytes + offer.resources.diskBytes) unmet.push({ code: 'E_FIT_DISK', message: `has ${formatSize(view.host.diskFreeBytes)} of disk free` })
  const slots = unmet.length > 0 ? 0 : view.capacity.slotsFor(heldBy(offer))
  if (unmet.length === 0 && slots === 0) unmet.push({ code: 'E_HOST_BUSY', message: view.capacity.shortOf(heldBy(offer)) })
  const first = unmet[0]
  if (first === undefined) return { kind: 'bid', slots: Math.min(slots, offer.tasks * offer.replicas) }
  return { kind: 'decline', code: first.code, message: first.message, unmet: [...new Set(unmet.map(({ code }) => code))] }
}

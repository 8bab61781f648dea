import type { Effect } from '../core/effect.ts'
import type { PeerEvent } from '../core/event.ts'
import type { Message } from '../documents/message.ts'
import type { Observation } from './observation.ts'

type Name = (peer: string) => string
/** Addresses are counted, so that they differ at their end. */
const ADDRESS_CHARS = 42

/** Short enough to read, long enough to tell apart. */
function id(text: string): string {
  return text.startsWith('0x') && text.length !== ADDRESS_CHARS ? text.slice(2, 8) : text.slice(-6)
}

function lease({ agreement, task, attempt }: { agreement: string, task: number, attempt: number }): string {
  return `${id(agreement)}/${task}/${attempt}`
}

function leases(refs: readonly { task: number, attempt: number }[]): string {
  return refs.map(({ task, attempt }) => `${task}/${attempt}`).join(' ')
}

function ofMessage(message: Message): string {
  switch (message.kind) {
    case 'offer': return `offer ${id(message.offer.job)} round ${message.offer.round}`
    case 'bid': return `bid ${id(message.bid.job)} slots ${message.bid.slots}`
    case 'decline': return `decline ${id(message.decline.job)} ${message.decline.code}`
    case 'propose': return `propose ${id(message.agreement.job)} slots ${message.agreement.slots} [${leases(message.leases)}]`
    case 'agreed':
    case 'probe':
    case 'closed': return `${message.kind} ${id(message.agreement)}`
    case 'refused':
    case 'close': return `${message.kind} ${id(message.agreement)} ${message.code}`
    case 'lease':
    case 'cancel': return `${message.kind} ${id(message.agreement)} [${leases(message.leases)}]`
    case 'beat': return `beat ${id(message.agreement)} [${leases(message.running)}]${message.suspended ? ' suspended' : ''}`
    case 'progress': return `progress ${lease(message)} ${message.phase}`
    case 'failed': return `failed ${lease(message)} ${message.code}`
    case 'commit': return `commit ${lease(message)} ${id(message.commit)}`
    case 'closed-set': return `closed-set ${lease(message)} round ${message.set.round} [${message.set.commits.map(id).join(' ')}]`
    case 'reveal': return `reveal ${lease(message.receipt)} ${id(message.receipt.result.content)}`
    case 'verdict': return `verdict ${lease(message)} ${message.verdict} ${message.code}`
    case 'ticket': return `ticket ${id(message.agreement)}/${message.index}`
    case 'credit': return `credit ${id(message.agreement)} ${message.state.tickets} tickets${message.final ? ' final' : ''}`
    case 'ticket-refused': return `ticket-refused ${id(message.agreement)}/${message.index} ${message.code}`
    case 'reconcile': return `reconcile ${id(message.agreement)} ${message.state.tickets} tickets${message.final ? ' final' : ''}`
    case 'refund': return `refund ${id(message.agreement)} ${message.amountWei} wei`
    case 'settled':
    case 'peek':
    case 'peeked': return `${message.kind} ${lease(message)}`
  }
}

function ofEvent(event: PeerEvent, name: Name): string {
  switch (event.kind) {
    case 'message': return `< ${name(event.from)} ${ofMessage(event.message)}`
    case 'peer-connected':
    case 'peer-disconnected':
    case 'unreachable': return `${event.kind} ${name(event.peer)}`
    case 'offer-sent': return `offer-sent ${id(event.job)} round ${event.round} to ${event.recipients.map(name).join(' ')}`
    case 'submit':
    case 'cancel':
    case 'forget': return `${event.kind} ${id(event.job)}`
    case 'run-progress': return `run-progress ${lease(event.lease)} ${event.phase}`
    case 'run-finished': return `run-finished ${lease(event.lease)} ${id(event.result.content)}`
    case 'run-failed': return `run-failed ${lease(event.lease)} ${event.code}`
    case 'compared': return `compared ${id(event.job)}/${event.task} ${id(event.opinion)} ${event.outcome.kind}${event.outcome.kind === 'same' ? ` ${id(event.outcome.as)}` : event.outcome.kind === 'other' ? ` ${event.outcome.segment ?? ''}` : ''}`
    case 'result-fetched':
    case 'result-lost': return `${event.kind} ${id(event.job)}/${event.task} ${id(event.content)}`
    case 'woke': return `woke after ${event.sleptMs.toFixed(0)} ms`
    case 'host': return `host ${event.host.ownerActive ? 'in use' : 'idle'}`
    case 'ad': return `ad of ${name(event.ad.identity.peer)}`
    case 'account': return `account ${id(event.address)} ${event.account === undefined ? 'unseen' : `${event.account.depositWei} ${event.account.bondWei}`}`
    case 'redeemed': return `redeemed ${id(event.agreement)}/${event.index} ${event.paid ? 'paid' : 'lost'}`
    case 'chain-costs':
    case 'money':
    case 'start':
    case 'tick':
    case 'share':
    case 'rate':
    case 'draining': return event.kind
  }
}

function ofEffect(effect: Effect, name: Name): string {
  switch (effect.kind) {
    case 'send': return `> ${name(effect.to)} ${ofMessage(effect.message)}`
    case 'publish-offer': return `publish-offer ${id(effect.offer.job)} round ${effect.offer.round}`
    case 'advertise': return `advertise ${effect.open ? 'open' : 'shut'} ${effect.free.cores} cores`
    case 'run': return `run ${lease(effect.lease)}${effect.segment === undefined ? '' : ` segment ${effect.segment}`}`
    case 'stop-run':
    case 'release-result': return `${effect.kind} ${lease(effect.lease)}`
    case 'prefetch': return `prefetch [${effect.tasks.join(' ')}]`
    case 'suspend-runs': return `suspend-runs ${effect.suspend}`
    case 'fetch-result': return `fetch-result ${id(effect.job)}/${effect.task} ${id(effect.content)} from ${effect.from.map(({ peer }) => name(peer)).join(' ')}`
    case 'compare': return `compare ${id(effect.job)}/${effect.task} ${id(effect.fresh.opinion)} with ${effect.against.map(({ opinion }) => id(opinion)).join(' ')}`
    case 'release-job': return `release-job ${id(effect.job)}`
    case 'notify': {
      const { notice } = effect
      const about = 'task' in notice ? ` task ${notice.task}` : ''
      const state = 'state' in notice ? ` ${notice.state}` : ''
      const code = 'code' in notice && notice.code !== 'E_NONE' ? ` ${notice.code}` : ''
      return `* ${notice.kind}${about}${state}${'peer' in notice && notice.peer !== '' ? ` ${name(notice.peer)}` : ''}${code}`
    }
    case 'hold-run': return `hold-run ${lease(effect.lease)} ${effect.held}`
    case 'watch-account': return `watch-account ${id(effect.address)}`
    case 'redeem': return `redeem ${id(effect.winner.agreement)}/${effect.winner.index}`
    case 'find-ads': return effect.kind
  }
}

/** One line for the trace. */
export function describe(observation: Observation, name: Name): string | undefined {
  switch (observation.kind) {
    case 'stepped': {
      const { step } = observation
      const writes = step.writes.map(({ kind, key }) => `${kind === 'put' ? '+' : '-'}${key.slice(0, key.indexOf('/') + 1)}${key.split('/').slice(1).map((part, i) => i === 0 || part.length > 12 ? id(part) : part).join('/')}`)
      return `${ofEvent(observation.event, name)}${observation.repeat ? ' (again)' : ''}${writes.length === 0 ? '' : ` {${writes.join(' ')}}`}`
    }
    case 'performed': return `  ${ofEffect(observation.effect, name)}`
    case 'crashed': return 'CRASHED'
    case 'block': {
      const { number, included } = observation.block
      return included.length === 0 ? undefined : `block ${number}: ${included.map(({ tx, refusal }) => `${tx.kind} of ${id(tx.from)}${refusal === undefined ? '' : ` (${refusal})`}`).join(', ')}`
    }
    case 'restarted': return `RESTARTED with ${observation.records.length} records`
    case 'committed':
    case 'settled': return undefined
  }
}

import { toHex } from '../codec/hasher.ts'
import type { Hasher } from '../codec/hasher.ts'
import { agreementDigest } from '../documents/agreement.ts'
import type { Message } from '../documents/message.ts'
import type { Ticket } from '../documents/ticket.ts'
import type { Behaviour } from './behaviour.ts'
import { hashText, Random } from './random.ts'
import { cidOf } from './truth.ts'

/** What stands between an ill-meaning peer and its network. One of its own a computer: it remembers what it did. */
export interface Misdeed {
  /** What leaves instead of this message; nothing, or more than one, may. */
  say(message: Message): readonly Message[]
  /** What is answered in the peer's place, without the peer hearing of it. */
  answer(message: Message, hasher: Hasher): Message | undefined
}

const NONE: Misdeed = { say: (message) => [message], answer: () => undefined }
/** What a silent provider owes and does not say; as a requester it speaks. */
const UNSAID: readonly Message['kind'][] = ['beat', 'progress', 'failed', 'commit', 'reveal', 'settled', 'closed', 'credit', 'ticket-refused', 'refund']
/** As every simulated peer's: chain 0. */
const SEPARATOR = new Uint8Array(32)

type Of<K extends Message['kind']> = Extract<Message, { kind: K }>

/** Changes messages of one kind, and lets the others pass. */
function saying<K extends Message['kind']>(kind: K, change: (message: Of<K>) => readonly Message[]): Misdeed {
  const isOurs = (message: Message): message is Of<K> => message.kind === kind
  return { ...NONE, say: (message) => isOurs(message) ? change(message) : [message] }
}

export function misdeed(behaviour: Behaviour): Misdeed {
  switch (behaviour.kind) {
    case 'mute': return saying('reveal', () => [])
    case 'silent': return { ...NONE, say: (message) => UNSAID.includes(message.kind) ? [] : [message] }
    case 'overbidder': return saying('bid', ({ bid }) => [{ kind: 'bid', bid: { ...bid, slots: bid.slots * behaviour.factor } }])
    case 'two-faced': return saying('reveal', (message) => [twoFaced(message, behaviour.share)])
    case 'refuser': return { ...NONE, answer: (message, hasher) => message.kind === 'propose' ? { kind: 'refused', agreement: toHex(agreementDigest(hasher, SEPARATOR, message.agreement)), code: 'E_HOST_BUSY', message: 'changed its mind' } : undefined }
    case 'deadbeat': return deadbeat(behaviour.afterTickets)
    case 'counterfeiter': return saying('ticket', (message) => [counterfeit(message, behaviour.share)])
    case 'double-signer': return saying('ticket', (message) => [message, { ...message, ticket: { ...message.ticket, salt: `0x${message.ticket.salt.slice(4)}00` } }])
    case 'claimant': return claimant()
    case 'unacknowledging': return saying('credit', () => [])
    case 'redrawer': return saying('credit', (message) => [redrawn(message)])
    case 'recommitter': return recommitter()
    case 'overexposer': return overexposer()
    case 'honest':
    case 'liar':
    case 'straggler':
    case 'flaky':
    case 'forger':
    case 'withdrawer':
    case 'overdrawer':
    case 'crasher': return NONE
  }
}

/** Its peer believes that it pays: what it signs does not leave. */
function deadbeat(afterTickets: number): Misdeed {
  const paid = new Set<string>()
  return saying('ticket', (message) => {
    const name = `${message.agreement}/${message.index}`
    if (!paid.has(name) && paid.size >= afterTickets) return []
    paid.add(name)
    return [message]
  })
}

const FORGERIES: readonly [(message: Of<'ticket'>) => Partial<Ticket>, ...((message: Of<'ticket'>) => Partial<Ticket>)[]] = [
  ({ ticket }) => ({ faceValueWei: ticket.faceValueWei / 2n }),
  ({ ticket }) => ({ faceValueWei: ticket.faceValueWei * 2n, winProb: ticket.winProb / 2n }),
  ({ ticket }) => ({ winProb: ticket.winProb / 2n }),
  ({ ticket }) => ({ payee: ticket.payer }),
  ({ ticket }) => ({ expirySec: ticket.expirySec - 600 }),
  ({ ticket }) => ({ commit: ticket.salt }),
  ({ ticket }) => ({ context: ticket.salt })
]

function counterfeit(message: Of<'ticket'>, share: number): Message {
  const luck = new Random(hashText(`${message.agreement}/${message.index}`))
  return luck.chance(share) ? { ...message, ticket: { ...message.ticket, ...luck.pick(FORGERIES)(message) } } : message
}

/** What it says to have worked grows with everything it says, up to what anybody would believe; it shows nothing. */
function claimant(): Misdeed {
  let claimed = 0
  return { ...NONE, say: (message) => {
    if (message.kind === 'commit' || message.kind === 'failed' || message.kind === 'reveal') return []
    if (message.kind !== 'beat' || message.worked === undefined) return [message]
    claimed += 20_000
    return [{ ...message, worked: message.worked + claimed }]
  } }
}

function redrawn(message: Of<'credit'>): Message {
  const { state } = message
  if (state.tickets === 0) return message
  const each = state.expectedPaid / BigInt(state.tickets)
  return { ...message, state: { ...state, sequence: state.sequence + 1, tickets: state.tickets - 1, expectedPaid: state.expectedPaid - each } }
}

/** The first commit that it offered comes again under each later number. */
function recommitter(): Misdeed {
  const first = new Map<string, string>()
  return { ...NONE, say: (message) => {
    if ((message.kind !== 'credit' && message.kind !== 'agreed') || message.lots === undefined) return [message]
    const known = first.get(message.agreement)
    const own = message.lots[0]?.commits[0]
    if (known === undefined && own !== undefined) first.set(message.agreement, own)
    if (known === undefined || message.kind === 'agreed') return [message]
    return [{ ...message, lots: message.lots.map((lot) => ({ ...lot, commits: lot.commits.map((commit, i) => i === lot.commits.length - 1 && lot.first + i > 0 ? known : commit) })) }]
  } }
}

/** Its peer believes that its bond has no end; what it says of it counts the agreement at hand alone. */
function overexposer(): Misdeed {
  return { ...NONE, say: (message) => {
    if (message.kind === 'bid') return [{ kind: 'bid', bid: { ...message.bid, exposureWei: 0n } }]
    if (message.kind !== 'agreed' || message.exposure === undefined) return [message]
    return [{ ...message, exposure: { ...message.exposure, totalWei: message.exposure.ownWei } }]
  } }
}

function twoFaced(message: Extract<Message, { kind: 'reveal' }>, share: number): Message {
  const { receipt } = message
  const name = `${receipt.agreement}/${receipt.task}/${receipt.attempt}`
  if (!new Random(hashText(name)).chance(share)) return message
  return { ...message, receipt: { ...receipt, result: { ...receipt.result, content: cidOf(`other ${name}`) } } }
}

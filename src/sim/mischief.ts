import { toHex } from '../codec/hasher.ts'
import type { Hasher } from '../codec/hasher.ts'
import { agreementDigest } from '../documents/agreement.ts'
import type { Message } from '../documents/message.ts'
import type { Behaviour } from './behaviour.ts'
import { hashText, Random } from './random.ts'
import { cidOf } from './truth.ts'

/** What stands between an ill-meaning peer and its network. */
export interface Misdeed {
  /** What leaves instead of this message; undefined when nothing does. */
  say(message: Message): Message | undefined
  /** What is answered in the peer's place, without the peer hearing of it. */
  answer(message: Message, hasher: Hasher): Message | undefined
}

const NONE: Misdeed = { say: (message) => message, answer: () => undefined }
/** What a silent provider owes and does not say; as a requester it speaks. */
const UNSAID: readonly Message['kind'][] = ['beat', 'progress', 'failed', 'commit', 'reveal', 'settled', 'closed']
/** As every simulated peer's: chain 0. */
const SEPARATOR = new Uint8Array(32)

export function misdeed(behaviour: Behaviour): Misdeed {
  switch (behaviour.kind) {
    case 'mute': return { ...NONE, say: (message) => message.kind === 'reveal' ? undefined : message }
    case 'silent': return { ...NONE, say: (message) => UNSAID.includes(message.kind) ? undefined : message }
    case 'overbidder': return { ...NONE, say: (message) => message.kind === 'bid' ? { kind: 'bid', bid: { ...message.bid, slots: message.bid.slots * behaviour.factor } } : message }
    case 'two-faced': return { ...NONE, say: (message) => message.kind === 'reveal' ? twoFaced(message, behaviour.share) : message }
    case 'refuser': return { ...NONE, answer: (message, hasher) => message.kind === 'propose' ? { kind: 'refused', agreement: toHex(agreementDigest(hasher, SEPARATOR, message.agreement)), code: 'E_HOST_BUSY', message: 'changed its mind' } : undefined }
    case 'honest':
    case 'liar':
    case 'straggler':
    case 'flaky':
    case 'forger':
    case 'crasher': return NONE
  }
}

function twoFaced(message: Extract<Message, { kind: 'reveal' }>, share: number): Message {
  const { receipt } = message
  const name = `${receipt.agreement}/${receipt.task}/${receipt.attempt}`
  if (!new Random(hashText(name)).chance(share)) return message
  return { ...message, receipt: { ...receipt, result: { ...receipt.result, content: cidOf(`other ${name}`) } } }
}

import type { Message } from '../../documents/message.ts'
import { DEAL_PREFIX } from '../../job/deals.ts'
import type { DealRecord } from '../../job/deals.ts'
import type { Checker } from '../observation.ts'

/** The agreement that a message speaks of. */
function agreementOf(message: Message): string | undefined {
  if (message.kind === 'reveal') return message.receipt.agreement
  return 'agreement' in message && typeof message.agreement === 'string' ? message.agreement : undefined
}

/** Nobody but its two parties can change anything under an agreement, whatever ids a stranger has come to know. */
export function strangersChangeNothing(): Checker {
  const parties = new Map<string, { requester: string, provider: string }>()
  return {
    name: 'strangers change nothing',
    observe(observation) {
      if (observation.kind !== 'stepped') return undefined
      for (const write of observation.writes) {
        if (write.kind === 'put' && write.key.startsWith(DEAL_PREFIX)) parties.set(write.key.slice(DEAL_PREFIX.length), (write.value as DealRecord).agreement)
      }
      const { event, computer, step } = observation
      if (event.kind !== 'message') return undefined
      const party = parties.get(agreementOf(event.message) ?? '')
      if (party === undefined || event.from === party.requester || event.from === party.provider) return undefined
      return step.writes.length > 0 ? `${computer.name} wrote ${step.writes.map(({ key }) => key).join(', ')} on a stranger's ${event.message.kind}` : undefined
    }
  }
}

import { randomUUID } from 'node:crypto'
import type { EffectOf } from '../../src/core/effect.ts'
import type { Job } from '../../src/job/job.ts'
import type { Message } from '../../src/documents/message.ts'
import { SECOND_MS } from '../../src/units.ts'
import type { Notices } from '../driver/notices.ts'
import type { FetchContent } from '../work/content-port.ts'
import { EARLY_OWNER } from './leftovers.ts'

type Early = Extract<EffectOf<'notify'>['notice'], { kind: 'early' }>
export interface EarlyResult {
  content: string
  exitCode: number
  /** Call it when the content has been looked at: until then the store keeps it. */
  release: () => Promise<void>
}

/** A provider that does not say what it committed to within this has other things to do. */
const ANSWER_MS = 5 * SECOND_MS

export interface EarlyParts {
  send: (to: string, message: Message) => Promise<void>
  notices: Pick<Notices, 'follow'>
  fetch: FetchContent
  unpin: (cid: string, owner: string) => Promise<void>
}

/** A first result of a task, before any vote, from a provider that has committed to it: its word alone. */
export async function takeEarly({ send, notices, fetch, unpin }: EarlyParts, job: Pick<Job, 'id' | 'tasks'>, index: number): Promise<EarlyResult | undefined> {
  const replica = job.tasks.get(index)?.replicas.find(({ segment, state }) => segment === undefined && (state.kind === 'committed' || state.kind === 'closing' || state.kind === 'revealed'))
  if (replica === undefined) return undefined
  const signal = AbortSignal.timeout(ANSWER_MS)
  const answer = nextEarly(notices, job.id, index, signal)
  await send(replica.provider, { kind: 'peek', agreement: replica.agreement, task: index, attempt: replica.attempt })
  const early = await answer
  if (early === undefined) return undefined
  const { content, contentBytes, exitCode, peer, agreement } = early
  // each look has a pin of its own: one that ends must not take the content from under another
  const owner = `${EARLY_OWNER}${job.id}/${randomUUID()}`
  await fetch({ cid: content, from: [peer], agreementId: agreement, maxBytes: contentBytes, pinFor: owner })
  return { content, exitCode, release: async () => { await unpin(content, owner) } }
}

async function nextEarly(notices: EarlyParts['notices'], job: string, index: number, signal: AbortSignal): Promise<Early | undefined> {
  for await (const notice of notices.follow(job, false, signal)) if (notice.kind === 'early' && notice.task === index) return notice
  return undefined
}

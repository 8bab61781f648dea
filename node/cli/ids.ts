import { HearthError } from '../../src/errors.ts'
import type { NodeApi } from '../api/contract.ts'
import { clean, truncate } from './term/text.ts'
import { UsageError } from './usage-error.ts'

/** Ids of one kind begin alike: what comes after is what people tell apart, and what they may type. */
const HEADS = ['12D3KooW', 'bafyrei']
const SHORT_CHARS = 8
const MAX_NAMED = 4

/** `bafyreihq3k5q2m…` -> `hq3k5q2m`; accepted wherever an id is, like any other beginning of one. */
export function shortId(id: string): string {
  const head = HEADS.find((head) => id.startsWith(head) && id.length > head.length + SHORT_CHARS)
  const text = clean(id)
  return head === undefined ? truncate(text, 16, 'middle') : text.slice(head.length, head.length + SHORT_CHARS)
}

function fits(id: string, typed: string): boolean {
  if (id.startsWith(typed)) return true
  const head = HEADS.find((head) => id.startsWith(head))
  return head !== undefined && id.startsWith(typed, head.length)
}

/** Checked before anything is asked. Throws E_ID_FORM. */
export function checkId(typed: string, what: 'job' | 'peer'): string {
  if (/^[A-Za-z0-9]{1,128}$/.test(typed)) return typed
  throw new UsageError('E_ID_FORM', `"${clean(typed)}" is not a ${what} id`, `Ids are letters and digits; \`${what === 'job' ? 'jobs' : 'peers'}\` lists them, and their beginning is enough`)
}

/** The one id that `typed` is, or begins. Throws E_ID_AMBIGUOUS, or `unknown`. */
function pick(typed: string, ids: readonly string[], unknown: HearthError): string {
  if (ids.includes(typed)) return typed
  const found = [...new Set(ids.filter((id) => fits(id, typed)))]
  const [id] = found
  if (id === undefined) throw unknown
  if (found.length === 1) return id
  const named = found.slice(0, MAX_NAMED).map(shortId).join(', ')
  throw new HearthError('E_ID_AMBIGUOUS', `"${typed}" could be any of ${found.length}: ${named}${found.length > MAX_NAMED ? ', …' : ''}`, 'Type more of it')
}

/** A job by its id, a beginning of it, or `last`. */
export async function resolveJob(api: NodeApi, typed: string): Promise<string> {
  checkId(typed, 'job')
  const jobs = await api.jobs()
  if (typed === 'last') {
    const newest = jobs.toSorted((a, b) => b.createdWallMs - a.createdWallMs)[0]
    if (newest === undefined) throw new HearthError('E_JOB_UNKNOWN', 'There is no job yet', 'Send one with `submit FILE`')
    return newest.id
  }
  return pick(typed, jobs.map((job) => job.id), new HearthError('E_JOB_UNKNOWN', `There is no job "${typed}"`, 'See `jobs` for those there are'))
}

/** A peer by its id or a beginning of it: connected, or known by its ad. A full id of any other peer is taken as it is. */
export async function resolvePeer(api: NodeApi, typed: string): Promise<string> {
  checkId(typed, 'peer')
  const [peers, ads] = await Promise.all([api.peers(), api.ads()])
  const known = [...peers.map(({ peer }) => peer), ...ads.map(({ ad }) => ad.identity.peer)]
  if (/^12D3KooW[1-9A-HJ-NP-Za-km-z]{44}$/.test(typed)) return typed
  return pick(typed, known, new HearthError('E_PEER_UNKNOWN', `No peer "${typed}" is known`, 'See `peers` and `ads` for those there are'))
}

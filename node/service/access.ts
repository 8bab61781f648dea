import { accept, refuse } from '../../src/codec/result.ts'
import type { Result } from '../../src/codec/result.ts'
import type { ResultRequest } from '../../src/documents/message.ts'
import { leaseKey } from '../../src/job/lease.ts'
import type { Peer } from '../../src/peer.ts'
import type { LogPiece } from '../work/log-hub.ts'
import { jobRoots } from './job-store.ts'

/**
 * Who may read what: the providers of a job its document, module and inputs; the requester of an agreement the results
 * committed under it. Everybody else nothing: content is private unless an agreement says otherwise.
 */
export class Access {
  readonly #peer: Peer
  readonly #roots = new Map<string, Set<string>>()

  constructor(peer: Peer) {
    this.#peer = peer
  }

  mayRead(request: { peer: string, cid: string, agreementId?: string | undefined }): boolean {
    return request.agreementId !== undefined && (this.#asProvider(request.peer, request.cid, request.agreementId) || this.#asRequester(request.peer, request.cid, request.agreementId))
  }

  /** The requester of a lease may follow what it prints. */
  logs(from: string, request: ResultRequest, follow: (lease: string) => AsyncIterable<LogPiece>): Result<AsyncIterable<LogPiece>> {
    const agreement = this.#peer.hosting.agreement(request.agreement)
    if (agreement === undefined || agreement.requester !== from) return refuse('E_LOG_NONE', 'no such lease of yours runs here')
    return accept(onlyFrom(follow(leaseKey(request)), request))
  }

  /** A job ended: nobody needs its roots any more. */
  forget(job: string): void {
    this.#roots.delete(job)
  }

  #asProvider(peer: string, cid: string, agreementId: string): boolean {
    const job = this.#peer.requesting.jobOf(agreementId, peer)
    if (job === undefined) return false
    let roots = this.#roots.get(job.id)
    if (roots === undefined) {
      roots = jobRoots(job.document, job.id)
      this.#roots.set(job.id, roots)
    }
    return roots.has(cid)
  }

  #asRequester(peer: string, cid: string, agreementId: string): boolean {
    return this.#peer.hosting.book.resultsFor(agreementId, peer).includes(cid)
  }
}

/** The stream asked for, from the byte asked for. */
async function * onlyFrom(pieces: AsyncIterable<LogPiece>, { follow, fromByte }: ResultRequest): AsyncGenerator<LogPiece> {
  let skip = fromByte
  for await (const { stream, bytes } of pieces) {
    if (follow !== 'both' && follow !== stream) continue
    const rest = bytes.subarray(Math.min(skip, bytes.length))
    skip -= bytes.length - rest.length
    if (rest.length > 0) yield { stream, bytes: rest }
  }
}

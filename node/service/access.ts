import type { Peer } from '../../src/peer.ts'
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
    return this.#peer.hosting.resultsFor(agreementId, peer).includes(cid)
  }
}

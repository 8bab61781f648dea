import { mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { accept, refuse } from '../../src/codec/result.ts'
import type { Result } from '../../src/codec/result.ts'
import { secretListCodec } from '../../src/documents/secrets.ts'
import type { Secret, SecretRequest } from '../../src/documents/secrets.ts'
import type { Peer } from '../../src/peer.ts'
import type { SecretBox } from '../keys/index.ts'

/** The secrets of this node's own jobs, sealed, a file a job, until the job has ended. */
export class SecretStore {
  readonly #dir: string
  readonly #box: SecretBox

  private constructor(dir: string, box: SecretBox) {
    this.#dir = dir
    this.#box = box
  }

  /** `isRunning`: whether a job may still need its secrets; those of others go. */
  static async open(dir: string, box: SecretBox, isRunning: (job: string) => boolean): Promise<SecretStore> {
    await mkdir(dir, { recursive: true, mode: 0o700 })
    for (const name of await readdir(dir)) if (!isRunning(name)) await rm(join(dir, name), { force: true })
    return new SecretStore(dir, box)
  }

  /** On the disk for good when it resolves: the job is stored after that. */
  async keep(job: string, secrets: readonly Secret[]): Promise<void> {
    if (secrets.length === 0) return
    const path = join(this.#dir, job)
    const file = await open(`${path}.new`, 'w', 0o600)
    try {
      await file.writeFile(this.#box.seal(secretListCodec.encode({ v: 1, secrets: [...secrets] })))
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(`${path}.new`, path)
  }

  async forget(job: string): Promise<void> {
    await rm(join(this.#dir, job), { force: true })
  }

  /** To a provider that holds that lease of ours now: everybody else gets nothing, and is not told why. */
  async give(peer: Peer, from: string, request: SecretRequest): Promise<Result<readonly Secret[]>> {
    const refused = refuse('E_SECRET_REFUSED', 'no such lease')
    const job = peer.requesting.jobOf(request.agreement, from)
    if (job?.document.engine.kind !== 'container' || job.document.engine.secrets === undefined || !peer.requesting.leases(request.agreement, request)) return refused
    const sealed = await readFile(join(this.#dir, job.id)).catch(() => undefined)
    const opened = sealed === undefined ? undefined : this.#box.open(sealed)
    const list = opened === undefined ? undefined : secretListCodec.decode(opened)
    return list?.ok === true ? accept(list.value.secrets) : refused
  }
}

import { CID } from 'multiformats/cid'
import * as Digest from 'multiformats/hashes/digest'
import type { RunResult } from '../documents/receipt.ts'
import type { Behaviour } from './behaviour.ts'
import { hashText, Random } from './random.ts'
import type { JobSpec } from './scenario.ts'

const DAG_CBOR = 0x71
const SHA2_256 = 0x12
/** Made results kept; one a (job, task, lie). */
const MAX_CONTENTS = 200_000

/** A CID that is a fact about `text`, without a real hash. */
export function cidOf(text: string): string {
  return CID.createV1(DAG_CBOR, Digest.create(SHA2_256, new Random(hashText(text) * 2 ** 20 + (hashText(text, 7) & 0xfffff)).bytes(32))).toString()
}

/** What each task gives on an honest computer, and what liars say instead. */
export class Truth {
  readonly #contents = new Map<string, string>()

  result(job: string, spec: JobSpec, task: number): RunResult {
    return spec.failing.includes(task)
      ? { status: 'trapped', exitCode: 0, trap: 'E_TRAP_UNREACHABLE', content: this.#content(`${job}/${task}/trap`), contentBytes: 64 }
      : { status: 'exited', exitCode: 0, trap: 'E_NONE', content: this.#content(`${job}/${task}`), contentBytes: 1024 }
  }

  /** What this peer claims; the same again for the same task, so that a restart does not change its mind. */
  claim(seed: number, behaviour: Behaviour, peer: number, job: string, spec: JobSpec, task: number): RunResult {
    if (behaviour.kind !== 'liar') return this.result(job, spec, task)
    const liar = behaviour.ring === undefined ? `peer ${peer}` : `ring ${behaviour.ring}`
    const lies = new Random(hashText(`${seed}/${liar}/${job}/${task}`)).chance(behaviour.share)
    return lies ? this.lie(job, task, liar) : this.result(job, spec, task)
  }

  lie(job: string, task: number, liar: string): RunResult {
    return { status: 'exited', exitCode: 0, trap: 'E_NONE', content: this.#content(`${job}/${task}/${liar}`), contentBytes: 1024 }
  }

  #content(name: string): string {
    let content = this.#contents.get(name)
    if (content === undefined) {
      content = cidOf(name)
      this.#contents.set(name, content)
      if (this.#contents.size > MAX_CONTENTS) this.#contents.clear()
    }
    return content
  }
}

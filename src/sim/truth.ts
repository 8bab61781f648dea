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

/** Honest results of a job whose results differ in their last digits come in so many kinds. */
const SHADES = 3

/** What a made content is: of which task, whose lie, and of which part. */
interface Made { job: string, task: number, /** Undefined: the truth. */ liar: string | undefined, /** The part alone. */ segment: number | undefined, /** Where the lie is told; undefined: everywhere. */ lieAt: number | undefined }

/** What each task gives on an honest computer, and what liars say instead. */
export class Truth {
  readonly #contents = new Map<string, string>()
  readonly #made = new Map<string, Made>()

  result(job: string, spec: JobSpec, task: number): RunResult {
    return spec.failing.includes(task)
      ? { status: 'trapped', exitCode: 0, trap: 'E_TRAP_UNREACHABLE', content: this.#content(`${job}/${task}/trap`), contentBytes: 64 }
      : { status: 'exited', exitCode: 0, trap: 'E_NONE', content: this.#content(`${job}/${task}`), contentBytes: 1024 }
  }

  /** What this peer claims; the same again for the same task, so that a restart does not change its mind. */
  claim(seed: number, behaviour: Behaviour, peer: number, job: string, spec: JobSpec, task: number, segment?: number): RunResult {
    const liar = behaviour.kind !== 'liar' ? undefined : behaviour.ring === undefined ? `peer ${peer}` : `ring ${behaviour.ring}`
    const lies = behaviour.kind === 'liar' && new Random(hashText(`${seed}/${liar}/${job}/${task}`)).chance(behaviour.share)
    // all lie in the same part: two liars that do not know of each other could else be refuted in turn, by votes that hold no more than that
    const lieAt = spec.segments === undefined ? undefined : hashText(`${seed}/${job}/${task}`) % spec.segments
    if (spec.compare === undefined && spec.segments === undefined) return lies && liar !== undefined ? this.lie(job, task, liar) : this.result(job, spec, task)
    if (spec.failing.includes(task)) return this.result(job, spec, task)
    return this.#shaded({ job, task, liar: lies && (segment === undefined || segment === lieAt) ? liar : undefined, segment, lieAt }, spec.compare === undefined ? 0 : peer % SHADES)
  }

  /** Whether a result is a true one of its task, in whatever shade. */
  isTrue(job: string, spec: JobSpec, task: number, content: string): boolean {
    const made = this.#made.get(content)
    if (made === undefined) return content === this.result(job, spec, task).content
    return made.job === job && made.task === task && made.liar === undefined && made.segment === undefined
  }

  /** Whether two contents are the same but for their last digits, in one segment or as a whole. */
  areAlike(a: string, b: string, segment: number | undefined): boolean {
    const [one, other] = [this.#made.get(a), this.#made.get(b)]
    if (one === undefined || other === undefined) return a === b
    const liarIn = ({ liar, lieAt }: Made): string | undefined => segment === undefined || lieAt === undefined || lieAt === segment ? liar : undefined
    return one.job === other.job && one.task === other.task && liarIn(one) === liarIn(other)
  }

  #shaded(made: Made, shade: number): RunResult {
    const content = this.#content(`${made.job}/${made.task}/${made.liar ?? ''}/${made.segment ?? ''}~${shade}`)
    this.#made.set(content, made)
    if (this.#made.size > MAX_CONTENTS) this.#made.clear()
    return { status: 'exited', exitCode: 0, trap: 'E_NONE', content, contentBytes: 1024 }
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

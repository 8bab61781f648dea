import type { TarEntry } from './tar-walk.ts'

/** `e_machine` of programs and libraries (ELF specification), by Go's names of processors. */
const MACHINES: Readonly<Record<string, number>> = { '386': 3, ppc64le: 21, s390x: 22, arm: 40, amd64: 62, arm64: 183, riscv64: 243, loong64: 258 }
const HEAD_BYTES = 20

export function elfMachine(architecture: string): number | undefined {
  return MACHINES[architecture]
}

/** A root file system doesn't say for which processor it is made: its programs do. */
export class ElfCount {
  readonly #counts = new Map<number, number>()

  /** For a file that may be a program. */
  sink({ size }: Pick<TarEntry, 'size'>): ((bytes: Buffer) => void) | undefined {
    if (size < HEAD_BYTES) return undefined
    let head: Buffer | undefined = Buffer.alloc(0)
    return (bytes) => {
      if (head === undefined) return
      head = Buffer.concat([head, bytes.subarray(0, HEAD_BYTES - head.length)])
      if (head.length < HEAD_BYTES) return
      this.#count(head)
      head = undefined
    }
  }

  /** The processor of most programs, where none is for `machine`. Some images carry a few for others. */
  stranger(machine: number | undefined): string | undefined {
    if (this.#counts.size === 0 || machine === undefined || this.#counts.has(machine)) return undefined
    const [most] = [...this.#counts].sort((a, b) => b[1] - a[1])
    return Object.entries(MACHINES).find(([, number]) => number === most?.[0])?.[0] ?? `the processor ${most?.[0]}`
  }

  #count(head: Buffer): void {
    if (head.toString('latin1', 0, 4) !== '\x7fELF') return
    const machine = head[5] === 2 ? head.readUInt16BE(18) : head.readUInt16LE(18)
    this.#counts.set(machine, (this.#counts.get(machine) ?? 0) + 1)
  }
}

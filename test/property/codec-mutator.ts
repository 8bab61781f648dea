import { encode } from '@ipld/dag-cbor'
import { CID } from 'multiformats/cid'

/** A small seeded generator (mulberry32): the same seed gives the same run on every machine. */
export interface Rng {
  /** 0 <= n < below. */
  int(below: number): number
  pick<T>(from: readonly T[]): T
  bytes(length: number): Uint8Array
}

export function seededRng(seed: number): Rng {
  let state = seed >>> 0
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return (t ^ (t >>> 14)) >>> 0
  }
  const int = (below: number): number => next() % below
  return {
    int,
    pick: (from) => from[int(from.length)]!,
    bytes: (length) => Uint8Array.from({ length }, () => int(256))
  }
}

function splice(raw: Uint8Array, at: number, remove: number, insert: Uint8Array): Uint8Array {
  const out = new Uint8Array(raw.length - Math.min(remove, raw.length - at) + insert.length)
  out.set(raw.subarray(0, at))
  out.set(insert, at)
  out.set(raw.subarray(Math.min(at + remove, raw.length)), at + insert.length)
  return out
}

const hex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'hex'))

/** Heads and values that break careless decoders: length bombs, indefinite lengths, huge and long-winded numbers, NaN, odd tags. */
const NASTY = [
  '9bffffffffffffffff', '9a7fffffff', '99ffff', 'bbffffffffffffffff', 'ba7fffffff', 'b9ffff', '5bffffffffffffffff', '5a7fffffff', '7bffffffffffffffff', '7a7fffffff',
  '9f', 'bf', '5f', '7f', 'ff', '1bffffffffffffffff', '3bffffffffffffffff', '1b0020000000000000', '1b0000000000000001', '1a00000001', '190001', '1801', '1800', '3800',
  'f97e00', 'f97c00', 'f9fc00', 'f90000', 'fb7ff8000000000000', 'fb7ff0000000000000', 'fb8000000000000000', 'fb3ff0000000000000', 'fa3f800000', 'f98000',
  'c249010000000000000000', 'c0', 'd82a', 'd82a4100', 'd9d9f7', 'd82b40', 'f6', 'f7', 'f4', 'f5', 'e0', 'f8ff', 'f818', 'a0', '80', '60', '40', '61ff', '62c328', '63eda080', '6a5f5f70726f746f5f5f'
].map(hex)

type Mutation = (raw: Uint8Array, rng: Rng) => Uint8Array

const byteMutations: Mutation[] = [
  (raw, rng) => { const out = Uint8Array.from(raw); const at = rng.int(out.length); out[at] = out[at]! ^ (1 << rng.int(8)); return out },
  (raw, rng) => { const out = Uint8Array.from(raw); out[rng.int(out.length)] = rng.int(256); return out },
  (raw, rng) => raw.slice(0, rng.int(raw.length)),
  (raw, rng) => splice(raw, rng.int(raw.length + 1), 0, rng.bytes(1 + rng.int(8))),
  (raw, rng) => splice(raw, rng.int(raw.length), 1 + rng.int(16), new Uint8Array()),
  (raw, rng) => splice(raw, rng.int(raw.length), rng.int(3), rng.pick(NASTY)),
  (raw, rng) => { const from = rng.int(raw.length); return splice(raw, rng.int(raw.length), rng.int(8), raw.subarray(from, from + 1 + rng.int(64))) },
  (raw, rng) => splice(raw, rng.int(raw.length), rng.int(2), new Uint8Array(1 + rng.int(6000)).fill(rng.pick([0x81, 0x82, 0xa1, 0xd8, 0xc0]))),
  (raw, rng) => splice(raw, raw.length, 0, rng.pick([hex('00'), hex('f6'), hex('ff'), raw]))
]

/** Half heads: a CBOR head of `major` with its argument in the shortest form, or a longer one. */
function head(major: number, argument: number, widen: number): Uint8Array {
  const fits = argument < 24 ? 0 : argument < 256 ? 1 : argument < 65_536 ? 2 : argument < 2 ** 32 ? 3 : 4
  const width = Math.min(4, fits + widen)
  if (width === 0) return Uint8Array.of((major << 5) | argument)
  const out = new Uint8Array(1 + (1 << (width - 1)))
  out[0] = (major << 5) | (23 + width)
  let rest = argument
  for (let i = out.length - 1; i > 0; i--) { out[i] = rest % 256; rest = Math.floor(rest / 256) }
  return out
}

/** Writes a value with one odd spelling at the `oddAt`th node: legal CBOR perhaps, but never the canonical form. */
class OddWriter {
  private nodes = 0
  private readonly oddAt: number
  private readonly rng: Rng
  constructor(oddAt: number, rng: Rng) {
    this.oddAt = oddAt
    this.rng = rng
  }

  write(value: unknown): Uint8Array {
    const odd = this.nodes++ === this.oddAt
    const widen = odd ? 1 + this.rng.int(3) : 0
    if (Array.isArray(value)) {
      const items = value.map((item) => this.write(item))
      return odd && this.rng.int(2) === 0 ? Buffer.concat([hex('9f'), ...items, hex('ff')]) : Buffer.concat([head(4, items.length, widen), ...items])
    }
    if (typeof value === 'string') return this.writeText(value, odd, widen)
    if (typeof value === 'number' && Number.isInteger(value)) {
      if (odd && this.rng.int(2) === 0) { const out = new Uint8Array(9); out[0] = 0xfb; new DataView(out.buffer).setFloat64(1, value); return out }
      return value >= 0 ? head(0, value, widen) : head(1, -1 - value, widen)
    }
    if (value !== null && typeof value === 'object' && Object.getPrototypeOf(value) === Object.prototype && !(value instanceof CID)) return this.writeMap(Object.entries(value), odd, widen)
    return encode(value)
  }

  private writeText(value: string, odd: boolean, widen: number): Uint8Array {
    const raw = Buffer.from(value)
    return odd && this.rng.int(2) === 0 ? Buffer.concat([hex('7f'), head(3, raw.length, 0), raw, hex('ff')]) : Buffer.concat([head(3, raw.length, widen), raw])
  }

  private writeMap(entries: [string, unknown][], odd: boolean, widen: number): Uint8Array {
    const pairs = entries
      .sort(([a], [b]) => a.length - b.length || (a < b ? -1 : 1))
      .map(([key, value]) => Buffer.concat([this.writeText(key, false, 0), this.write(value)]))
    if (!odd || pairs.length === 0) return Buffer.concat([head(5, pairs.length, widen), ...pairs])
    switch (this.rng.int(4)) {
      case 0: return Buffer.concat([hex('bf'), ...pairs, hex('ff')])
      case 1: return Buffer.concat([head(5, pairs.length + 1, 0), ...pairs, this.rng.pick(pairs)])
      case 2: return Buffer.concat([head(5, pairs.length, 0), ...pairs.toReversed()])
      default: return Buffer.concat([head(5, pairs.length, widen), ...pairs])
    }
  }
}

function nodeCount(value: unknown): number {
  if (value === null || typeof value !== 'object' || value instanceof Uint8Array || value instanceof CID) return 1
  return Object.values(value).reduce((sum: number, item) => sum + nodeCount(item), 1)
}

const WILD: readonly unknown[] = [
  null, true, 0, -1, 1, 1.5, 2 ** 31, Number.MAX_SAFE_INTEGER, -Number.MAX_SAFE_INTEGER, 1e300, 2n ** 64n - 1n, '', 'x', '\u0000', '../..', '/', '-x', '\u{1f600}'.repeat(50), 'x'.repeat(5000),
  [], {}, [[]], { v: 1 }, new Uint8Array(), new Uint8Array(33), CID.parse('bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy')
]

/** Replaces, removes, repeats or renames one node of a wire value: well-formed CBOR that only the schema can judge. */
function mutateTree(value: unknown, rng: Rng): unknown {
  if (Array.isArray(value) && value.length > 0 && rng.int(4) !== 0) {
    const at = rng.int(value.length)
    switch (rng.int(4)) {
      case 0: return value.toSpliced(at, 1)
      case 1: return value.toSpliced(at, 0, ...Array.from({ length: 1 + rng.int(300) }, () => value[at] as unknown))
      default: return value.with(at, mutateTree(value[at], rng))
    }
  }
  if (value !== null && typeof value === 'object' && !(value instanceof Uint8Array) && !(value instanceof CID) && rng.int(8) !== 0) {
    const entries = Object.entries(value)
    if (entries.length > 0) {
      const at = rng.int(entries.length)
      const [key, child] = entries[at]!
      switch (rng.int(8)) {
        case 0: return Object.fromEntries(entries.toSpliced(at, 1))
        case 1: return Object.fromEntries([...entries, [rng.pick(['z', '__proto__', 'constructor', '', 'toString', 'v']), rng.pick(WILD)]])
        default: return Object.fromEntries(entries.with(at, [key, mutateTree(child, rng)]))
      }
    }
  }
  if (typeof value === 'number' && rng.int(2) === 0) return value + rng.pick([1, -1, 0.5, 2 ** 32])
  if (typeof value === 'string' && rng.int(2) === 0) return value.slice(0, rng.int(value.length + 1)) + rng.pick(['', 'a', ' ', '/', '\n', '0'])
  return rng.pick(WILD)
}

/** A mutant of one of `wires` (plain values as DAG-CBOR holds them), as bytes. Most are not valid, some are. */
export function mutant(wires: readonly { value: unknown, raw: Uint8Array }[], rng: Rng): Uint8Array {
  const { value, raw } = rng.pick(wires)
  const kind = rng.int(10)
  if (kind < 3) {
    try {
      return encode(mutateTree(value, rng))
    } catch {
      return raw
    }
  }
  if (kind < 5) return new OddWriter(rng.int(nodeCount(value)), rng).write(value)
  let out = raw
  for (let i = 1 + rng.int(3); i > 0 && out.length > 0; i--) out = rng.pick(byteMutations)(out, rng)
  return out
}

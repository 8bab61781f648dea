import { MAX_NAME_BYTES, MAX_PATH_BYTES, MAX_TAR_EXTRA_BYTES } from './limits.ts'
import { malformed, quoted } from './refusal.ts'

const BLOCK = 512
const TYPES = { '0': 'file', '\0': 'file', 1: 'link', 2: 'symlink', 3: 'char', 4: 'block', 5: 'dir', 6: 'fifo' } as const
/** Of extended headers: for the next entry, for all, GNU's long name and long link. */
const EXTRAS = new Set(['x', 'g', 'L', 'K'])

export interface TarEntry {
  type: typeof TYPES[keyof typeof TYPES]
  /** Without `./` and slashes at its ends; empty is the root. */
  path: string
  /** Of a file; others have none. */
  size: number
  /** Of links, as it stands. */
  linkPath: string
  /** Of devices. */
  major: number
  minor: number
  /** Where its bytes begin in the tar. */
  offset: number
}

/** Called with each entry; what it returns gets the entry's bytes, piece by piece. */
export type OnTarEntry = (entry: TarEntry) => ((bytes: Buffer) => void) | undefined

interface Extras { path?: string | undefined, linkPath?: string | undefined, size?: number, seen: string }

function textAt(block: Buffer, at: number, length: number): string {
  const field = block.subarray(at, at + length)
  const end = field.indexOf(0)
  return field.toString('utf8', 0, end < 0 ? length : end)
}

/** Octal digits with spaces before and spaces or NULs after, or GNU's binary form. Everything else is read differently by different tools. */
function numberAt(block: Buffer, at: number, length: number, name: string): number {
  const field = block.subarray(at, at + length)
  if (field[0] === 0x80) {
    const value = BigInt(`0x${field.subarray(1).toString('hex')}`)
    return value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : malformed(`an entry of the tar has no possible ${name}`)
  }
  const octal = /^ *([0-7]*)[ \0]*$/.exec(field.toString('latin1'))
  if (octal === null) malformed(`an entry of the tar has a ${name} that is no number`)
  return octal[1] === '' ? 0 : Number.parseInt(octal[1] ?? '', 8)
}

function checkSum(block: Buffer): void {
  let sum = 8 * 0x20
  for (let i = 0; i < BLOCK; i++) if (i < 148 || i >= 156) sum += block[i] ?? 0
  if (numberAt(block, 148, 8, 'checksum') !== sum) malformed('it is not a tar: the checksum of a header is wrong')
}

/** Records `LENGTH KEY=VALUE\n`. */
function paxRecords(data: Buffer): Map<string, string> {
  const records = new Map<string, string>()
  for (let at = 0; at < data.length;) {
    const space = data.indexOf(0x20, at)
    const digits = space < 0 ? '' : data.toString('latin1', at, space)
    const end = /^[1-9][0-9]{0,6}$/.test(digits) ? at + Number(digits) : 0
    const equals = data.indexOf(0x3d, space)
    if (end <= space || end > data.length || data[end - 1] !== 0x0a || equals < 0 || equals >= end) malformed('an extended header of the tar is malformed')
    const key = data.toString('utf8', space + 1, equals)
    if (records.has(key)) malformed(`an extended header of the tar says ${quoted(key)} twice`)
    records.set(key, data.toString('utf8', equals + 1, end - 1))
    at = end
  }
  return records
}

/** Refuses what steps out of its directory, and what no file system takes. Answers the plain path. */
export function plainPath(written: string): string {
  const parts = written.split('/').filter((part) => part !== '' && part !== '.')
  if (Buffer.byteLength(written) > MAX_PATH_BYTES || parts.some((part) => part === '..' || part.includes('\0') || Buffer.byteLength(part) > MAX_NAME_BYTES)) malformed(`the tar has an entry of the name ${quoted(written)}`)
  return parts.join('/')
}

/**
 * Reads a tar as it streams by, holding one header. Stricter than the tools that unpack it: what two of them could read
 * differently is refused, so that what was counted here is what the engine writes. Sparse files are refused above all: a few
 * bytes of tar become a terabyte on disk.
 */
export class TarWalk {
  readonly #onEntry: OnTarEntry
  #pending = Buffer.alloc(0)
  #sink: ((bytes: Buffer) => void) | undefined
  /** Of the present entry's bytes and of the padding after them. */
  #left = 0
  #padding = 0
  #extras: Extras = { seen: '' }
  #hasEnded = false
  #position = 0

  constructor(onEntry: OnTarEntry) {
    this.#onEntry = onEntry
  }

  push(chunk: Buffer): void {
    let data = chunk
    while (data.length > 0) {
      if (this.#left > 0) {
        const bytes = this.#take(data, this.#left)
        this.#sink?.(bytes)
        this.#left -= bytes.length
        data = data.subarray(bytes.length)
      } else if (this.#padding > 0) {
        const bytes = this.#take(data, this.#padding)
        this.#padding -= bytes.length
        data = data.subarray(bytes.length)
      } else {
        const bytes = this.#take(data, BLOCK - this.#pending.length)
        data = data.subarray(bytes.length)
        this.#pending = this.#pending.length === 0 ? Buffer.from(bytes) : Buffer.concat([this.#pending, bytes])
        if (this.#pending.length < BLOCK) return
        const block = this.#pending
        this.#pending = Buffer.alloc(0)
        this.#header(block)
      }
    }
  }

  /** To be called after the last byte. */
  end(): void {
    if (this.#left > 0 || this.#padding > 0 || this.#pending.length > 0 || this.#extras.seen !== '') malformed('the tar ends in the middle')
  }

  #take(data: Buffer, length: number): Buffer {
    const bytes = data.subarray(0, length)
    this.#position += bytes.length
    return bytes
  }

  #header(block: Buffer): void {
    if (block.every((byte) => byte === 0)) {
      this.#hasEnded = true
      return
    }
    // what follows the end is skipped by some tools and read by others
    if (this.#hasEnded) malformed('the tar goes on after its end')
    checkSum(block)
    const flag = String.fromCharCode(block[156] ?? 0)
    const size = numberAt(block, 124, 12, 'size')
    if (EXTRAS.has(flag)) {
      this.#extra(flag, size)
      return
    }
    const type = (TYPES as Readonly<Record<string, TarEntry['type'] | undefined>>)[flag]
    if (type === undefined) malformed(flag === 'S' ? 'the tar has a sparse file' : `the tar has an entry of the unknown type ${quoted(flag)}`)
    this.#entry(block, type, this.#extras.size ?? size)
  }

  #entry(block: Buffer, type: TarEntry['type'], size: number): void {
    const prefix = block.toString('latin1', 257, 263) === 'ustar\0' ? textAt(block, 345, 155) : ''
    const name = textAt(block, 0, 100)
    const written = this.#extras.path ?? (prefix === '' ? name : `${prefix}/${name}`)
    const path = plainPath(written)
    if (size > 0 && (type !== 'file' || written.endsWith('/'))) malformed(`${quoted(path)} in the tar is no file, but has bytes`)
    const linkPath = type === 'link' || type === 'symlink' ? this.#extras.linkPath ?? textAt(block, 157, 100) : ''
    if (type === 'link') plainPath(linkPath)
    if (linkPath.includes('\0') || Buffer.byteLength(linkPath) > MAX_PATH_BYTES) malformed(`${quoted(path)} in the tar links to no possible path`)
    const isDevice = type === 'char' || type === 'block'
    this.#extras = { seen: '' }
    this.#sink = this.#onEntry({
      type: type === 'file' && written.endsWith('/') ? 'dir' : type, path, size, linkPath, offset: this.#position,
      major: isDevice ? numberAt(block, 329, 8, 'device') : 0, minor: isDevice ? numberAt(block, 337, 8, 'device') : 0
    })
    this.#expect(size)
  }

  #expect(size: number): void {
    this.#left = size
    this.#padding = (BLOCK - size % BLOCK) % BLOCK
  }

  #extra(flag: string, size: number): void {
    const extras = this.#extras
    if (size === 0 || size > MAX_TAR_EXTRA_BYTES || extras.seen.includes(flag)) malformed('an extended header of the tar is empty, too large or there twice')
    // one for all entries describes nothing of its own: it may stand alone
    if (flag !== 'g') extras.seen += flag
    const parts: Buffer[] = []
    let left = size
    this.#sink = (bytes) => {
      parts.push(Buffer.from(bytes))
      left -= bytes.length
      if (left === 0) readExtra(extras, flag, Buffer.concat(parts))
    }
    this.#expect(size)
  }
}

function readExtra(extras: Extras, flag: string, data: Buffer): void {
  if (flag === 'L' || flag === 'K') {
    const text = textAt(data, 0, data.length)
    if (flag === 'L') extras.path = text
    else extras.linkPath = text
    return
  }
  const records = paxRecords(data)
  if (flag === 'g') {
    if ([...records.keys()].some((key) => key !== 'comment')) malformed('the tar has an extended header for all its entries')
    return
  }
  if ([...records.keys()].some((key) => key.startsWith('GNU.sparse'))) malformed('the tar has a sparse file')
  const size = records.get('size')
  if (size !== undefined) extras.size = /^[0-9]{1,15}$/.test(size) ? Number(size) : malformed('an extended header of the tar has a size that is no number')
  extras.path ??= records.get('path')
  extras.linkPath ??= records.get('linkpath')
}

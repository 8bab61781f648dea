import type { ErrorCode } from '../../src/errors.ts'

/** Why a module is refused. Thrown inside the check only; `checkModule` turns it into an outcome. */
export class ModuleRefusal extends Error {
  readonly code: ErrorCode
  constructor(code: ErrorCode, message: string) {
    super(message)
    this.code = code
  }
}

export function refuse(code: ErrorCode, message: string): never {
  throw new ModuleRefusal(code, message)
}

/** Reads the binary format from `position` up to `end`. Every read is checked; none goes backwards. */
export class ModuleReader {
  readonly bytes: Uint8Array
  position: number
  end: number

  constructor(bytes: Uint8Array, position = 0, end = bytes.length) {
    this.bytes = bytes
    this.position = position
    this.end = end
  }

  byte(): number {
    if (this.position >= this.end) refuse('E_MODULE_FORMAT', `the module is cut short at byte ${this.position}`)
    return this.bytes[this.position++] ?? 0
  }

  /** An unsigned LEB128 of at most 32 bits; unused bits of the fifth byte must be zero, as the specification says. */
  u32(): number {
    let value = 0
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.byte()
      if (shift === 28 && byte > 0x0f) break
      value += (byte & 0x7f) * 2 ** shift
      if (byte < 0x80) return value
    }
    return refuse('E_MODULE_FORMAT', `the number at byte ${this.position} is longer than 32 bits`)
  }

  /** Steps over a LEB128 of at most `maxBytes` bytes. Its unused bits are the engine's to check: they cannot change its length. */
  skipLeb(maxBytes: number): void {
    for (let n = 0; n < maxBytes; n++) if (this.byte() < 0x80) return
    refuse('E_MODULE_FORMAT', `the number at byte ${this.position} is longer than ${maxBytes} bytes`)
  }

  skip(count: number): void {
    if (count > this.end - this.position) refuse('E_MODULE_FORMAT', `the module is cut short at byte ${this.position}`)
    this.position += count
  }

  /** A count of things, refused above `max` before anything is read or stored. */
  count(max: number, what: string): number {
    const count = this.u32()
    if (count > max) refuse('E_MODULE_COUNT', `${count} ${what} are more than ${max}`)
    return count
  }

  /**
   * A name of at most `maxBytes` bytes, undefined if longer: then it is none that is looked for.
   * Bytes that are not printable ASCII become `?`, because names end up in messages on a terminal.
   */
  name(maxBytes = 64): string | undefined {
    const length = this.u32()
    const start = this.position
    this.skip(length)
    return length > maxBytes ? undefined : Array.from(this.bytes.subarray(start, this.position), (byte) => byte > 0x20 && byte < 0x7f ? String.fromCharCode(byte) : '?').join('')
  }
}

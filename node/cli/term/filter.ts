import { StringDecoder } from 'node:string_decoder'
import { stripVTControlCharacters } from 'node:util'

/** The start of an escape sequence at a chunk's end is held back up to this. */
const MAX_HELD_CHARS = 1_024
const COLOUR = /\u001b\[[0-9;:]*m/g
/** CSI, OSC and the strings of DCS, SOS, PM and APC, not ended yet. */
const OPEN_SEQUENCE = /\u001b(?:\[[0-?]*[ -/]*|\][^\u0007\u001b]*\u001b?|[PX^_][^\u001b]*\u001b?)?$/
const RESET = '\u001b[0m'

/**
 * Output of a stranger's program on its way to our terminal: colours stay, everything else that a terminal obeys goes.
 * One filter a stream, since characters and sequences may be cut by chunks.
 */
export class TerminalFilter {
  readonly #decoder = new StringDecoder('utf8')
  #held = ''
  #coloured = false

  push(bytes: Uint8Array): string {
    const text = this.#held + this.#decoder.write(Buffer.from(bytes))
    const open = OPEN_SEQUENCE.exec(text)?.[0] ?? ''
    this.#held = open.length > MAX_HELD_CHARS ? '' : open
    return this.#filter(text.slice(0, text.length - open.length))
  }

  /** What was held back, and the end of any colour. */
  end(): string {
    const rest = this.#filter(this.#decoder.end())
    this.#held = ''
    return this.#coloured ? rest + RESET : rest
  }

  #filter(text: string): string {
    let out = ''
    let from = 0
    for (const match of text.matchAll(COLOUR)) {
      this.#coloured = true
      out += harmless(text.slice(from, match.index)) + match[0]
      from = match.index + match[0].length
    }
    return out + harmless(text.slice(from))
  }
}

function harmless(text: string): string {
  return stripVTControlCharacters(text).replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069\u200e\u200f]/g, '')
}

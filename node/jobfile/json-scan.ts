/** What is wrong with a JSON text, and where: the built-in parser tells neither positions in all cases nor keys that are there twice. */
export interface JsonFault { kind: 'SYNTAX' | 'DUPLICATE', offset: number, message: string }

const BLANK = /[ \t\n\r]*/y
const STRING = /"[^"\\\u0000-\u001f]*(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\\u0000-\u001f]*)*"/y
const SCALAR = /(?:-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null)(?![A-Za-z0-9_.+-])/y

type Expected = 'value' | 'value or ]' | 'key' | 'key or }' | 'colon' | 'comma or the end'
type Open = { kind: 'object', keys: Set<string> } | { kind: 'array' }

/** One pass over the grammar of RFC 8259 with a stack of its own, so that depth is no danger; undefined when all is well. */
export function faultOfJson(text: string): JsonFault | undefined {
  const scan = new JsonScan(text)
  let fault: JsonFault | undefined
  while (fault === undefined && !scan.done) fault = scan.step()
  return fault
}

class JsonScan {
  done = false
  readonly #text: string
  readonly #open: Open[] = []
  #at = 0
  #expected: Expected = 'value'

  constructor(text: string) {
    this.#text = text
  }

  step(): JsonFault | undefined {
    this.#take(BLANK)
    const char = this.#text[this.#at]
    if (this.#expected === 'comma or the end') return this.#afterValue(char)
    if (this.#expected === 'colon') return char === ':' ? this.#advance('value') : this.#unexpected()
    if (this.#expected === 'key' || this.#expected === 'key or }') return this.#key(char)
    return this.#value(char)
  }

  #take(pattern: RegExp): string | undefined {
    pattern.lastIndex = this.#at
    const found = pattern.exec(this.#text)?.[0]
    this.#at += found?.length ?? 0
    return found
  }

  #advance(expected: Expected): undefined {
    this.#at++
    this.#expected = expected
    return undefined
  }

  #unexpected(): JsonFault {
    const char = this.#text[this.#at]
    return { kind: 'SYNTAX', offset: this.#at, message: char === undefined ? `the text ends where a ${this.#expected} is due` : `${JSON.stringify(char)} stands where a ${this.#expected} is due` }
  }

  #afterValue(char: string | undefined): JsonFault | undefined {
    const open = this.#open.at(-1)
    if (open === undefined) {
      if (char !== undefined) return { kind: 'SYNTAX', offset: this.#at, message: 'something follows the end' }
      this.done = true
      return undefined
    }
    if (char === ',') return this.#advance(open.kind === 'object' ? 'key' : 'value')
    return char === (open.kind === 'object' ? '}' : ']') ? this.#close() : this.#unexpected()
  }

  #close(): undefined {
    this.#open.pop()
    return this.#advance('comma or the end')
  }

  #key(char: string | undefined): JsonFault | undefined {
    if (char === '}' && this.#expected === 'key or }') return this.#close()
    const offset = this.#at
    const written = char === '"' ? this.#take(STRING) : undefined
    const open = this.#open.at(-1)
    if (written === undefined || open?.kind !== 'object') return this.#unexpected()
    const key = String(JSON.parse(written))
    if (open.keys.has(key)) return { kind: 'DUPLICATE', offset, message: `the key "${key}" is there twice` }
    open.keys.add(key)
    this.#expected = 'colon'
    return undefined
  }

  #value(char: string | undefined): JsonFault | undefined {
    if (char === ']' && this.#expected === 'value or ]') return this.#close()
    if (char === '{' || char === '[') {
      this.#open.push(char === '{' ? { kind: 'object', keys: new Set() } : { kind: 'array' })
      return this.#advance(char === '{' ? 'key or }' : 'value or ]')
    }
    if (this.#take(char === '"' ? STRING : SCALAR) === undefined) return char === '"' ? { kind: 'SYNTAX', offset: this.#at, message: 'this text does not end, or holds a character that needs a \\ before it' } : this.#unexpected()
    this.#expected = 'comma or the end'
    return undefined
  }
}

/** A line cut into words as a shell would, quotes and escapes taken off. */
export interface Words {
  words: string[]
  /** What is being typed: the last word, empty after a space. */
  last: { text: string, /** Where it begins in the line. */ from: number }
  /** A quote was opened and not closed. */
  open: '"' | '\'' | undefined
}

/** Of a Windows path's backslashes only those before these are escapes. */
const ESCAPABLE = /[\s"'\\]/

export function splitWords(line: string, home = ''): Words {
  const words: string[] = []
  let word: string | undefined
  let quoted = false
  let open: Words['open']
  let from = line.length
  const begin = (at: number): void => { if (word === undefined) { word = ''; from = at; quoted = false } }
  const end = (): void => {
    if (word !== undefined) words.push(!quoted && home !== '' && /^~(\/|$)/.test(word) ? home + word.slice(1) : word)
    word = undefined
  }
  for (let at = 0; at < line.length; at++) {
    const char = line.charAt(at)
    if (open !== undefined) {
      if (char === open) open = undefined
      else if (char === '\\' && open === '"' && /["\\]/.test(line.charAt(at + 1))) word += line.charAt(++at)
      else word += char
    } else if (/\s/.test(char)) {
      end()
    } else if (char === '"' || char === '\'') {
      begin(at)
      quoted = true
      open = char
    } else {
      begin(at)
      word += char === '\\' && ESCAPABLE.test(line.charAt(at + 1)) ? line.charAt(++at) : char
    }
  }
  const last = word === undefined ? { text: '', from: line.length } : { text: word, from }
  end()
  return { words, last, open }
}

/** A word as it must be typed to be read back whole. */
export function quoteWord(word: string): string {
  return /^[^\s"'\\]+$/.test(word) ? word : word.replace(/[\s"'\\]/g, (char) => `\\${char}`)
}

/** What a person would see: a terminal of some columns and endless rows that obeys what we write. Characters take one column. */
export class VirtualTerminal {
  columns: number
  rows = 24
  #rows: string[][] = [[]]
  #row = 0
  #column = 0

  constructor(columns: number) {
    this.columns = columns
  }

  /** Rows without spaces at their ends, the empty ones at the end left out. */
  get lines(): string[] {
    const lines = this.#rows.map((row) => Array.from(row, (char) => char ?? ' ').join('').trimEnd())
    while (lines.at(-1) === '') lines.pop()
    return lines
  }

  write(text: string): void {
    for (const [part, count = '', command] of text.matchAll(/\u001b\[\??([\d;]*)([A-Za-z])|[^]/gu)) {
      if (command !== undefined) this.#obey(command, Number(count === '' ? Number.NaN : count))
      else if (part === '\n') { this.#row++; this.#column = 0; this.#rows[this.#row] ??= [] }
      else if (part === '\r') this.#column = 0
      else this.#print(part)
    }
  }

  /** Shows what there is in a window of another width, as terminals do: long rows are wrapped. */
  resize(columns: number): void {
    const rows: string[][] = []
    let row = 0
    for (const [i, old] of this.#rows.entries()) {
      if (i === this.#row) row = rows.length + Math.floor(this.#column / columns)
      for (let at = 0; at === 0 || at < old.length; at += columns) rows.push(old.slice(at, at + columns))
    }
    this.#rows = rows
    this.#row = row
    this.#column %= columns
    this.columns = columns
  }

  #print(char: string): void {
    if (this.#column >= this.columns) { this.#row++; this.#column = 0 }
    const row = this.#rows[this.#row] ??= []
    row[this.#column++] = char
  }

  #obey(command: string, count: number): void {
    const times = Number.isNaN(count) ? 1 : count
    switch (command) {
      case 'A': this.#row = Math.max(0, this.#row - times); break
      case 'B': this.#row += times; this.#rows[this.#row] ??= []; break
      case 'C': this.#column += times; break
      case 'D': this.#column = Math.max(0, this.#column - times); break
      case 'G': this.#column = times - 1; break
      case 'J':
        this.#rows = this.#rows.slice(0, this.#row + 1)
        this.#rows[this.#row]?.splice(this.#column)
        break
      case 'K': this.#rows[this.#row]?.splice(this.#column); break
      default: break
    }
  }
}

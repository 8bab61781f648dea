/** A job over the most files has about ten items each; nothing we exchange comes near this. */
const MAX_ITEMS = 131_072
/** Our deepest document is a verdict with its opposing receipt: 4 levels. */
const MAX_DEPTH = 16

const HEAD_BYTES = [1, 2, 3, 5] as const

/**
 * Whether CBOR bytes could hold one of our documents, told from the heads alone in one pass without allocation.
 * It runs before the decoder, because a MiB of empty maps is legal CBOR and becomes 150 MB of objects.
 * False also for what canonical DAG-CBOR never has: 64-bit lengths, indefinite lengths, trailing or missing bytes.
 */
export function isPlausibleCbor(raw: Uint8Array): boolean {
  const open = new Uint32Array(MAX_DEPTH + 1)
  open[0] = 1
  let depth = 0
  let items = 0
  let at = 0
  while (at < raw.length) {
    const head = raw[at] ?? 0
    const major = head >> 5
    const info = head & 31
    if (++items > MAX_ITEMS || info > 27) return false
    open[depth] = (open[depth] ?? 0) - 1
    if (major === 7 || info === 27) {
      if (major > 1 && major !== 7) return false
      at += info < 24 ? 1 : 1 + (1 << (info - 24))
    } else {
      const argument = readArgument(raw, at, info)
      at += HEAD_BYTES[info < 24 ? 0 : info - 23] ?? 1
      if (major === 2 || major === 3) {
        at += argument
      } else if (major >= 4) {
        const children = major === 4 ? argument : major === 5 ? argument * 2 : 1
        if (children > raw.length - at || depth === MAX_DEPTH) return false
        open[++depth] = children
      }
    }
    while (depth > 0 && open[depth] === 0) depth--
    if (depth === 0 && open[0] === 0) return at === raw.length
  }
  return false
}

function readArgument(raw: Uint8Array, at: number, info: number): number {
  if (info < 24) return info
  let value = 0
  for (let i = 1; i <= 1 << (info - 24); i++) value = value * 256 + (raw[at + i] ?? 0)
  return value
}

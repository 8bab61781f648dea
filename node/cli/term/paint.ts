const CODES = {
  bold: ['1', '22'],
  dim: ['2', '22'],
  red: ['31', '39'],
  green: ['32', '39'],
  yellow: ['33', '39'],
  blue: ['34', '39'],
  cyan: ['36', '39'],
  /** Ours: the colour of embers, where the terminal has 256 colours. */
  ember: ['38;5;208', '39']
} as const

export type Style = keyof typeof CODES
/** Colours a text, or leaves it as it is where there are no colours. */
export type Paint = (style: Style, text: string) => string

export const plain: Paint = (_, text) => text

/** `depthBits` as `tty.WriteStream.getColorDepth()` gives it; 1 means no colours. */
export function paintFor(depthBits: number): Paint {
  if (depthBits <= 1) return plain
  return (style, text) => {
    const [on, off] = style === 'ember' && depthBits < 8 ? CODES.yellow : CODES[style]
    return text === '' ? '' : `\u001b[${on}m${text}\u001b[${off}m`
  }
}

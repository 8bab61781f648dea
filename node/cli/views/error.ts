import type { ErrorShape } from '../../../src/errors.ts'
import { wrap } from '../term/text.ts'
import type { View } from '../term/view.ts'

/** The one way an error looks: code and sentence, then what to do. */
export function errorLines(error: ErrorShape, view: View): string[] {
  const [first = '', ...rest] = wrap(`error ${error.code}: ${printable(error.message)}`, view.width, '  ')
  const painted = first.startsWith(`error ${error.code}`) ? view.paint('red', `error ${error.code}`) + first.slice(`error ${error.code}`.length) : first
  if (error.hint === '') return [painted, ...rest]
  const [hint = '', ...more] = wrap(`hint: ${printable(error.hint)}`, view.width, '      ')
  return [painted, ...rest, view.paint('cyan', 'hint:') + hint.slice('hint:'.length), ...more]
}

/** Messages may quote what strangers sent. */
function printable(text: string): string {
  return text.replace(/[\p{Cc}\u2028-\u202e\u2066-\u2069]/gu, ' ')
}

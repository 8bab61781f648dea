import { wrap } from '../term/text.ts'
import type { View } from '../term/view.ts'

/** A line beside the answer: what is left out, or what to do next. */
export function remark(text: string, view: View): string[] {
  return wrap(text, view.width, '  ').map((line) => view.paint('dim', line))
}

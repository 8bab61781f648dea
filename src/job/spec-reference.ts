import { describeFields } from './spec-fields.ts'
import type { FieldDescription } from './spec-fields.ts'
import { jobFileSchema } from './spec-schema.ts'

/** Every key of a job file, in the order of the schema, by full path (`limits.run`): for `help job` and the README's table. */
export function jobFileReference(): FieldDescription[] {
  return describeFields(jobFileSchema)
}

/** A Markdown table of such a reference. */
export function referenceTable(fields: readonly FieldDescription[]): string {
  const cell = (text: string): string => text.replaceAll('|', '\\|')
  const rows = fields.map(({ key, type, default: fallback, meaning, example }) => `| \`${key}\` | ${cell(type)} | ${fallback === undefined ? '' : cell(fallback)} | ${cell(meaning)} | \`${cell(example)}\` |`)
  return ['| key | type | default | meaning | example |', '|---|---|---|---|---|', ...rows, ''].join('\n')
}

import type { FieldDescription } from '../../src/job/spec-fields.ts'
import { readDefaults } from './defaults.ts'
import { leafFields } from './entries.ts'

/** `[a, b]`, `auto`, `not set`: a default as one would write it. */
function written(value: unknown): string {
  if (value === null || value === undefined) return 'not set'
  if (Array.isArray(value)) return `[${value.map(written).join(', ')}]`
  return typeof value === 'string' ? value : JSON.stringify(value)
}

/** Every setting with its meaning and the default that config/defaults.yaml gives it: for `help config` and the README's table. */
export async function configReference(): Promise<FieldDescription[]> {
  const defaults = await readDefaults()
  return leafFields().map((field) => {
    const value = field.key.split('.').reduce<unknown>((at, part) => typeof at === 'object' && at !== null ? Reflect.get(at, part) : undefined, defaults)
    return { ...field, default: written(value) }
  })
}

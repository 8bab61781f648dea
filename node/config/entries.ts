import { describeFields } from '../../src/job/spec-fields.ts'
import type { FieldDescription } from '../../src/job/spec-fields.ts'
import { exactSize } from '../../src/job/spec-units.ts'
import type { Config } from './config.ts'
import type { Merged } from './merge.ts'
import { configSchema } from './schema.ts'

/** One line of `config show`. */
export interface ConfigEntry {
  key: string
  /** As written; absent when the setting is not set. */
  value?: unknown
  /** What it came to, where that is not what is written: of `auto`, of `~`. */
  effective?: string
  /** `default`, the file's path, `HEARTH_NETWORK__PORT` or `--network.port`. */
  source: string
  isDefault: boolean
}

function valueAt(tree: unknown, key: string): unknown {
  return key.split('.').reduce<unknown>((at, part) => typeof at === 'object' && at !== null ? Reflect.get(at, part) : undefined, tree)
}

/** The keys that hold values: those no other key lies below. */
export function leafFields(): FieldDescription[] {
  const all = describeFields(configSchema)
  return all.filter(({ key }) => !all.some((other) => other.key.startsWith(`${key}.`)))
}

function effectiveOf(config: Config, key: string, value: unknown): string | undefined {
  if (key === 'dataDir') return config.dataDir
  if (key === 'passphraseFile') return config.passphraseFile
  if (key === 'api.socket') return config.api.socket
  if (key === 'share.cores' && value === 'auto') return String(config.share.cores)
  if (key === 'share.memory' && value === 'auto') return exactSize(config.share.memoryBytes)
  return key === 'network.listen' ? config.network.listen.join(', ') : undefined
}

/** Every setting in the order of the schema. */
export function entriesOf(config: Config, { tree, sourceOf }: Merged): ConfigEntry[] {
  return leafFields().map(({ key }) => {
    const value = valueAt(tree, key)
    const source = sourceOf(key)
    const effective = effectiveOf(config, key, value)
    const written = Array.isArray(value) ? value.join(', ') : value
    return {
      key,
      ...(value === undefined ? {} : { value }),
      ...(effective === undefined || effective === written ? {} : { effective }),
      source: source?.nameOf(key) ?? 'default',
      isDefault: source === undefined || source.kind === 'defaults'
    }
  })
}

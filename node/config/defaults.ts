import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { HearthError } from '../../src/errors.ts'
import { KIB } from '../../src/units.ts'
import { readTree } from '../jobfile/read.ts'
import { isRecord } from './layers.ts'

/** Far above any configuration, far below what would take noticeable time. */
export const MAX_CONFIG_FILE_BYTES = 256 * KIB

/** The folder that holds config/ and everything else, from the sources and from dist/ alike. */
export function packageDir(): string {
  for (let dir = import.meta.dirname; dir !== dirname(dir); dir = dirname(dir)) if (existsSync(join(dir, 'config', 'defaults.yaml'))) return dir
  throw new HearthError('E_INVARIANT', 'config/defaults.yaml is not where it was installed', 'Install Hearth again')
}

/** The single source of defaults, as a tree of what is written there; null means not set. */
export async function readDefaults(): Promise<Record<string, unknown>> {
  const tree = await readTree(join(packageDir(), 'config', 'defaults.yaml'), { name: 'config/defaults.yaml', prefix: 'E_CONFIG', maxBytes: MAX_CONFIG_FILE_BYTES, what: 'configuration' })
  return isRecord(tree) ? tree : {}
}

import { access } from 'node:fs/promises'
import { availableParallelism, homedir, totalmem } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { HearthError } from '../../src/errors.ts'
import { pathText, problemError, problemsOf } from '../../src/job/spec-problems.ts'
import type { Problem } from '../../src/job/spec-problems.ts'
import { faultOfTree } from '../../src/job/spec-tree.ts'
import { formatSize } from '../../src/units.ts'
import { readTree } from '../jobfile/read.ts'
import { build, placePath } from './build.ts'
import type { Config, Machine } from './config.ts'
import { MAX_CONFIG_FILE_BYTES, readDefaults } from './defaults.ts'
import { entriesOf } from './entries.ts'
import type { ConfigEntry } from './entries.ts'
import { environmentLayer, isRecord, optionLayer, unknownKeys } from './layers.ts'
import type { Layer } from './layers.ts'
import { merge } from './merge.ts'
import type { Merged } from './merge.ts'
import { CONFIG_VOCABULARY, configSchema } from './schema.ts'

const FILE_NAMES = ['config.yaml', 'config.yml', 'config.json'] as const

export interface ConfigRequest {
  /** Must exist. Without it: `HEARTH_CONFIG`, else `config.yaml`, `.yml` or `.json` in the data folder where there is one. */
  file?: string
  /** Usually `process.env`; only `HEARTH_…` counts. */
  env: Readonly<Record<string, string | undefined>>
  /** `network.port=0`, with or without dashes before it. */
  flags: readonly string[]
  machine?: Partial<Machine>
}

export interface LoadedConfig {
  config: Config
  /** Every setting with its value as written and where it comes from: `config show`. */
  entries: ConfigEntry[]
  /** The file that was read, if any. */
  file?: string
  /** Legal, but perhaps not meant. */
  warnings: string[]
}


async function fileLayer(path: string, name: string): Promise<Layer> {
  const tree = await readTree(path, { name, prefix: 'E_CONFIG', maxBytes: MAX_CONFIG_FILE_BYTES, what: 'configuration' })
  const fault = isRecord(tree) ? faultOfTree(tree) : { path: [], message: 'holds no keys and values', hint: 'Write for instance network: { port: 4150 }' }
  if (fault !== undefined || !isRecord(tree)) throw new HearthError('E_CONFIG_TYPE', `${[name, pathText(fault?.path ?? [])].filter((part) => part !== '').join(': ')} ${fault?.message ?? ''}`, fault?.hint ?? '')
  return { kind: 'file', tree, nameOf: () => name, baseDir: dirname(path) }
}

/** The file to read: the one named, else the one in the data folder that the other layers make. */
async function findFile(request: ConfigRequest, machine: Machine, dataDir: string): Promise<{ path: string, name: string } | undefined> {
  const named = request.file ?? request.env['HEARTH_CONFIG']
  if (named !== undefined && named !== '') return { path: resolve(machine.cwd, named), name: named }
  const found: string[] = []
  for (const name of FILE_NAMES) if (await access(join(dataDir, name)).then(() => true, () => false)) found.push(name)
  if (found.length > 1) throw new HearthError('E_CONFIG_CONFLICT', `${dataDir} holds both ${found.join(' and ')}`, 'Keep one of them')
  const [name] = found
  return name === undefined ? undefined : { path: join(dataDir, name), name: join(dataDir, name) }
}

/**
 * Defaults < file < environment < options, merged, checked as a whole and frozen. Reads only; writes nothing.
 * Throws one `E_CONFIG_…` that names the key, where it was written, and the nearest known key of an unknown one.
 */
export async function loadConfig(request: ConfigRequest): Promise<LoadedConfig> {
  const machine = machineOf(request.machine)
  const defaults: Layer = { kind: 'defaults', tree: await readDefaults(), nameOf: () => 'default', baseDir: machine.cwd }
  const { layer: environment, problems: variableProblems } = environmentLayer(request.env, machine.cwd)
  const { layer: options, problems: optionProblems } = optionLayer(request.flags, machine.cwd)
  const [problem] = [...variableProblems, ...optionProblems]
  if (problem !== undefined) throw problemError('E_CONFIG', [...variableProblems, ...optionProblems])
  const named = merge([defaults, environment, options])
  const file = await findFile(request, machine, placePath(named, 'dataDir', machine) ?? machine.homeDir)
  const layers = file === undefined ? [defaults, environment, options] : [defaults, await fileLayer(file.path, file.name), environment, options]
  for (const layer of layers) failUnknown(layer)
  const merged = merge(layers)
  const parsed = configSchema.safeParse(merged.tree)
  if (!parsed.success) throw problemError('E_CONFIG', problemsOf(parsed.error, merged.tree, CONFIG_VOCABULARY).map((found) => withSource(found, merged)))
  const config = build(parsed.data, merged, machine)
  return { config, entries: entriesOf(config, merged), warnings: warningsOf(config, machine), ...(file === undefined ? {} : { file: file.path }) }
}

function failUnknown(layer: Layer): void {
  const problems = unknownKeys(layer.tree)
  if (problems.length > 0) throw problemError('E_CONFIG', problems.map((found) => ({ ...found, message: `${layer.nameOf(found.path)}: ${found.message}` })))
}

/** Says where the value at fault was written, or by what a needed one was deleted. */
function withSource(found: Problem, { sourceOf }: Merged): Problem {
  const source = sourceOf(found.path)
  if (source === undefined || source.kind === 'defaults') return found
  const name = source.nameOf(found.path)
  return found.fault === 'MISSING' && source.kind !== 'file'
    ? { ...found, message: `${found.message}: ${name} deletes it`, hint: 'Leave it out to get the default' }
    : { ...found, message: `${found.message} (${name})`, hint: found.fault === 'MISSING' ? 'Leave it out to get the default; null deletes it' : found.hint }
}

function machineOf(given: Partial<Machine> = {}): Machine {
  // a container's limit counts, where there is one
  const constrained = process.constrainedMemory()
  const memoryBytes = constrained > 0 ? Math.min(constrained, totalmem()) : totalmem()
  return { cores: availableParallelism(), memoryBytes, homeDir: homedir(), cwd: process.cwd(), ...given }
}

function warningsOf({ share }: Config, machine: Machine): string[] {
  const found: string[] = []
  if (share.cores > machine.cores) found.push(`share.cores is ${share.cores}, but this machine has ${machine.cores}: tasks will take turns`)
  if (share.memoryBytes > machine.memoryBytes) found.push(`share.memory is ${formatSize(share.memoryBytes)}, but this machine has ${formatSize(machine.memoryBytes)}: it may swap`)
  return found
}

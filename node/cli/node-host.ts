import { access, readFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join, resolve } from 'node:path'
import { HearthError } from '../../src/errors.ts'
import { socketPath } from '../api/socket-path.ts'
import type { LoadedConfig } from '../config/index.ts'
import type { LocalHost, RunningNode, Settings, SettingsRequest } from './local-host.ts'

/** Where config/defaults.yaml puts the node's folder: known here too, so that most commands read no configuration. */
const DEFAULT_DIR = '.hearth'
const CONFIG_NAMES = ['config.yaml', 'config.yml', 'config.json']

export interface NodeHostOptions {
  version: string
  /** The composition root, loaded when a node is started. */
  createNode: (loaded: LoadedConfig, passphrase: string | undefined) => Promise<RunningNode>
}

/** This computer, for the command line: its configuration and its node. */
export function nodeHost({ version, createNode }: NodeHostOptions): LocalHost {
  return {
    version,
    async locate(request) {
      const dataDir = await plainDataDir(request)
      if (dataDir !== undefined) return { dataDir, socketPath: socketPath(dataDir) }
      const { dataDir: configured, socketPath: path } = settingsOf(await load(request), undefined)
      return { dataDir: configured, socketPath: path }
    },
    async settings(request) {
      const loaded = await load(request)
      return settingsOf(loaded, await readPassphrase(loaded.config.passphraseFile))
    },
    async start(request, passphrase) {
      return createNode(await load(request), passphrase)
    }
  }
}

/** The node's folder, where nothing but a name says which it is; undefined where a configuration must be read. */
async function plainDataDir({ file, overrides, dataDir, env, cwd }: SettingsRequest): Promise<string | undefined> {
  const named = dataDir ?? env['HEARTH_DATA_DIR']
  const folder = named === undefined || named === '' ? join(homedir(), DEFAULT_DIR) : resolve(cwd, named.replace(/^~(?=\/|$)/, homedir()))
  const variables = Object.keys(env).some((name) => name === 'HEARTH_CONFIG' || name === 'HEARTH_API__SOCKET')
  if (file !== undefined || overrides.length > 0 || variables) return undefined
  for (const name of CONFIG_NAMES) if (await access(join(folder, name)).then(() => true, () => false)) return undefined
  return folder
}

async function load({ file, overrides, dataDir, env, cwd }: SettingsRequest): Promise<LoadedConfig> {
  const { loadConfig } = await import('../config/index.ts')
  const flags = dataDir === undefined ? overrides : [...overrides, `dataDir=${resolve(cwd, dataDir)}`]
  return loadConfig({ env, flags, machine: { cwd }, ...(file === undefined ? {} : { file }) })
}

function settingsOf({ config, entries, warnings }: LoadedConfig, passphrase: string | undefined): Settings {
  return {
    dataDir: config.dataDir,
    socketPath: config.api.socket ?? socketPath(config.dataDir),
    passphrase,
    values: entries.map(({ key, value, effective, source, isDefault }) => ({ key, value: value ?? null, ...(effective === undefined ? {} : { effective }), from: source, isDefault })),
    warnings
  }
}

/** The file's text without its last line end, as the node itself reads it. */
async function readPassphrase(path: string | undefined): Promise<string | undefined> {
  if (path === undefined) return undefined
  try {
    return (await readFile(path, 'utf8')).replace(/\r?\n$/, '')
  } catch (err) {
    throw new HearthError('E_KEY_PASSPHRASE', `The passphrase file ${path} cannot be read`, 'Check passphraseFile in the configuration, and the file\'s permissions', { cause: err })
  }
}

import type { NodeApi } from '../api/contract.ts'

/** What the command line was told about a node's settings. */
export interface SettingsRequest {
  /** `--config`. */
  file: string | undefined
  /** `key.path=value` of `--key.path=value`. */
  overrides: readonly string[]
  /** `--data-dir`. */
  dataDir: string | undefined
  env: Record<string, string | undefined>
  cwd: string
}

export interface Settings {
  dataDir: string
  socketPath: string
  passphrase: string | undefined
  /** What is in force, by full key, in the order of the schema. */
  values: readonly Setting[]
  /** Legal, but perhaps not meant. */
  warnings: readonly string[]
}

export interface Setting {
  key: string
  /** As written; null when not set. */
  value: unknown
  /** What it came to, where that differs. */
  effective?: string
  from: string
  isDefault: boolean
}

export interface RunningNode {
  api: NodeApi
  /** Settles when the node has stopped, whoever stopped it; rejects when it could not go on. */
  stopped: Promise<void>
}

/**
 * What commands need of this computer rather than of a running node. `bin` gives the real one; it loads the heavy parts
 * only when they are asked for, so that `hearth jobs` answers at once.
 */
export interface LocalHost {
  readonly version: string
  /** Where the node's folder and socket are. Throws E_CONFIG_… for a configuration that has a fault. */
  locate(request: SettingsRequest): Promise<{ dataDir: string, socketPath: string }>
  /** Checks the whole configuration. Throws E_CONFIG_…; touches nothing. */
  settings(request: SettingsRequest): Promise<Settings>
  /** Starts the node of settings just read with the same request. `passphrase` of its key, where it was typed. */
  start(request: SettingsRequest, passphrase?: string): Promise<RunningNode>
}

/** Compiles what tests deploy beside the brokers, and copies of the brokers with a defence taken out. */
import { join } from 'node:path'
import { compile, houseSources, readSources } from './compile.ts'
import type { Artifact, Sources } from './compile.ts'

const attackersDir = join(import.meta.dirname, 'attackers')

/** A change of one text in one of our contracts. */
export interface Edit { readonly file: string, readonly find: string, readonly put: string }
export type Planted = Readonly<Record<string, readonly Edit[]>>

function byName(artifacts: Record<string, Artifact>): Record<string, Artifact> {
  return Object.fromEntries(Object.entries(artifacts).map(([path, artifact]) => [path.split(':')[1]!, artifact]))
}

/** Contracts of test/contracts/attackers, by name. */
export function attackers(...names: string[]): Record<string, Artifact> {
  return byName(compile({ ...houseSources(), ...readSources(attackersDir, 'attackers') }, { only: names, fast: true }))
}

function edited(sources: Sources, name: string, edits: readonly Edit[]): Sources {
  const copy = { ...sources }
  for (const { file, find, put } of edits) {
    const path = `contracts/${file}`
    const parts = copy[path]?.split(find) ?? []
    if (parts.length !== 2) throw new Error(`${name}: the text to change stands ${parts.length - 1} times in ${file}: ${find}`)
    copy[path] = parts.join(put)
  }
  return copy
}

/**
 * Copies of `SlashableNativeBroker` or of another contract, each with its edits and nothing else changed, by the name of
 * the plant. `sound` is the copy with no edit.
 */
export function planted(plants: Planted, contract: string): Record<string, Artifact> {
  const base = { ...houseSources(), 'attackers/SlashableBrokers.sol': readSources(attackersDir, 'attackers')['attackers/SlashableBrokers.sol']! }
  const all: Sources = {}
  for (const [name, edits] of [['sound', []] as const, ...Object.entries(plants)]) {
    for (const [path, text] of Object.entries(edited(base, name, edits))) all[`${name}/${path}`] = text
  }
  const artifacts = compile(all, { only: [contract], fast: true })
  return Object.fromEntries(Object.entries(artifacts).map(([path, artifact]) => [path.split('/')[0]!, artifact]))
}

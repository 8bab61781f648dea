/**
 * Compiles the contracts. `npm run contracts` writes src/contracts/generated; with `--check` it fails when a file there
 * differs from what the sources give. It lives here because only development has the compiler.
 */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { createRequire } from 'node:module'
import type { InterfaceAbi } from 'ethers'

export interface Artifact { readonly abi: InterfaceAbi & readonly object[], /** `0x…`, creation code. */ readonly bytecode: string, readonly runtimeBytes: number }
/** Source texts by path: `contracts/X.sol` for ours, `@openzeppelin/…` for the library. */
export type Sources = Record<string, string>

interface SolcOutput {
  errors?: { severity: string, formattedMessage: string }[]
  contracts?: Record<string, Record<string, { abi: Artifact['abi'], evm: { bytecode: { object: string }, deployedBytecode: { object: string } } }>>
}

const root = join(import.meta.dirname, '../..')
const contractsDir = join(root, 'src/contracts')
const generatedDir = join(contractsDir, 'generated')
const require = createRequire(import.meta.url)
/** What is deployed and what others need of it. */
const PUBLISHED = ['NativeTicketBroker', 'TokenTicketBroker'] as const

const IMPORT = /^import\s[^"]*"([^"]+)";/gm

/** The `.sol` files of a folder, as sources under `prefix/`. */
export function readSources(dir: string, prefix: string): Sources {
  return Object.fromEntries(readdirSync(dir).filter((name) => name.endsWith('.sol')).sort().map((name) => [`${prefix}/${name}`, readFileSync(join(dir, name), 'utf8')]))
}

/** The contracts of the house. */
export function houseSources(): Sources {
  return readSources(contractsDir, 'contracts')
}

function withLibraries(sources: Sources): Sources {
  const all: Sources = { ...sources }
  const queue = Object.keys(all)
  for (let path = queue.shift(); path !== undefined; path = queue.shift()) {
    for (const [, specifier = ''] of all[path]!.matchAll(IMPORT)) {
      const target = specifier.startsWith('.') ? join(dirname(path), specifier) : specifier
      if (target in all) continue
      if (!target.startsWith('@openzeppelin/')) throw new Error(`${path} imports ${specifier}, which is nowhere`)
      all[target] = readFileSync(join(root, 'node_modules', target), 'utf8')
      queue.push(target)
    }
  }
  return all
}

export interface CompileOptions {
  /** Names of the contracts to return; all when absent. Others are checked, but no code is made of them. */
  readonly only?: readonly string[]
  /** Compiles three times faster, into larger code: for what only a test deploys. */
  readonly fast?: boolean
}

/** Compiles to `path:Name` -> artifact. Throws with the compiler's own words on an error, and on a warning unless `fast`. */
export function compile(sources: Sources, options: CompileOptions = {}): Record<string, Artifact> {
  const fast = options.fast ?? false
  // solc's types end in `any`; this is the one function of it that we use.
  const solc = require('solc') as { compile: (input: string) => string }
  const output = JSON.parse(solc.compile(JSON.stringify({
    language: 'Solidity',
    sources: Object.fromEntries(Object.entries(withLibraries(sources)).map(([path, content]) => [path, { content }])),
    settings: {
      // Paris runs on any chain of today, also where Shanghai's and Cancun's opcodes are missing.
      evmVersion: 'paris',
      optimizer: { enabled: !fast, runs: fast ? 1 : 1_000_000 },
      viaIR: !fast,
      metadata: { bytecodeHash: 'none', appendCBOR: false },
      outputSelection: { '*': Object.fromEntries((options.only ?? ['*']).map((name) => [name, ['abi', 'evm.bytecode.object', 'evm.deployedBytecode.object']])) }
    }
  }))) as SolcOutput
  const complaints = (output.errors ?? []).filter(({ severity }) => severity === 'error' || !fast && severity === 'warning')
  if (complaints.length > 0) throw new Error(complaints.map(({ formattedMessage }) => formattedMessage).join('\n'))
  const artifacts: Record<string, Artifact> = {}
  for (const [path, contracts] of Object.entries(output.contracts ?? {})) {
    for (const [name, { abi, evm }] of Object.entries(contracts)) {
      artifacts[`${path}:${name}`] = { abi, bytecode: `0x${evm.bytecode.object}`, runtimeBytes: evm.deployedBytecode.object.length / 2 }
    }
  }
  return artifacts
}

function moduleText(name: string, artifact: Artifact): string {
  const entries = artifact.abi.map((entry) => `  ${JSON.stringify(entry)}`).join(',\n')
  return `// Made by \`npm run contracts\`: change the contract, not this file.\nexport const ${name} = {\n  name: '${name}',\n  abi: [\n${entries}\n  ],\n  bytecode: '${artifact.bytecode}'\n} as const\n`
}

/** The files that `src/contracts/generated` must hold, by name. */
export function generatedFiles(): Record<string, string> {
  const artifacts = compile(houseSources(), { only: PUBLISHED })
  return Object.fromEntries(PUBLISHED.map((name) => {
    const artifact = artifacts[`contracts/${name}.sol:${name}`]
    if (artifact === undefined) throw new Error(`${name} was not compiled`)
    return [`${name}.ts`, moduleText(name, artifact)]
  }))
}

/** Names of generated files that differ from what the sources give. */
export function staleFiles(files: Record<string, string>): string[] {
  const present = readdirSync(generatedDir).filter((name) => name.endsWith('.ts'))
  return [...new Set([...present, ...Object.keys(files)])].filter((name) => !present.includes(name) || readFileSync(join(generatedDir, name), 'utf8') !== files[name])
}

if (import.meta.main) {
  const files = generatedFiles()
  mkdirSync(generatedDir, { recursive: true })
  const stale = staleFiles(files)
  if (process.argv.includes('--check')) {
    for (const name of stale) console.error(`${relative(root, join(generatedDir, name))} is not what the contracts give: run \`npm run contracts\``)
    process.exitCode = stale.length > 0 ? 1 : 0
  } else {
    for (const [name, text] of Object.entries(files)) writeFileSync(join(generatedDir, name), text)
    console.log(stale.length > 0 ? `written: ${stale.join(', ')}` : 'nothing changed')
  }
}

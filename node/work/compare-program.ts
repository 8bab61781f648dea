import { createHash } from 'node:crypto'
import { rm } from 'node:fs/promises'
import type { Compare, JobDocument } from '../../src/documents/job.ts'
import { HearthError } from '../../src/errors.ts'
import { GIB, KIB, MIB, MINUTE_MS } from '../../src/units.ts'
import type { RunInput } from '../sandbox/run-spec.ts'
import { WasmSandbox } from '../sandbox/sandbox.ts'

/** One comparison's bounds on this computer. A result that keeps the program busier than this cannot be compared. */
const RUN_MS = 5 * MINUTE_MS
/** Of one result with itself: who is at fault for a pair that failed must not cost as much again. */
export const SELF_RUN_MS = 2 * MINUTE_MS
const MEMORY_BYTES = GIB
const SCRATCH_BYTES = 64 * MIB
const SCRATCH_FILES = 1000
const LOG_BYTES = 64 * KIB
/** Of what it said last, for people. */
const MAX_WORDS = 120

/** What a program answered: yes with exit code 0, no with 1; `fault` says how else it ended. */
export type Answer = { kind: 'yes' } | { kind: 'no' } | { kind: 'fault', message: string }

/** Codes of the sandbox that say nothing about the program or what it was given. */
const OURS: ReadonlySet<string> = new Set(['E_SANDBOX_SUPERVISOR', 'E_SANDBOX_CLOSED', 'E_SANDBOX_START', 'E_SANDBOX_BUSY', 'E_SANDBOX_DISK', 'E_SANDBOX_INPUT', 'E_SANDBOX_CANCELLED'])

/**
 * Runs a job's comparator or verifier, a program of the job's author, in a sandbox of its own: the owner's wishes for lent work, and
 * the room that it takes, do not concern what the owner asked for.
 */
export class ComparePrograms {
  readonly #dir: string
  readonly #maxRuns: number
  #sandbox: Promise<WasmSandbox> | undefined
  #runs = 0

  constructor(dir: string, maxRuns: number) {
    this.#dir = dir
    this.#maxRuns = maxRuns
  }

  /** Throws what is this computer's own trouble. */
  async ask(program: { by: Compare['by'], args: string[], modulePath: string }, document: JobDocument, inputs: RunInput[], signal: AbortSignal, wallMs = RUN_MS): Promise<Answer> {
    this.#sandbox ??= WasmSandbox.open({ dir: this.#dir, maxRuns: this.#maxRuns })
    const sandbox = await this.#sandbox.catch((err: unknown) => { this.#sandbox = undefined; throw err })
    let said = ''
    const spec = {
      runId: `compare-${++this.#runs}`, modulePath: program.modulePath, args: [program.by, ...program.args], env: {}, inputs,
      limits: { memoryBytes: MEMORY_BYTES, outBytes: SCRATCH_BYTES, outFiles: SCRATCH_FILES, logBytes: LOG_BYTES, wallMs },
      // the same results give the same answer
      seed: createHash('sha256').update('hearth:compare:1').digest(), baseTimeMs: document.createdWallMs
    }
    const run = sandbox.run(spec, { signal, onLog: (stream, bytes) => { if (stream === 2) said = (said + Buffer.from(bytes).toString()).slice(-4 * MAX_WORDS) } })
    const { outcome, files } = await run.catch((err: unknown) => {
      // names that no program can be given: the result's fault
      if (err instanceof HearthError && err.code === 'E_SANDBOX_SPEC') return { outcome: { kind: 'trapped' as const, trap: err.message }, files: undefined }
      throw err
    })
    if (files?.kind === 'folder') await rm(files.dir, { recursive: true, force: true })
    if (outcome.kind === 'exited' && outcome.exitCode === 0) return { kind: 'yes' }
    if (outcome.kind === 'exited' && outcome.exitCode === 1) return { kind: 'no' }
    if (outcome.kind === 'abstained' && OURS.has(outcome.code)) throw new HearthError(outcome.code, outcome.message)
    const last = said.trim().split('\n').at(-1)?.slice(0, MAX_WORDS) ?? ''
    const how = outcome.kind === 'exited' ? `it ended with exit code ${outcome.exitCode}` : outcome.kind === 'trapped' ? `it trapped (${outcome.trap})` : outcome.message
    return { kind: 'fault', message: last === '' ? how : `${how}: ${last}` }
  }

  async close(): Promise<void> {
    await (await this.#sandbox?.catch(() => undefined))?.close()
  }
}

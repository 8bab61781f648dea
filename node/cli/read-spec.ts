import { resolve } from 'node:path'
import { clean } from './term/text.ts'
import { UsageError } from './usage-error.ts'
import type { SubmitRequest } from '../api/contract.ts'

/** Reads a job file as far as its syntax; what it means is checked by the node. Throws E_FILE_KIND, E_JOB_FILE, E_JOB_SYNTAX, E_JOB_DUPLICATE. */
export async function readSpec(path: string, cwd: string): Promise<SubmitRequest> {
  if (path.toLowerCase().endsWith('.wasm')) throw new UsageError('E_FILE_KIND', `${clean(path)} is a program, not a job file`, `\`run ${clean(path)}\` sends it as a job of one task`)
  // loaded here, since most commands need no YAML
  const { readJobFile } = await import('../jobfile/read.ts')
  return readJobFile(cwd === process.cwd() ? path : resolve(cwd, path))
}

import { resolve } from 'node:path'
import type { SubmitRequest } from '../api/contract.ts'

/** Reads a job file as far as its syntax; what it means is checked by the node. Throws E_JOB_FILE, E_JOB_SYNTAX, E_JOB_DUPLICATE. */
export async function readSpec(path: string, cwd: string): Promise<SubmitRequest> {
  // loaded here, since most commands need no YAML
  const { readJobFile } = await import('../jobfile/read.ts')
  return readJobFile(cwd === process.cwd() ? path : resolve(cwd, path))
}

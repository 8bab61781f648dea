import { relative, resolve } from 'node:path'

/** What a newcomer may type to send a first job: the example lies beside the program, wherever that is. */
export const FIRST_JOB = `submit ${examplePath('hello/job.yaml')}`

function examplePath(name: string): string {
  const path = resolve(import.meta.dirname, '../../config/examples', name)
  const near = relative(process.cwd(), path)
  return near.startsWith('..') ? path : near
}

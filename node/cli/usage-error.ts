import { HearthError } from '../../src/errors.ts'
import type { ErrorShape } from '../../src/errors.ts'

/** What the command line says about itself: the words were wrong, and nothing was done. */
export class UsageError extends HearthError {}

export const EXIT_OK = 0
export const EXIT_FAILED = 1
export const EXIT_USAGE = 2
/** As shells count a program ended by SIGINT. */
export const EXIT_INTERRUPTED = 130

/** Faults of what a person wrote (words, a value, a job file, a configuration), also when the node found them. */
const INPUT_CODES = [
  /^E_(COMMAND|OPTION|ARGUMENT|FILE|SHARE|UNIT|ID_FORM|KEY_TEXT|API_PARAMS|MODULE)/,
  /^E_(JOB|CONFIG)_(KEY|TYPE|MISSING|UNIT|RANGE|VALUE|PATH|CONFLICT|DUPLICATE|TEMPLATE|SIZE|FILE|SYNTAX|KIND|EMPTY|ESCAPE|CID|MODULE|PROVIDERS)$/
]

/** 2 for input that was wrong and left nothing half-done, else 1. */
export function exitCodeOf(error: ErrorShape): number {
  return INPUT_CODES.some((pattern) => pattern.test(error.code)) ? EXIT_USAGE : EXIT_FAILED
}

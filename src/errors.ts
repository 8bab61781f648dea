/** A stable, greppable name for one kind of failure, such as `E_JOB_KEY`. */
export type ErrorCode = `E_${string}`

/** The one shape in which every error reaches a person, a script or another process. */
export interface ErrorShape {
  code: ErrorCode
  /** What happened, naming the value at fault. One sentence, no trailing stop. */
  message: string
  /** What to do about it. Empty only where nothing can be done. */
  hint: string
}

/**
 * An error a person can act on. Thrown for bad input of our own user and for broken invariants of our own;
 * a remote peer's misbehaviour is a returned outcome with a code, never a throw.
 */
export class HearthError extends Error implements ErrorShape {
  override readonly name = 'HearthError'
  readonly code: ErrorCode
  readonly hint: string

  constructor(code: ErrorCode, message: string, hint = '', options?: ErrorOptions) {
    super(message, options)
    this.code = code
    this.hint = hint
  }

  toJSON(): ErrorShape {
    return { code: this.code, message: this.message, hint: this.hint }
  }
}

/** Turns anything thrown into the one error shape; what is not ours becomes `E_INTERNAL`. */
export function toErrorShape(err: unknown): ErrorShape {
  if (err instanceof HearthError) return err.toJSON()
  const message = err instanceof Error ? err.message : String(err)
  return { code: 'E_INTERNAL', message, hint: 'This is a defect of Hearth: please report it with the steps that led here' }
}

/** Throws `E_INVARIANT` unless `condition` holds: for rules that only a defect of our own can break. */
export function invariant(condition: unknown, message: string): asserts condition {
  if (condition === false || condition === undefined || condition === null) {
    throw new HearthError('E_INVARIANT', message, 'This is a defect of Hearth: please report it with the steps that led here')
  }
}

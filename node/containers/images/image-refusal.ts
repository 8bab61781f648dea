import { EngineError } from '../engine-client.ts'
import { ImageRefusal } from './refusal.ts'

/** Whatever went wrong while an image was made ready, as the outcome that it is. A defect of our own is thrown on. */
export function asImageRefusal(err: unknown): ImageRefusal {
  if (err instanceof ImageRefusal) return err
  if (err instanceof EngineError) return new ImageRefusal('E_IMAGE_ENGINE', err.kind === 'gone' ? 'the engine does not answer' : `the engine refuses: ${err.message}`, { cause: err })
  if (!(err instanceof Error && 'code' in err && 'syscall' in err)) throw err
  const code = String(err.code)
  return code === 'ENOSPC' || code === 'EDQUOT' ? new ImageRefusal('E_IMAGE_ROOM', 'this host\'s disk is full', { cause: err }) : new ImageRefusal('E_IMAGE_DISK', `a file of this host cannot be used: ${code}`, { cause: err })
}

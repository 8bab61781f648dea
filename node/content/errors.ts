import { HearthError } from '../../src/errors.ts'
import { formatSize } from '../../src/units.ts'

export const missing = (cid: string): HearthError => new HearthError('E_CONTENT_MISSING', `${cid} is not, or not wholly, in the store`, 'Fetch it again from a peer that has it, or import it again')

export const badCid = (cid: string): HearthError => new HearthError('E_CONTENT_CID', `"${cid.slice(0, 100)}" is not a content address of Hearth`, 'It must be a CIDv1 in base32 of raw or dag-pb content by SHA-256, such as "bafkrei..." or "bafybei..."')

export const aborted = (): HearthError => new HearthError('E_CONTENT_ABORTED', 'The operation was given up', 'Start it again: what is stored already is not copied twice')

export const quota = (quotaBytes: number, neededBytes: number): HearthError => new HearthError('E_CONTENT_QUOTA', `The content store may use ${formatSize(quotaBytes)}, and ${formatSize(neededBytes)} of it belong to jobs that still need them`, 'Wait for running jobs, remove results you have fetched, or raise the quota for content')

export const diskFull = (path: string, cause?: unknown): HearthError => new HearthError('E_CONTENT_DISK_FULL', `The disk of ${path} has too little room`, 'Free some space on it, or move the data folder to another disk', { cause })

export const badDag = (cid: string, message: string): HearthError => new HearthError('E_CONTENT_FORMAT', `${cid} is not a file or folder that can be read: ${message}`, 'Ask its author to import it again with Hearth, or with `ipfs add --cid-version=1 --raw-leaves`')

/** Turns what the filesystem threw into an error a person can act on. */
export function fromDisk(err: unknown, path: string): HearthError {
  if (err instanceof HearthError) return err
  const code = err instanceof Error && 'code' in err ? String(err.code) : ''
  if (code === 'ENOSPC' || code === 'EDQUOT' || (err instanceof Error && /no space left/i.test(err.message))) return diskFull(path, err)
  if (code === 'ENOENT') return new HearthError('E_CONTENT_NOT_FOUND', `${path} does not exist`, 'Check the path', { cause: err })
  if (code === 'EACCES' || code === 'EPERM') return new HearthError('E_CONTENT_ACCESS', `${path} may not be read or written`, 'Check its permissions', { cause: err })
  if (code === 'EEXIST' || code === 'ENOTEMPTY') return new HearthError('E_CONTENT_EXISTS', `${path} exists already`, 'Choose another place, or move it away first', { cause: err })
  if (code === 'ELOOP') return new HearthError('E_CONTENT_UNSUPPORTED', `${path} is a symbolic link`, 'Put a copy of the file in its place', { cause: err })
  return new HearthError('E_CONTENT_IO', `${path} cannot be used: ${err instanceof Error ? err.message : String(err)}`, 'Check the disk and the permissions of the folder', { cause: err })
}

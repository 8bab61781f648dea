import { open } from 'node:fs/promises'
import { MAX_SECRET_BYTES } from '../../src/documents/secrets.ts'
import type { Secret } from '../../src/documents/secrets.ts'
import { HearthError } from '../../src/errors.ts'
import { formatSize } from '../../src/units.ts'
import { locate } from './local-source.ts'
import type { Local } from './local-source.ts'

export async function locateSecret(name: string, path: string, baseDir: string): Promise<Local> {
  const local = await locate(path, baseDir, { key: `secrets.${name}`, kind: 'file' })
  if (local.sizeBytes > MAX_SECRET_BYTES) throw tooLarge(name, local)
  return local
}

export async function readSecret(name: string, local: Local): Promise<Secret> {
  const file = await open(local.path, 'r')
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(MAX_SECRET_BYTES + 1), 0, MAX_SECRET_BYTES + 1, 0)
    if (bytesRead > MAX_SECRET_BYTES) throw tooLarge(name, local)
    return { name, bytes: Uint8Array.prototype.slice.call(buffer, 0, bytesRead) }
  } finally {
    await file.close()
  }
}

function tooLarge(name: string, { written }: Local): HearthError {
  return new HearthError('E_JOB_SIZE', `secrets.${name}: ${written} has more than ${formatSize(MAX_SECRET_BYTES)}`, 'A secret is a key or a password: encrypt larger data, send it as an input, and make the key the secret')
}

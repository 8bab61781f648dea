import { once } from 'node:events'
import { createReadStream } from 'node:fs'
import { open } from 'node:fs/promises'
import { PassThrough, type Readable, type Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGunzip, createZstdDecompress } from 'node:zlib'
import { ImageRefusal, malformed } from './refusal.ts'

/** Some bytes of a file: a layer in an archive, or all of it. */
export interface FileSlice { path: string, start: number, size: number }

const MAGIC_BYTES = 6
type Packing = 'none' | 'gzip' | 'zstd'

async function packingOf({ path, start, size }: FileSlice): Promise<Packing> {
  const file = await open(path, 'r')
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(MAGIC_BYTES), 0, Math.min(MAGIC_BYTES, size), start)
    const magic = buffer.toString('hex', 0, bytesRead)
    if (magic.startsWith('1f8b')) return 'gzip'
    if (magic.startsWith('28b52ffd')) return 'zstd'
    if (magic.startsWith('fd377a585a00')) malformed('it is packed with xz: pack it with gzip or zstd, or not at all')
    if (magic.startsWith('425a68')) malformed('it is packed with bzip2: pack it with gzip or zstd, or not at all')
    return 'none'
  } finally {
    await file.close()
  }
}

const INFLATERS: Readonly<Record<Packing, () => Transform>> = { none: () => new PassThrough(), gzip: () => createGunzip(), zstd: () => createZstdDecompress() }

function sliceStream({ path, start, size }: FileSlice): Readable {
  // an end before its start would read to the file's end
  if (size === 0) malformed('a part of it is empty')
  return createReadStream(path, { start, end: start + size - 1, highWaterMark: 256 * 1024 })
}

/** Whether a file is packed as a whole. */
export async function isPacked(path: string, size: number): Promise<boolean> {
  return await packingOf({ path, start: 0, size }) !== 'none'
}

/**
 * The plain bytes of a part of a file, by magic number as engines do. `each` may throw, and ends it: nothing more is
 * inflated then. Damaged packing is `E_IMAGE_MALFORMED`.
 */
export async function readPlain(slice: FileSlice, each: (bytes: Buffer) => void | Promise<void>, signal: AbortSignal): Promise<void> {
  const packing = await packingOf(slice)
  const inflater = INFLATERS[packing]()
  try {
    await pipeline(sliceStream(slice), inflater, async (plain: AsyncIterable<Buffer>) => {
      for await (const bytes of plain) await each(bytes)
    }, { signal })
  } catch (err) {
    throw asRefusal(err, signal)
  }
}

/** Waits until there is room, so that nothing gathers in memory. */
export async function writeAll(to: NodeJS.WritableStream, bytes: Buffer, signal: AbortSignal): Promise<void> {
  if (!to.write(bytes)) await once(to, 'drain', { signal })
}

function asRefusal(err: unknown, signal: AbortSignal): unknown {
  if (err instanceof ImageRefusal) return err
  if (signal.aborted) return signal.reason
  const code = err instanceof Error && 'code' in err ? String(err.code) : ''
  if (/^(?:Z_|ZSTD_|ERR_ZSTD|ERR_ZLIB)/.test(code)) return new ImageRefusal('E_IMAGE_MALFORMED', `a part of it is damaged: ${code}`, { cause: err })
  return err
}

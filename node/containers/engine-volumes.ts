import { constants } from 'node:fs'
import { open } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { pack, type Pack } from 'tar-stream'
import type { ErrorCode } from '../../src/errors.ts'
import type { RunInput } from '../sandbox/run-spec.ts'
import { EngineError, type EngineClient } from './engine-client.ts'
import { HostFault } from '../sandbox/host-fault.ts'
import { INIT_BINARIES } from './init/init-binaries.ts'
import { ACT_DEADLINE_MS, FILL_BYTES_PER_SECOND } from './limits.ts'
import { RELAY_BINARIES } from './network/relay/relay-binaries.ts'

/** Times of what we pack: nobody's business, and the same everywhere. */
const EPOCH = new Date(0)
const FILES_MODE = 0o444
const DIRS_MODE = 0o555
const PROGRAM_MODE = 0o555

/** As the engine names processors, to our names. */
const ARCHITECTURES: Readonly<Record<string, keyof typeof INIT_BINARIES>> = { amd64: 'x64', x86_64: 'x64', arm64: 'arm64', aarch64: 'arm64' }

/** Whether there are programs of ours for the engine's processor. */
export function hasTools(architecture: string): boolean {
  return architecture in ARCHITECTURES
}

/** A tar in one piece; for what is small. */
async function tarOf(fill: (tar: Pack) => void): Promise<Buffer> {
  const tar = pack()
  fill(tar)
  tar.finalize()
  const parts: Buffer[] = []
  for await (const part of tar as AsyncIterable<Buffer>) parts.push(part)
  return Buffer.concat(parts)
}

/** An image of nothing, of which containers are made that never start: their only use is to reach a volume. All nodes share it, and it stays: 30 bytes. */
export const FILLER_IMAGE = 'hearth-filler:1'

export async function makeFillerImage(engine: EngineClient): Promise<void> {
  const isThere = await engine.image(FILLER_IMAGE).then(() => true, (err: unknown) => {
    if (err instanceof EngineError && err.status === 404) return false
    throw err
  })
  if (isThere) return
  const [repo = '', tag = ''] = FILLER_IMAGE.split(':')
  const tar = await tarOf((tar) => { tar.entry({ name: 'hearth', mtime: EPOCH }, 'made by Hearth to fill volumes') })
  await engine.importImage(tar, repo, tag)
}

/** Something of ours that was on the engine is gone: it can be made again. */
export const TOOLS_LOST: ErrorCode = 'E_CONTAINER_TOOLS'

async function makeFiller(engine: EngineClient, name: string, body: object): Promise<{ id: string }> {
  try {
    return await engine.createContainer(name, body)
  } catch (err) {
    if (err instanceof EngineError && err.status === 404) throw new HostFault(TOOLS_LOST, 'the image that fills volumes has vanished from the engine')
    throw err
  }
}

/** Mounts volumes in a container that is never started, and unpacks a tar there. */
async function fill(engine: EngineClient, { name, labels, mounts, signal }: FillOptions, tar: Buffer | Readable, deadlineMs: number): Promise<void> {
  const { id } = await makeFiller(engine, name, {
    Image: FILLER_IMAGE, Cmd: ['/none'], Labels: labels, NetworkDisabled: true,
    HostConfig: { NetworkMode: 'none', LogConfig: { Type: 'none' }, Mounts: mounts.map(({ volume, at }) => ({ Type: 'volume', Source: volume, Target: at, VolumeOptions: { NoCopy: true } })) }
  })
  try {
    await engine.putArchive(id, '/', tar, deadlineMs, signal)
  } catch (err) {
    if (err instanceof EngineError && /no space left|disk quota exceeded/i.test(err.message)) throw new HostFault('E_CONTAINER_DISK', 'the engine\'s disk is full')
    throw err
  } finally {
    await engine.remove(id)
  }
}

export interface FillOptions {
  /** Of the container for it. */
  name: string
  labels: Record<string, string>
  mounts: { volume: string, at: string }[]
  /** Nobody needs them any more: rejects as soon as what there is can be removed. */
  signal?: AbortSignal
}

/** Puts process 1, the relay and a place for standard input into the volume that every container of the node mounts. */
export async function fillTools(engine: EngineClient, options: Omit<FillOptions, 'mounts'> & { volume: string, architecture: string }): Promise<void> {
  const arch = ARCHITECTURES[options.architecture]
  if (arch === undefined) throw new HostFault('E_CONTAINER_ENGINE_UNFIT', `there is no process 1 of ours for ${options.architecture}`)
  const tar = await tarOf((tar) => {
    tar.entry({ name: 'tools/run', type: 'directory', mode: DIRS_MODE, mtime: EPOCH })
    tar.entry({ name: 'tools/init', mode: PROGRAM_MODE, mtime: EPOCH }, Buffer.from(INIT_BINARIES[arch], 'base64'))
    tar.entry({ name: 'tools/relay', mode: PROGRAM_MODE, mtime: EPOCH }, Buffer.from(RELAY_BINARIES[arch], 'base64'))
  })
  await engine.createVolume(options.volume, options.labels)
  await fill(engine, { ...options, mounts: [{ volume: options.volume, at: '/tools' }] }, tar, ACT_DEADLINE_MS)
}

/** One file of this host into the tar: a regular file, not followed, of the size that was said. */
async function addFile(tar: Pack, name: string, hostPath: string, sizeBytes: number | undefined): Promise<void> {
  let source
  try {
    source = await open(hostPath, constants.O_RDONLY | constants.O_NOFOLLOW)
  } catch (err) {
    throw new HostFault('E_CONTAINER_INPUT', `an input cannot be read: ${err instanceof Error && 'code' in err ? String(err.code) : String(err)}`)
  }
  try {
    const stat = await source.stat()
    if (!stat.isFile()) throw new HostFault('E_CONTAINER_INPUT', 'an input is not a regular file')
    if (sizeBytes !== undefined && stat.size !== sizeBytes) throw new HostFault('E_CONTAINER_INPUT', `an input has ${stat.size} bytes, the job says ${sizeBytes}`)
    const header = { name, size: stat.size, mode: FILES_MODE, mtime: EPOCH }
    if (stat.size > 0) await pipeline(source.createReadStream({ autoClose: false, end: stat.size - 1 }), tar.entry(header))
    else tar.entry(header, Buffer.alloc(0))
  } finally {
    await source.close()
  }
}

/** Streams inputs to `in/` and standard input to `stdin/stdin`; ends the tar, or destroys it with the reason. */
async function addInputs(tar: Pack, inputs: readonly RunInput[], stdinPath: string | undefined): Promise<void> {
  try {
    const dirs = new Set<string>()
    for (const { path, hostPath, sizeBytes } of inputs) {
      const parts = path.split('/')
      for (let n = 1; n < parts.length; n++) {
        const dir = parts.slice(0, n).join('/')
        if (!dirs.has(dir)) tar.entry({ name: `in/${dir}`, type: 'directory', mode: DIRS_MODE, mtime: EPOCH })
        dirs.add(dir)
      }
      await addFile(tar, `in/${path}`, hostPath, sizeBytes)
    }
    if (stdinPath !== undefined) await addFile(tar, 'stdin/stdin', stdinPath, undefined)
    tar.finalize()
  } catch (err) {
    tar.destroy(err instanceof Error ? err : new Error(String(err)))
    throw err
  }
}

/**
 * Makes the volumes of one run and fills them; the engine copies the bytes. Throws `HostFault` for what is this host's
 * (`E_CONTAINER_INPUT`, `E_CONTAINER_DISK`) and `EngineError`.
 */
export async function fillInputs(engine: EngineClient, options: Omit<FillOptions, 'mounts'> & { inputVolume?: string, stdinVolume?: string, inputs: readonly RunInput[], stdinPath?: string }): Promise<void> {
  const { inputVolume, stdinVolume, inputs, stdinPath } = options
  const mounts = [...inputVolume === undefined ? [] : [{ volume: inputVolume, at: '/in' }], ...stdinVolume === undefined ? [] : [{ volume: stdinVolume, at: '/stdin' }]]
  const bytes = inputs.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
  const tar = pack()
  const added = addInputs(tar, inputs, stdinPath)
  added.catch(() => undefined)
  try {
    await fill(engine, { ...options, mounts }, Readable.from(tar as AsyncIterable<Buffer>, { objectMode: false }), ACT_DEADLINE_MS + bytes / FILL_BYTES_PER_SECOND * 1000)
  } catch (err) {
    tar.destroy()
    // an input that broke the stream tells more than that it broke
    const reason: unknown = await added.then(() => undefined, (why: unknown) => why)
    throw reason instanceof HostFault ? reason : err
  }
  await added
}

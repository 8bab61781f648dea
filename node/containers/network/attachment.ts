import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { HearthError } from '../../../src/errors.ts'
import { CONTAINER_DIR, MAX_SOCKET_PATH_BYTES, RELAY_ADDRESS, RELAY_PIDS } from './limits.ts'
import { RELAY_BINARIES } from './relay/relay-binaries.ts'

/** A processor for which there is a relay, as `process.arch` names it. */
export type RelayArch = keyof typeof RELAY_BINARIES

/** What a container needs for its network, as data for its settings. */
export interface NetworkAttachment {
  /** Bind mounts, all of them read-only (a socket in one can still be connected to). */
  mounts: { hostPath: string, containerPath: string, isReadOnly: true }[]
  /** Stands before the job's whole command, the image's entrypoint included. It ends with becoming that command. */
  entrypointPrefix: string[]
  /** Of the job; what the job itself sets under these names may come first. */
  env: Record<string, string>
  /** Processes beyond the job's own, for the pids limit. */
  pids: number
}

/** The directory of one run: its socket and its relay, in the one folder that the container sees. */
export interface NetworkDir { rootDir: string, mountedDir: string, socketPath: string }

/** `x86_64` and `aarch64` are how engines say it. Throws `E_NET_ARCH` for others. */
export function relayArch(name: string): RelayArch {
  if (name === 'x64' || name === 'x86_64' || name === 'amd64') return 'x64'
  if (name === 'arm64' || name === 'aarch64') return 'arm64'
  throw new HearthError('E_NET_ARCH', `Containers on ${name} processors have no network here`, 'Jobs without network.allow run; those with it need an x86-64 or 64-bit ARM host')
}

/**
 * Makes the folder of a run in `parentDir`. The outer folder is for this user alone; the inner one and the socket may be used
 * by any user id, since that of the job is another: it gets there by the mount alone.
 */
export async function makeNetworkDir(parentDir: string, arch: RelayArch): Promise<NetworkDir> {
  const rootDir = await mkdtemp(join(parentDir, 'net-'))
  try {
    const mountedDir = join(rootDir, 'run')
    const socketPath = join(mountedDir, 'proxy.sock')
    if (Buffer.byteLength(socketPath) > MAX_SOCKET_PATH_BYTES) {
      throw new HearthError('E_NET_SOCKET', `The path ${socketPath} is longer than the ${MAX_SOCKET_PATH_BYTES} bytes that a socket's may have`, 'Move the data folder to a shorter path')
    }
    await mkdir(mountedDir)
    await chmod(mountedDir, 0o755)
    const relayPath = join(mountedDir, 'relay')
    await writeFile(relayPath, Buffer.from(RELAY_BINARIES[arch], 'base64'))
    await chmod(relayPath, 0o555)
    return { rootDir, mountedDir, socketPath }
  } catch (err) {
    await rm(rootDir, { recursive: true, force: true })
    throw err
  }
}

/** What the container of a run needs to reach the proxy at this folder's socket. */
export function attachmentOf({ mountedDir }: NetworkDir): NetworkAttachment {
  const proxy = `http://${RELAY_ADDRESS}`
  const direct = 'localhost,127.0.0.1,::1'
  return {
    mounts: [{ hostPath: mountedDir, containerPath: CONTAINER_DIR, isReadOnly: true }],
    entrypointPrefix: [`${CONTAINER_DIR}/relay`],
    // programs differ in which spelling they read
    env: { HTTP_PROXY: proxy, HTTPS_PROXY: proxy, http_proxy: proxy, https_proxy: proxy, NO_PROXY: direct, no_proxy: direct },
    pids: RELAY_PIDS
  }
}

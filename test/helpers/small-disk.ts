import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { copyFile, mkdtemp, open, rm, statfs, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { KIB, MIB } from '../../src/units.ts'
import type { Cluster, ClusterNode } from '../../node/demo/cluster.ts'
import { EXAMPLES, restart } from './cluster.ts'

/** Above the 256 MiB that a node leaves free. */
const SIZE_MIB = 320
/** Less than that: the node's records still find room, content does not. */
const LEFT_BYTES = 100 * MIB
/** The smallest that a node takes. */
const QUOTA_MIB = 64
/** For a module; too little for a result. */
const LEFT_OF_QUOTA_BYTES = 512 * KIB

/**
 * A disk of its own for a node's data, which a test fills and empties: a tmpfs. Where nothing may be mounted, the node's
 * own quota stands for the disk's end: a parked job's input fills it, and room is made by starting it again without.
 */
export class SmallDisk {
  readonly #dir: string
  readonly #mounted: boolean

  private constructor(dir: string, mounted: boolean) {
    this.#dir = dir
    this.#mounted = mounted
  }

  static async open(): Promise<SmallDisk> {
    const dir = await mkdtemp(join(tmpdir(), 'hearth-disk-'))
    try {
      if (process.env['TEST_HEARTH_NO_MOUNT'] !== undefined) throw new Error('TEST_HEARTH_NO_MOUNT is set')
      execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${SIZE_MIB}m`, 'hearth-test', dir], { stdio: 'pipe' })
      return new SmallDisk(dir, true)
    } catch (err) {
      console.log(`no disk can be mounted here, a node's quota stands for its end: ${err instanceof Error ? err.message.trim() : String(err)}`)
      return new SmallDisk(dir, false)
    }
  }

  /** What a node on this disk starts with. */
  get setup(): { dataDir: string, flags: string[] } {
    return { dataDir: join(this.#dir, 'node'), flags: this.#mounted ? [] : [`--store.quota=${QUOTA_MIB} MiB`] }
  }

  /** Leaves too little for content. */
  async fill({ api }: ClusterNode): Promise<void> {
    if (this.#mounted) {
      const { bavail, bsize } = await statfs(this.#dir)
      await writeFile(this.#filler, new Uint8Array(bavail * bsize - LEFT_BYTES))
      return
    }
    await writeFile(this.#filler, randomBytes(QUOTA_MIB * MIB - LEFT_OF_QUOTA_BYTES))
    await copyFile(join(EXAMPLES, 'hello/hello.wasm'), join(this.#dir, 'hello.wasm'))
    await api.submit({ spec: { engine: 'wasm', module: './hello.wasm', inputs: { large: './somebody-else' }, placement: { allow: [(await api.status()).peer] } }, baseDir: this.#dir })
  }

  /** Fills it to the last byte. False where nothing could be mounted: a quota does not bind a node's records. */
  async brim(): Promise<boolean> {
    if (!this.#mounted) return false
    const chunk = new Uint8Array(64 * KIB)
    const file = await open(this.#filler, 'a')
    try {
      for (;;) await file.write(chunk)
    } catch (err) {
      if (err instanceof Error && 'code' in err && err.code === 'ENOSPC') return true
      throw err
    } finally {
      await file.close()
    }
  }

  /** Makes room again, and returns the node with it. */
  async free(cluster: Cluster, node: ClusterNode, setup: { flags: string[], bootstrap?: string[] }): Promise<ClusterNode> {
    if (this.#mounted) {
      await rm(this.#filler)
      return node
    }
    node.process.kill('SIGTERM')
    await once(node.process, 'exit')
    return await restart(cluster, node, setup)
  }

  /** After the node on it has ended. */
  async close(): Promise<void> {
    // lazily: what a killed node had started may need a moment to end
    if (this.#mounted) execFileSync('umount', ['-l', this.#dir])
    await rm(this.#dir, { recursive: true, force: true })
  }

  get #filler(): string {
    return join(this.#dir, 'somebody-else')
  }
}

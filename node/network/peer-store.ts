import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { LevelDatastore } from 'datastore-level'
import { HearthError } from '../../src/errors.ts'
import { MIB } from '../../src/units.ts'
import { Lru } from '../keys/index.ts'

/** Provider records live for hours; those of an earlier run, our own for old epochs among them, would be announced again. */
const DHT_PREFIX = '/dht'

/** A few hundred bytes a peer, written now and then: LevelDB's own 8 MiB of cache and 4 of buffer would be most of what an idle node could save. */
const MEMORY = { cacheSize: MIB, writeBufferSize: MIB / 2 }

/** Peers and provider records of a busy neighbourhood, a few hundred bytes each. */
const MAX_RECENT = 1024

type Key = Parameters<LevelDatastore['get']>[0]

/**
 * LevelDB with what was used last in memory: a DHT server reads twenty peers for each question it is asked,
 * and each read from LevelDB is a trip to another thread.
 */
class PeerDatastore extends LevelDatastore {
  readonly #recent = new Lru<Uint8Array>(MAX_RECENT)
  #writes = 0

  override async put(key: Key, value: Uint8Array): Promise<Key> {
    this.#writes++
    this.#recent.set(key.toString(), value)
    try {
      return await super.put(key, value)
    } catch (err) {
      this.#recent.delete(key.toString())
      throw err
    }
  }

  override async get(key: Key): Promise<Uint8Array> {
    const recent = this.#recent.get(key.toString())
    if (recent !== undefined) return recent
    const writes = this.#writes
    const value = await super.get(key)
    // what was written meanwhile must not be hidden by what was read before
    if (writes === this.#writes) this.#recent.set(key.toString(), value)
    return value
  }

  override async delete(key: Key): Promise<void> {
    this.#writes++
    this.#recent.delete(key.toString())
    await super.delete(key)
  }
}

/** Opens `dataDir/peers`, where libp2p keeps the peers it met. Throws E_PEERS_OPEN. Whoever opens it closes it. */
export async function openPeerStore(dataDir: string): Promise<LevelDatastore> {
  const path = join(dataDir, 'peers')
  await mkdir(path, { recursive: true, mode: 0o700 })
  const store = new PeerDatastore(path, MEMORY)
  try {
    await store.open()
  } catch (err) {
    throw new HearthError('E_PEERS_OPEN', `The peer store ${path} cannot be opened`, 'Another Hearth may be running on this folder; if not, delete the folder: only remembered peers are lost', { cause: err })
  }
  const batch = store.batch()
  for await (const key of store.queryKeys({ prefix: DHT_PREFIX })) batch.delete(key)
  await batch.commit()
  return store
}

import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { LevelDatastore } from 'datastore-level'
import { HearthError } from '../../src/errors.ts'
import { MIB } from '../../src/units.ts'

/** Provider records live for hours; those of an earlier run, our own for old epochs among them, would be announced again. */
const DHT_PREFIX = '/dht'

/** A few hundred bytes a peer, written now and then: LevelDB's own 8 MiB of cache and 4 of buffer would be most of what an idle node could save. */
const MEMORY = { cacheSize: MIB, writeBufferSize: MIB / 2 }

/** Opens `dataDir/peers`, where libp2p keeps the peers it met. Throws E_PEERS_OPEN. Whoever opens it closes it. */
export async function openPeerStore(dataDir: string): Promise<LevelDatastore> {
  const path = join(dataDir, 'peers')
  await mkdir(path, { recursive: true, mode: 0o700 })
  const store = new LevelDatastore(path, MEMORY)
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

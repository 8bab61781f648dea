import { deserialize, serialize } from 'node:v8'
import { Level } from 'level'
import type { StoredRecord, Write } from '../../src/core/effect.ts'
import { HearthError } from '../../src/errors.ts'

/** Raised when a record's shape changes; `migrate` then brings older stores forward. */
const STORE_VERSION = 1
const VERSION_KEY = '!version'
const RECORDS = 'r/'
const TIMELINE = 't/'
const ROOMS = 'k/'

/** Values by key of one part of the node, apart from everything else in the store. */
export interface Room {
  load(): Promise<(readonly [key: string, value: unknown])[]>
  /** One atomic batch, on the disk when it resolves; an undefined value deletes. */
  write(entries: readonly (readonly [key: string, value: unknown])[]): Promise<void>
}

/**
 * The peer's records and its people's timeline in one Level database. A batch is atomic: all of a step's writes are
 * there after a crash, or none. Values are structured clones (bigints, bytes), made with the runtime's own serializer.
 */
export class RecordStore {
  readonly #db: Level<string, Uint8Array>

  private constructor(db: Level<string, Uint8Array>) {
    this.#db = db
  }

  /** Opens or creates; refuses, untouched, a store that a newer Hearth wrote. */
  static async open(dir: string): Promise<RecordStore> {
    const db = new Level<string, Uint8Array>(dir, { valueEncoding: 'view' })
    try {
      await db.open()
    } catch (err) {
      const locked = err instanceof Error && err.cause instanceof Error && 'code' in err.cause && err.cause.code === 'LEVEL_LOCKED'
      throw locked
        ? new HearthError('E_NODE_RUNNING', `another node uses ${dir}`, 'Stop it, or give this one another dataDir', { cause: err })
        : new HearthError('E_STORE', `cannot open the store in ${dir}`, 'Is the disk full, or the folder not writable?', { cause: err })
    }
    const store = new RecordStore(db)
    const raw = await db.get(VERSION_KEY)
    const version: unknown = raw === undefined ? undefined : deserialize(raw)
    if (typeof version === 'number' && version > STORE_VERSION) {
      await db.close()
      throw new HearthError('E_STORE_NEWER', `the store in ${dir} was written by a newer Hearth (store version ${version})`, 'Update Hearth; nothing was changed')
    }
    if (version === undefined) await db.put(VERSION_KEY, serialize(STORE_VERSION))
    return store
  }

  /** All of the peer's records, for restoring it. */
  async load(): Promise<(readonly [string, StoredRecord])[]> {
    const records: (readonly [string, StoredRecord])[] = []
    for await (const [key, raw] of this.#db.iterator({ gte: RECORDS, lt: `${RECORDS}\uffff` })) {
      records.push([key.slice(RECORDS.length), deserialize(raw) as StoredRecord])
    }
    return records
  }

  /** One atomic batch. `sync` waits for the disk itself: for what concerns money. Throws E_STORE. */
  async commit(writes: readonly Write[], options: { sync: boolean }): Promise<void> {
    const batch = writes.map((write) => write.kind === 'put'
      ? { type: 'put' as const, key: RECORDS + write.key, value: serialize(write.value) }
      : { type: 'del' as const, key: RECORDS + write.key })
    try {
      await this.#db.batch(batch, { sync: options.sync })
    } catch (err) {
      throw new HearthError('E_STORE', `the node's records cannot be written: ${err instanceof Error ? err.message : String(err)}`, 'Make room on the disk of the data folder, then start the node again: it goes on where it was', { cause: err })
    }
  }

  /** The room of this name, such as `chain`. */
  room(name: string): Room {
    const prefix = `${ROOMS}${name}/`
    return {
      load: async () => {
        const entries: (readonly [string, unknown])[] = []
        for await (const [key, raw] of this.#db.iterator({ gte: prefix, lt: `${prefix}\uffff` })) entries.push([key.slice(prefix.length), deserialize(raw)])
        return entries
      },
      write: (entries) => this.#db.batch(entries.map(([key, value]) => value === undefined
        ? { type: 'del' as const, key: prefix + key }
        : { type: 'put' as const, key: prefix + key, value: serialize(value) }), { sync: true })
    }
  }

  /** Appends to a job's timeline; `order` keeps entries of one millisecond apart. */
  async appendTimeline(entries: readonly { job: string, wallMs: number, order: number, value: unknown }[]): Promise<void> {
    await this.#db.batch(entries.map(({ job, wallMs, order, value }) => ({ type: 'put' as const, key: `${TIMELINE}${job}/${String(wallMs).padStart(14, '0')}/${String(order).padStart(8, '0')}`, value: serialize(value) })))
  }

  /** The last `max` entries of a job, oldest first. */
  async timeline(job: string, max: number): Promise<unknown[]> {
    const entries: unknown[] = []
    for await (const raw of this.#db.values({ gte: `${TIMELINE}${job}/`, lt: `${TIMELINE}${job}0`, reverse: true, limit: max })) entries.push(deserialize(raw))
    return entries.reverse()
  }

  async clearTimeline(job: string): Promise<void> {
    await this.#db.clear({ gte: `${TIMELINE}${job}/`, lt: `${TIMELINE}${job}0` })
  }

  async close(): Promise<void> {
    await this.#db.close()
  }
}

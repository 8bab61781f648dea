import { cp, mkdtemp, readdir, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { HearthError } from '../../src/errors.ts'
import { expectedOf, toWei } from '../../src/documents/ticket.ts'
import { RECIPIENT_PREFIX } from '../../src/payment/recipient.ts'
import type { RecipientRecord } from '../../src/payment/recipient.ts'
import { SENDER_PREFIX } from '../../src/payment/sender.ts'
import type { SenderRecord } from '../../src/payment/sender.ts'
import { RecordStore } from '../store/record-store.ts'

/** A copy of a database that was written meanwhile may not open. */
const MAX_TRIES = 10
const TRY_AGAIN_MS = 100

/** What one node has on its own disk about money: what it paid and what it was paid, an entry an agreement. */
export interface Books { readonly paid: readonly SenderRecord[], readonly earned: readonly RecipientRecord[] }

/**
 * Reads a node's books from a copy of its store (made beside `dataDir`, and removed), so that it can run on, and a dead one's too: an audit asks the disk, not
 * the program. Throws E_STORE.
 */
export async function readBooks(dataDir: string): Promise<Books> {
  for (let left = MAX_TRIES; ; left--) {
    const dir = await mkdtemp(join(dirname(dataDir), 'books-'))
    try {
      return await readCopy(join(dataDir, 'records'), dir)
    } catch (err) {
      if (left === 1) throw new HearthError('E_STORE', `the books in ${dataDir} cannot be read`, 'Is the disk full?', { cause: err })
      await delay(TRY_AGAIN_MS)
    } finally {
      await rm(dir, { recursive: true, force: true })
    }
  }
}

async function readCopy(from: string, to: string): Promise<Books> {
  const before = await readdir(from)
  await cp(from, to, { recursive: true, filter: (path) => !path.endsWith('LOCK') })
  const after = await readdir(from)
  // a file that came or went while the others were copied: they are of two moments
  if (before.toSorted().join('/') !== after.toSorted().join('/')) throw new HearthError('E_STORE', 'the store was rearranged while it was copied', '')
  const store = await RecordStore.open(to)
  try {
    const records = await store.load()
    const of = (prefix: string): unknown[] => records.filter(([key]) => key.startsWith(prefix)).map(([, value]) => value)
    return { paid: of(SENDER_PREFIX) as SenderRecord[], earned: of(RECIPIENT_PREFIX) as RecipientRecord[] }
  } finally {
    await store.close()
  }
}

/** Expected value signed for so far, whole wei. */
export function spentWei({ paid }: Books): bigint {
  return toWei(paid.reduce((total, { issued, terms }) => total + BigInt(issued) * expectedOf(terms), 0n))
}

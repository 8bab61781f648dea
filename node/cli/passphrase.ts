import { stat } from 'node:fs/promises'
import { HearthError } from '../../src/errors.ts'
import { KIB } from '../../src/units.ts'
import { existing, readSmall } from './files.ts'
import { remark } from './views/remark.ts'
import { clean } from './term/text.ts'
import { UsageError } from './usage-error.ts'
import type { Out } from './out.ts'

/** Shorter ones are found by trying, whatever seals the seed. */
const MIN_CHARS = 8
const MAX_CHARS = 1_000
const MAX_FILE_BYTES = 4 * KIB
const TRIES = 3
/** Bits of group and others. */
const STRANGERS = 0o077

/** Where a node's key lies, and the passphrase that the configuration's passphraseFile holds. */
export interface KeyPlace { dataDir: string, passphrase: string | undefined }

/** The passphrase of the stored key, from the configuration or asked for; undefined where the key has none or there is no key. Throws E_KEY_PASSPHRASE. */
export async function unlock({ dataDir, passphrase }: KeyPlace, out: Out, signal?: AbortSignal): Promise<string | undefined> {
  // what was configured is not asked for, also where it is wrong: the key itself tells that
  if (passphrase !== undefined) return passphrase
  const { isSeedProtected, readSeed } = await import('../keys/index.ts')
  if (await isSeedProtected(dataDir) !== true) return undefined
  for (let tries = 1; ; tries++) {
    const typed = await out.ask('Passphrase of this node\'s key: ', { secret: true, signal })
    if (typed === undefined) throw new HearthError('E_KEY_PASSPHRASE', 'The key is protected by a passphrase, and nobody is here to type it', 'Run it on a terminal, or name a file that holds the passphrase as passphraseFile in the configuration')
    try {
      await readSeed({ dataDir, passphrase: typed })
      return typed
    } catch (err) {
      if (!(err instanceof HearthError && err.code === 'E_KEY_PASSPHRASE') || tries >= TRIES) throw err
      out.note((view) => remark('That is not it. Try again', view))
    }
  }
}

/** A new passphrase, typed twice. Throws UsageError where nobody types one. */
export async function choosePassphrase(out: Out): Promise<string> {
  for (let tries = 1; ; tries++) {
    const typed = await out.ask(`New passphrase (${MIN_CHARS} characters or more): `, { secret: true })
    if (typed === undefined) throw new UsageError('E_ARGUMENT_MISSING', 'Nobody is here to type the new passphrase', 'Run it on a terminal, or put the passphrase into a file: key protect --new=FILE')
    const problem = problemOf(typed) ?? (await out.ask('The same again: ', { secret: true }) === typed ? undefined : 'The two differ')
    if (problem === undefined) return typed
    if (tries >= TRIES) throw new UsageError('E_ARGUMENT_VALUE', problem, 'Nothing was changed. Several words that belong together for you alone are easy to type and hard to guess')
    out.note((view) => remark(`${problem}. Try again`, view))
  }
}

/** A new passphrase from a file that holds nothing else. Throws UsageError. */
export async function readPassphraseFile(path: string, out: Out): Promise<string> {
  const text = (await readSmall(path, out.cwd, MAX_FILE_BYTES)).replace(/\r?\n$/, '')
  assertPassphrase(text, clean(path))
  const { mode } = await stat(await existing(path, out.cwd, 'file'))
  if (process.platform !== 'win32' && (mode & STRANGERS) !== 0) out.note((view) => remark(`Others may read ${clean(path)}: chmod 600 ${clean(path)}`, view))
  return text
}

/** Throws UsageError for one that is no good as a new passphrase. `where` it stands. */
export function assertPassphrase(text: string, where: string): void {
  const problem = problemOf(text)
  if (problem !== undefined) throw new UsageError('E_ARGUMENT_VALUE', `${where}: ${problem.charAt(0).toLowerCase()}${problem.slice(1)}`, 'The file holds the passphrase on one line and nothing else')
}

function problemOf(text: string): string | undefined {
  const chars = text.normalize('NFKC').length
  if (chars < MIN_CHARS) return `It has ${chars === 0 ? 'no' : chars} characters, fewer than ${MIN_CHARS}`
  if (chars > MAX_CHARS) return `It has more than ${MAX_CHARS} characters`
  return /\p{Cc}/u.test(text) ? 'It has several lines, or characters that cannot be typed' : undefined
}

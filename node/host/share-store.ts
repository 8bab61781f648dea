import { readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { sharePolicy } from '../../src/documents/share.ts'
import type { SharePolicy } from '../../src/documents/share.ts'
import { HearthError } from '../../src/errors.ts'

const FILE = 'share.json'

/** What the owner set with `share`, kept over restarts; it wins over the configuration. */
export class ShareStore {
  readonly #path: string
  #policy: SharePolicy

  private constructor(path: string, policy: SharePolicy) {
    this.#path = path
    this.#policy = policy
  }

  static async open(dataDir: string, fallback: SharePolicy): Promise<ShareStore> {
    const path = join(dataDir, FILE)
    let saved: unknown
    try {
      saved = JSON.parse(await readFile(path, 'utf8'))
    } catch (err) {
      if (err instanceof SyntaxError) throw new HearthError('E_SHARE_FILE', `${path} is damaged`, 'Remove it, and set what is shared again with `share`', { cause: err })
      return new ShareStore(path, fallback)
    }
    const parsed = sharePolicy.safeParse({ ...fallback, ...typeof saved === 'object' ? saved : {} })
    if (!parsed.success) throw new HearthError('E_SHARE_FILE', `${path} is damaged: ${parsed.error.issues[0]?.message ?? ''}`, 'Remove it, and set what is shared again with `share`')
    return new ShareStore(path, parsed.data)
  }

  get(): SharePolicy {
    return this.#policy
  }

  /** Saves before it counts; a crash leaves the old file or the new one. */
  async set(change: Partial<SharePolicy>): Promise<SharePolicy> {
    const parsed = sharePolicy.safeParse({ ...this.#policy, ...change })
    if (!parsed.success) {
      const issue = parsed.error.issues[0]
      throw new HearthError('E_SHARE', `${issue?.path.join('.') ?? 'share'}: ${issue?.message ?? 'is not valid'}`, 'See `help share`')
    }
    await writeFile(`${this.#path}.new`, JSON.stringify(parsed.data, undefined, 2), { mode: 0o600 })
    await rename(`${this.#path}.new`, this.#path)
    this.#policy = parsed.data
    return parsed.data
  }
}

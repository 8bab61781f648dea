import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join, relative } from 'node:path'
import type { Engine } from './engine.ts'

/**
 * For tests and the demo: a host that runs every job and says something else of what came out, so that the vote has somebody to
 * catch, or to be lenient with. Only `TEST_HEARTH_MISBEHAVE` in the environment turns a node into one: `lie`, `lie:PART` for the
 * files alone whose path contains PART, and `waver:DIGIT`, whose last digit of each file is that one.
 */
export function misbehavingEngine(honest: Engine, how: string): Engine {
  const spoil = spoilerOf(how)
  return {
    prefetch: async (document, files) => { await honest.prefetch(document, files) },
    suspend: (suspended) => { honest.suspend(suspended) },
    hold: (runId, held) => { honest.hold(runId, held) },
    run: async (task, watch) => {
      const done = await honest.run(task, watch)
      if (done.files?.kind === 'folder') await spoilAll(join(done.files.dir, 'out'), spoil)
      else for (const { path, bytes } of done.files?.files ?? []) if (path.startsWith('out/')) spoil(path.slice('out/'.length), bytes)
      return done
    }
  }
}

/** The engines as they are, or, where the environment says so, as such a host's. */
export function behaving<E extends Record<string, Engine>>(engines: E, how: string | undefined): Record<keyof E, Engine> {
  if (how === undefined) return engines
  return Object.fromEntries(Object.entries(engines).map(([kind, engine]) => [kind, misbehavingEngine(engine, how)])) as Record<keyof E, Engine>
}

type Spoil = (path: string, bytes: Uint8Array) => void

function spoilerOf(how: string): Spoil {
  const [kind, what = ''] = how.split(':')
  if (kind !== 'waver') return (path, bytes) => { if (path.includes(what)) spoilBytes(bytes) }
  return (_, bytes) => {
    const at = bytes.findLastIndex((byte) => byte >= 0x30 && byte <= 0x39)
    if (at !== -1) bytes[at] = what.charCodeAt(0)
  }
}

async function spoilAll(dir: string, spoil: Spoil): Promise<void> {
  const found = await readdir(dir, { recursive: true, withFileTypes: true }).catch(() => [])
  for (const entry of found) {
    if (!entry.isFile()) continue
    const path = join(entry.parentPath, entry.name)
    const bytes = await readFile(path)
    spoil(relative(dir, path), bytes)
    await writeFile(path, bytes)
  }
}

/** One byte in the middle is enough. */
function spoilBytes(bytes: Uint8Array): void {
  const middle = Math.floor(bytes.length / 2)
  bytes[middle] = (bytes[middle] ?? 0) ^ 0xff
}

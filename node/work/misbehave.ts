import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Engine } from './engine.ts'

/**
 * For tests and the demo: a host that runs every job and lies about what came out, so that the vote has somebody to
 * catch. Only `TEST_HEARTH_MISBEHAVE=lie` in the environment turns a node into one.
 */
export function lyingEngine(honest: Engine): Engine {
  return {
    prefetch: async (document, files) => { await honest.prefetch(document, files) },
    suspend: (suspended) => { honest.suspend(suspended) },
    hold: (runId, held) => { honest.hold(runId, held) },
    run: async (task, watch) => {
      const done = await honest.run(task, watch)
      if (done.files?.kind === 'folder') await spoil(join(done.files.dir, 'out'))
      else for (const { path, bytes } of done.files?.files ?? []) if (path.startsWith('out/')) spoilBytes(bytes)
      return done
    }
  }
}

/** One byte in the middle of each output file is enough. */
async function spoil(dir: string): Promise<void> {
  const found = await readdir(dir, { recursive: true, withFileTypes: true }).catch(() => [])
  for (const entry of found) {
    if (!entry.isFile()) continue
    const path = join(entry.parentPath, entry.name)
    const bytes = await readFile(path)
    spoilBytes(bytes)
    await writeFile(path, bytes)
  }
}

function spoilBytes(bytes: Uint8Array): void {
  const middle = Math.floor(bytes.length / 2)
  bytes[middle] = (bytes[middle] ?? 0) ^ 0xff
}

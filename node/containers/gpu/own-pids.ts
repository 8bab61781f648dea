import { z } from 'zod'
import { EngineError } from '../engine-client.ts'
import type { EngineClient } from '../engine-client.ts'

/** Containers asked at once: the engine runs a `ps` for each. */
const AT_ONCE = 4

const topSchema = z.object({ Titles: z.array(z.string()), Processes: z.array(z.array(z.string())).nullable() })

/**
 * Process ids of jobs as the host counts them, so that the owner's programs are told from them. Another node's on the same
 * engine are jobs too: each would take the other's for its owner, and both would step aside.
 * Rejects with `EngineError` when the engine does not say. Under Docker Desktop and WSL2 the ids are those of another
 * machine: there the driver names no processes either.
 */
export async function ownPids(engine: Pick<EngineClient, 'call' | 'containersBy'>): Promise<ReadonlySet<number>> {
  const containers = await engine.containersBy('hearth.node')
  const pids = new Set<number>()
  for (let at = 0; at < containers.length; at += AT_ONCE) {
    const answers = await Promise.all(containers.slice(at, at + AT_ONCE).map(async ({ Id }) => top(engine, Id)))
    for (const pid of answers.flat()) pids.add(pid)
  }
  return pids
}

async function top(engine: Pick<EngineClient, 'call'>, id: string): Promise<number[]> {
  try {
    const { Titles, Processes } = topSchema.parse(await engine.call({ method: 'GET', path: `/containers/${id}/top`, query: { ps_args: '-eo pid,comm' } }))
    const column = Titles.indexOf('PID')
    return (Processes ?? []).map((row) => Number(row[column])).filter((pid) => Number.isSafeInteger(pid) && pid > 0)
  } catch (err) {
    // it has ended, or was removed: it has no processes; engines answer 409, and 500 for one that ends meanwhile
    if (err instanceof EngineError && err.kind === 'refused' && [404, 409, 500].includes(err.status)) return []
    throw err
  }
}

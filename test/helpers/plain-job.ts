import type { JobSpec } from '../../src/sim/scenario.ts'
import { HOUR_MS, SECOND_MS } from '../../src/units.ts'

/** A job without wishes: one task, one answer, one core. `documentOf` makes a document of it. */
export const PLAIN_JOB: JobSpec = {
  requester: 0, atMs: 0, tasks: 1, quorum: 1, replicas: 1, adaptive: false, spotCheckShare: 0, retries: 0, selection: 'cheapest', cores: 1, runMs: 100,
  limits: { queueMs: HOUR_MS, runMs: SECOND_MS, totalMs: HOUR_MS, logBytes: 0 }, failing: []
}

import type { JobDocument } from '../documents/job.ts'
import { GIB } from '../units.ts'
import { EPOCH_WALL_MS } from './computer.ts'
import type { JobSpec } from './scenario.ts'
import { cidOf } from './truth.ts'

const MODULE = cidOf('module')

export function jobIdOf(seed: number, index: number): string {
  return cidOf(`job ${seed}/${index}`)
}

/** The document that the requester's tools would have made of a spec. */
export function documentOf(spec: JobSpec, requester: string, seed: number): JobDocument {
  return {
    v: 1, name: `sim-${seed}`, requester, createdWallMs: EPOCH_WALL_MS, nonce: new Uint8Array(16),
    engine: { kind: 'wasm', module: MODULE, moduleBytes: 1000 }, args: [], env: {}, inputs: [], outputs: [],
    ...spec.tasks === 1 ? {} : { map: { kind: 'range', start: 0, end: spec.tasks, step: 1 } },
    resources: { cores: spec.cores, memoryBytes: GIB / 4, diskBytes: 0 }, limits: spec.limits,
    replication: { quorum: spec.quorum, replicas: spec.replicas, adaptive: spec.adaptive, spotCheckShare: spec.spotCheckShare },
    ...spec.compare === undefined ? {} : { compare: { by: spec.compare, module: MODULE, moduleBytes: 1000, args: [] } },
    ...spec.segments === undefined ? {} : { segments: spec.segments },
    retries: spec.retries, selection: spec.selection, placement: {}
  }
}

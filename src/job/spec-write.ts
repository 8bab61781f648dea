import { imageText } from '../documents/image.ts'
import type { JobMap, JobSpec } from './spec.ts'
import { sourceText } from './spec-fields.ts'
import { exactDuration, exactSize, exactWei } from './spec-units.ts'

/** A checked job file written back, every default spelled out: `parseJobSpec(writeJobFile(spec))` equals `spec`. */
export function writeJobFile(spec: JobSpec): Record<string, unknown> {
  const { engine, resources, limits, replication } = spec
  return {
    name: spec.name,
    engine: engine.kind,
    ...(engine.kind === 'wasm' ? { module: sourceText(engine.module) } : containerKeys(engine)),
    args: spec.args,
    env: spec.env,
    inputs: Object.fromEntries(spec.inputs.map(({ path, source }) => [path, sourceText(source)])),
    ...(spec.stdin === undefined ? {} : { stdin: sourceText(spec.stdin) }),
    outputs: spec.outputs,
    ...(spec.map === undefined ? {} : { map: mapKeys(spec.map) }),
    resources: {
      cores: resources.cores,
      memory: exactSize(resources.memoryBytes),
      disk: exactSize(resources.diskBytes),
      ...(resources.gpu === undefined ? {} : { gpu: { ...present({ vendor: resources.gpu.vendor, model: resources.gpu.model }), vram: exactSize(resources.gpu.vramBytes), count: resources.gpu.count } })
    },
    limits: { queue: exactDuration(limits.queueMs), run: exactDuration(limits.runMs), total: exactDuration(limits.totalMs), log: exactSize(limits.logBytes) },
    replicas: replication.replicas,
    quorum: replication.quorum,
    adaptive: replication.adaptive,
    spotCheck: replication.spotCheckShare,
    ...(spec.compare === undefined ? {} : { compare: { [spec.compare.by === 'program' ? 'with' : 'verify']: sourceText(spec.compare.module), args: spec.compare.args } }),
    ...present({ segments: spec.segments }),
    retries: spec.retries,
    select: spec.selection,
    ...(spec.priceCapWei === undefined ? {} : { priceCap: exactWei(spec.priceCapWei) }),
    placement: placementKeys(spec.placement)
  }
}

function present(keys: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(keys).filter(([, value]) => value !== undefined))
}

function containerKeys(engine: Extract<JobSpec['engine'], { kind: 'container' }>): Record<string, unknown> {
  return present({
    image: engine.image.kind === 'registry' ? imageText(engine.image.image) : sourceText(engine.image),
    imageSignatures: engine.signatures?.map(({ signer, signature }) => `${signer}:${btoa(String.fromCharCode(...signature))}`),
    registryLogin: engine.registrySecret,
    secrets: engine.secrets === undefined ? undefined : Object.fromEntries(engine.secrets.map(({ name, path }) => [name, path])),
    entrypoint: engine.entrypoint,
    network: engine.network === undefined ? undefined : { allow: engine.network.allow, max: exactSize(engine.network.maxBytes) }
  })
}

function mapKeys(map: JobMap): Record<string, unknown> {
  switch (map.kind) {
    case 'range': return { range: [map.start, map.end, map.step] }
    case 'list': return { list: map.items }
    case 'files': return { files: sourceText(map.folder) }
  }
}

function placementKeys(placement: JobSpec['placement']): Record<string, unknown> {
  const { regions, maxLatencyMs, allow, deny, providers, gpuVendors } = placement
  return present({
    regions, allow, deny, providers,
    maxLatency: maxLatencyMs === undefined ? undefined : exactDuration(maxLatencyMs),
    hardware: gpuVendors === undefined ? undefined : { gpuVendors }
  })
}

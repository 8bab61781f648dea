import { z } from 'zod'
import type { GpuProblem, FoundCard } from './found.ts'
import type { CardAccess } from './assignment.ts'

/** Names of devices that are remembered of an engine's answer. */
const MAX_CDI_DEVICES = 256

/** What matters of an engine for handing out cards. */
export interface GpuEngine {
  readonly version: string
  readonly podman: boolean
  /** Docker Desktop keeps its containers in a machine of its own, without this one's device nodes. */
  readonly desktop: boolean
  readonly runtimes: readonly string[]
  /** Whether the engine reads CDI specifications (Docker from 25 on), and the devices that it names (from 28 on). */
  readonly readsCdi: boolean
  readonly cdiDevices: readonly string[]
}

const infoSchema = z.object({
  ServerVersion: z.string().catch(''),
  OperatingSystem: z.string().catch(''),
  Runtimes: z.record(z.string(), z.unknown()).catch({}),
  CDISpecDirs: z.array(z.string()).nullish().catch(null),
  DiscoveredDevices: z.array(z.object({ Source: z.string(), ID: z.string() })).nullish().catch(null)
})

/** Reads the engine's answer to `GET /info`; `podman` as its finder knows it. An odd answer reads as an engine without cards. */
export function gpuEngine(info: unknown, podman: boolean): GpuEngine {
  const { ServerVersion, OperatingSystem, Runtimes, CDISpecDirs, DiscoveredDevices } = infoSchema.catch({ ServerVersion: '', OperatingSystem: '', Runtimes: {}, CDISpecDirs: null, DiscoveredDevices: null }).parse(info)
  return {
    version: ServerVersion, podman, desktop: /docker desktop/i.test(OperatingSystem), runtimes: Object.keys(Runtimes), readsCdi: (CDISpecDirs ?? []).length > 0,
    cdiDevices: (DiscoveredDevices ?? []).filter(({ Source }) => Source === 'cdi').map(({ ID }) => ID).slice(0, MAX_CDI_DEVICES)
  }
}

/**
 * The ways in which this engine may hand over this card, the surest first; the probe says which one holds. `alone`: it is
 * the only card of its vendor, so a way that hands over all cards hands over this one.
 */
export function accessCandidates(card: FoundCard, engine: GpuEngine, { wsl, alone }: { wsl: boolean, alone: boolean }): CardAccess[] {
  if (card.card.vendor === 'amd') return engine.desktop || card.nodes === undefined ? [] : [{ kind: 'nodes', nodes: card.nodes, groups: card.groups ?? [] }]
  if (card.card.vendor !== 'nvidia') return []
  const cdi = (name: string): CardAccess => ({ kind: 'cdi', device: `nvidia.com/gpu=${name}` })
  const named = [card.id, String(card.index)].filter((name) => engine.cdiDevices.includes(`nvidia.com/gpu=${name}`)).slice(0, 1).map(cdi)
  const nvidia: CardAccess = { kind: 'nvidia', uuid: card.id }
  const maybe = engine.readsCdi && engine.cdiDevices.length === 0 ? [cdi(card.id), cdi(String(card.index))] : []
  // WSL2's toolkit writes one device for all cards, and selects none by itself
  const whole: CardAccess[] = wsl && alone ? [...engine.readsCdi ? [cdi('all')] : [], { kind: 'nvidia', uuid: 'all' }] : []
  return engine.podman ? [cdi(card.id), cdi(String(card.index)), ...whole] : [...named, nvidia, ...maybe, ...whole]
}

const TOOLKIT_HINT = 'Install nvidia-container-toolkit, run `nvidia-ctk runtime configure --runtime=docker`, then restart Docker'

/** The engine has only words for what is missing: they are read here, and nowhere else. */
export function engineRefusal(model: string, vendor: GpuProblem['vendor'], engineSays: string): GpuProblem {
  const said = engineSays.replace(/\s+/g, ' ').slice(0, 300)
  const problem = (code: GpuProblem['code'], message: string, hint: string): GpuProblem => ({ code, vendor, message: `${model} is there, but ${message}`, hint })
  if (/could not select device driver "cdi"/i.test(said)) return problem('E_GPU_CDI', 'the engine is too old for CDI, or does not use it', 'Update Docker to 28 or newer, or install nvidia-container-toolkit')
  if (/could not select device driver|failed to discover GPU vendor/i.test(said)) return problem('E_GPU_TOOLKIT', 'the NVIDIA container toolkit is missing', TOOLKIT_HINT)
  if (/unresolvable CDI device|CDI device injection failed|registry not configured/i.test(said)) return problem('E_GPU_CDI', 'the engine knows no CDI device for it', 'Write its description with `nvidia-ctk cdi generate --output=/etc/cdi/nvidia.yaml`, then restart the engine')
  if (/nvidia-container-cli/i.test(said) && /cgroup|bpf/i.test(said)) return problem('E_GPU_TOOLKIT', 'a rootless engine may not set up device rules for it', 'Set `no-cgroups = true` in /etc/nvidia-container-runtime/config.toml')
  if (/nvidia-container-cli|nvml|driver not loaded/i.test(said)) return problem('E_GPU_DRIVER', `the container toolkit cannot use its driver: ${said}`, 'Run `nvidia-smi`; after an update of the driver, reboot')
  if (/error gathering device information|no such file or directory.*\/dev\/|\/dev\/.*no such file/i.test(said)) return problem('E_GPU_NODES', `the engine does not find its device nodes: ${said}`, 'Look whether they are there: ls -l /dev/kfd /dev/dri')
  return problem('E_GPU_PROBE', `no container could be started with it: ${said}`, 'Try the same by hand: docker run --rm --gpus all ubuntu nvidia-smi')
}

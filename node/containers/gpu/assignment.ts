import { HearthError } from '../../../src/errors.ts'

/** One entry of `HostConfig.DeviceRequests`, as the engine's API spells it. */
export interface DeviceRequest {
  readonly Driver: 'nvidia' | 'cdi'
  /** Always 0: the engine expands `Count: 1` to the first card, so that every job would share it. */
  readonly Count: 0
  readonly DeviceIDs: readonly string[]
  readonly Capabilities: readonly (readonly string[])[]
  /** Given back by the engine even when it was not asked for: what is asked and what is read back are the same. */
  readonly Options: Readonly<Record<string, never>>
}

/** One entry of `HostConfig.Devices`. */
export interface DeviceMapping { readonly PathOnHost: string, readonly PathInContainer: string, readonly CgroupPermissions: 'rw' }

/** The way in which the engine hands over one particular card. */
export type CardAccess =
  /** The engine's own NVIDIA driver, by the card's UUID. */
  | { readonly kind: 'nvidia', readonly uuid: string }
  /** A device of the Container Device Interface, such as `nvidia.com/gpu=GPU-…`. */
  | { readonly kind: 'cdi', readonly device: string }
  /** Device nodes and the numeric groups that may open them: AMD's /dev/kfd and the card's render node. */
  | { readonly kind: 'nodes', readonly nodes: readonly string[], readonly groups: readonly number[] }

/**
 * What a run's container gets of the leased cards: `settings.ts` copies the lists into `HostConfig.DeviceRequests`,
 * `HostConfig.Devices` and `HostConfig.GroupAdd`, and builds `Env` with `containerEnv`.
 */
export interface GpuAssignment {
  /** Ids of the leased cards, for labels and messages. Empty: no card. */
  readonly cards: readonly string[]
  readonly deviceRequests: readonly DeviceRequest[]
  readonly devices: readonly DeviceMapping[]
  /** Numeric group ids. */
  readonly groups: readonly string[]
  /** Stands above what job and image say. */
  readonly env: Readonly<Record<string, string>>
}

/** Never `graphics` or `display`: a job computes, the owner's screen is not its affair. */
const DRIVER_CAPABILITIES = ['compute', 'utility'] as const
/** An image that says `all` would otherwise get every card wherever the `nvidia` runtime is the engine's default. */
const VOID_ENV: Readonly<Record<string, string>> = { NVIDIA_VISIBLE_DEVICES: 'void' }

/** For every job that asked for no card. */
export const NO_GPU: GpuAssignment = { cards: [], deviceRequests: [], devices: [], groups: [], env: VOID_ENV }

/** `id`s are unique; cards of different kinds may be mixed. Pure. */
export function assignCards(cards: readonly { id: string, access: CardAccess }[]): GpuAssignment {
  if (cards.length === 0) return NO_GPU
  const uuids: string[] = []
  const cdi: string[] = []
  const nodes = new Set<string>()
  const groups = new Set<number>()
  for (const { access } of cards) {
    if (access.kind === 'nvidia') uuids.push(access.uuid)
    if (access.kind === 'cdi') cdi.push(access.device)
    if (access.kind === 'nodes') {
      for (const node of access.nodes) nodes.add(node)
      for (const group of access.groups) groups.add(group)
    }
  }
  const deviceRequests: DeviceRequest[] = []
  if (uuids.length > 0) deviceRequests.push({ Driver: 'nvidia', Count: 0, DeviceIDs: uuids, Capabilities: [['gpu', ...DRIVER_CAPABILITIES]], Options: {} })
  if (cdi.length > 0) deviceRequests.push({ Driver: 'cdi', Count: 0, DeviceIDs: cdi, Capabilities: [], Options: {} })
  return {
    cards: cards.map(({ id }) => id),
    deviceRequests,
    devices: [...nodes].map((path) => ({ PathOnHost: path, PathInContainer: path, CgroupPermissions: 'rw' })),
    groups: [...groups].map(String),
    env: uuids.length > 0 ? { NVIDIA_VISIBLE_DEVICES: uuids.join(','), NVIDIA_DRIVER_CAPABILITIES: DRIVER_CAPABILITIES.join(',') } : VOID_ENV
  }
}

/** Variables by which container runtimes hand out cards, whatever the settings say: nobody but the host may set them. */
export function steersGpu(name: string): boolean {
  return /^(?:NVIDIA_|AMD_VISIBLE_DEVICES$|DOCKER_RESOURCE_)/i.test(name)
}

/**
 * The container's `Env`, in the engine's spelling: the job's variables without those that steer cards, the assignment's,
 * and for each such variable of the image its bare name, which makes the engine drop it.
 */
export function containerEnv(job: Readonly<Record<string, string>>, imageEnv: readonly string[], gpus: GpuAssignment): string[] {
  const wanted = Object.entries(job).filter(([name]) => !steersGpu(name))
  for (const [name] of wanted) if (name === '' || /[=\0]/.test(name)) throw new HearthError('E_JOB_ENV', `the variable name ${JSON.stringify(name)} cannot be set`, 'Use letters, digits and underscores')
  const dropped = imageEnv.map((entry) => entry.split('=', 1)[0] ?? '').filter((name) => steersGpu(name) && !(name in gpus.env))
  return [...new Set(dropped), ...[...wanted, ...Object.entries(gpus.env)].map(([name, value]) => `${name}=${value}`)]
}

import { MIB } from '../../src/units.ts'
import type { ContainerLimits, ContainerSpec } from './container-spec.ts'
import type { InspectedImage } from './engine-client.ts'
import { containerEnv } from './gpu/assignment.ts'
import { MAX_LOCKED_BYTES, MAX_OPEN_FILES, MAX_SECRETS, MAX_SHM_BYTES, OVERHEAD_BYTES, TMP_FILES } from './limits.ts'

const PAGE_BYTES = 4096
/** Where the room's own programs are in every container: init, relay, and `run/stdin` for a job that has one. */
export const TOOLS_DIR = '/.hearth'
const INIT = `${TOOLS_DIR}/init`
const RELAY = `${TOOLS_DIR}/relay`
export const STDIN_DIR = `${TOOLS_DIR}/run`
const SOCKET_DIR = '/run/hearth'
/**
 * Where the engine and these settings mount: were one of them a link in the image, a mount would land elsewhere (over /proc,
 * say), which has led runtimes astray more than once.
 */
export const MOUNT_POINTS = ['/.hearth', '/dev', '/etc', '/in', '/out', '/proc', '/run', '/run/hearth', '/run/secrets', '/sys', '/tmp'] as const
/** Any name but the host's. */
const HOSTNAME = 'hearth'
/** Beside the job's own processes: process 1, and the relay with the one that starts it. */
const OWN_PIDS = 1
const RELAY_PIDS = 2
/** The lowest that the kernel takes: whatever the host's owner runs comes first. */
const CPU_SHARES = 2
/** Should the whole machine run short, a job goes before the owner's programs. */
const OOM_SCORE_ADJ = 500
/** A process may use this much more processor time than the wall clock allows; the clock ends it first. */
const CPU_GRACE_SECONDS = 60

/** Kernel files that no job needs to see, with those that Docker hides by default. */
const MASKED_PATHS = [
  '/proc/acpi', '/proc/asound', '/proc/interrupts', '/proc/kallsyms', '/proc/kcore', '/proc/keys', '/proc/kmsg', '/proc/latency_stats', '/proc/modules',
  '/proc/sched_debug', '/proc/scsi', '/proc/sysrq-trigger', '/proc/timer_list', '/proc/timer_stats', '/sys/devices/virtual/powercap', '/sys/firmware', '/sys/kernel/debug'
]
const READONLY_PATHS = ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys']

/** What of the engine decides over settings. */
export interface EngineTraits {
  cgroupVersion: 1 | 2
  /** The engine maps users (rootless, or user namespaces): only small ids exist. */
  mapsUsers: boolean
}

/** Names that the run got from its sandbox. */
export interface RunIdentity {
  node: string
  /** User and group inside, of this run alone. */
  uid: number
  toolsVolume: string
  /** With inputs: a volume for /in. */
  inputVolume?: string
  /** With standard input: a volume that holds the file `stdin`. */
  stdinVolume?: string
  seccomp: string
}

export interface VolumeMount { Type: 'volume' | 'bind', Source: string, Target: string, ReadOnly: true, VolumeOptions?: { NoCopy: true }, BindOptions?: { Propagation: 'rprivate' } }

/** The body of `POST /containers/create`. */
export interface ContainerSettings extends Record<string, unknown> {
  Image: string
  HostConfig: Record<string, unknown> & { Mounts: VolumeMount[], Tmpfs: Record<string, string> }
}

const pages = (bytes: number): number => Math.max(PAGE_BYTES, Math.ceil(bytes / PAGE_BYTES) * PAGE_BYTES)

/** What a run can take of the host's memory: its own, its outputs (they lie in memory), and the container's overhead. */
export function containerMemoryBytes({ memoryBytes, outBytes }: Pick<ContainerLimits, 'memoryBytes' | 'outBytes'>): number {
  return pages(memoryBytes) + pages(outBytes) + OVERHEAD_BYTES
}

/** What the container runs, with Docker's rules for an image's own entrypoint and command. Empty: nothing to run. */
export function commandOf(spec: Pick<ContainerSpec, 'entrypoint' | 'command'>, image: InspectedImage): string[] {
  if (spec.entrypoint !== undefined) return [...spec.entrypoint, ...spec.command]
  return [...image.Config?.Entrypoint ?? [], ...spec.command.length > 0 ? spec.command : image.Config?.Cmd ?? []]
}

function volume(Source: string, Target: string): VolumeMount {
  return { Type: 'volume', Source, Target, ReadOnly: true, VolumeOptions: { NoCopy: true } }
}

function mounts(spec: ContainerSpec, { toolsVolume, inputVolume, stdinVolume }: RunIdentity): VolumeMount[] {
  return [
    volume(toolsVolume, TOOLS_DIR),
    ...inputVolume === undefined ? [] : [volume(inputVolume, '/in')],
    ...stdinVolume === undefined ? [] : [volume(stdinVolume, STDIN_DIR)],
    // Mounts, unlike Binds, refuse a folder that is not there
    ...spec.network === undefined ? [] : [{ Type: 'bind', Source: spec.network.socketDir, Target: SOCKET_DIR, ReadOnly: true, BindOptions: { Propagation: 'rprivate' } } as const]
  ]
}

function tmpfs(spec: ContainerSpec, { uid, inputVolume }: RunIdentity): Record<string, string> {
  const own = (sizeBytes: number, files: number): string => `rw,noexec,nosuid,nodev,size=${pages(sizeBytes)},nr_inodes=${files + 1},mode=0700,uid=${uid},gid=${uid}`
  const secretBytes = spec.secrets.reduce((sum, { bytes }) => sum + pages(bytes.length), 0)
  return {
    '/tmp': own(spec.limits.outBytes, TMP_FILES),
    '/out': own(spec.limits.outBytes, spec.limits.outFiles),
    ...spec.secrets.length === 0 ? {} : { '/run/secrets': own(secretBytes, MAX_SECRETS) },
    ...inputVolume === undefined ? { '/in': `ro,noexec,nosuid,nodev,size=${PAGE_BYTES},nr_inodes=2,mode=0555` } : {}
  }
}

function ulimits({ cores, outBytes, wallMs }: ContainerLimits): { Name: string, Soft: number, Hard: number }[] {
  const limit = (Name: string, value: number): { Name: string, Soft: number, Hard: number } => ({ Name, Soft: value, Hard: value })
  return [
    limit('nofile', MAX_OPEN_FILES), limit('core', 0), limit('msgqueue', 0), limit('memlock', MAX_LOCKED_BYTES),
    limit('fsize', Math.max(pages(outBytes), MAX_SHM_BYTES)),
    limit('cpu', Math.ceil(Math.max(1, cores) * wallMs / 1000) + CPU_GRACE_SECONDS)
  ]
}

function hostConfig(spec: ContainerSpec, traits: EngineTraits, identity: RunIdentity): ContainerSettings['HostConfig'] {
  const { limits, gpus, network } = spec
  const memory = containerMemoryBytes(limits)
  return {
    NetworkMode: 'none', PublishAllPorts: false, PortBindings: {}, Links: [], ExtraHosts: [],
    // the engine would otherwise write the host's name servers and search domains into the container
    Dns: ['127.0.0.1'], DnsSearch: ['.'], DnsOptions: [],
    Privileged: false, CapAdd: [], CapDrop: ['ALL'], SecurityOpt: ['no-new-privileges:true', `seccomp=${identity.seccomp}`],
    ReadonlyRootfs: true, MaskedPaths: MASKED_PATHS, ReadonlyPaths: READONLY_PATHS, Sysctls: {},
    PidMode: '', UTSMode: '', UsernsMode: '', IpcMode: 'private', CgroupnsMode: 'private', CgroupParent: '',
    PidsLimit: limits.pids + OWN_PIDS + (network === undefined ? 0 : RELAY_PIDS),
    Memory: memory, MemorySwap: memory, ...traits.cgroupVersion === 1 ? { MemorySwappiness: 0 } : {},
    OomKillDisable: false, OomScoreAdj: OOM_SCORE_ADJ,
    NanoCpus: Math.round(limits.cores * 1e9), CpuShares: CPU_SHARES,
    Ulimits: ulimits(limits), ShmSize: Math.min(MAX_SHM_BYTES, Math.max(MIB, pages(limits.memoryBytes / 4))),
    Binds: [], VolumesFrom: [], Mounts: mounts(spec, identity), Tmpfs: tmpfs(spec, identity),
    Devices: gpus.devices, DeviceRequests: gpus.deviceRequests, DeviceCgroupRules: [], GroupAdd: gpus.groups,
    Init: false, AutoRemove: false, RestartPolicy: { Name: 'no', MaximumRetryCount: 0 }, LogConfig: { Type: 'none', Config: {} }
  }
}

/** The labels by which a node finds its own again. */
export function labelsOf(node: string, runId: string): Record<string, string> {
  return { 'hearth.node': node, 'hearth.run': runId }
}

/** A user without an entry in the image has `/` for a home, which nothing can write: programs that keep caches there would fail. */
function homeOf(image: InspectedImage): Record<string, string> {
  return (image.Config?.Env ?? []).some((entry) => entry.startsWith('HOME=')) ? {} : { HOME: '/tmp' }
}

/** All that the engine is asked for one run. Pure. `argv` comes from `commandOf`. */
export function containerSettings(spec: ContainerSpec, argv: readonly string[], image: InspectedImage, traits: EngineTraits, identity: RunIdentity): ContainerSettings {
  return {
    Image: spec.imageId,
    Hostname: HOSTNAME, Domainname: '', User: `${identity.uid}:${identity.uid}`,
    // Process 1 is ours; it goes to the job's directory itself: runtimes have been led astray by an image's WORKDIR.
    Entrypoint: [INIT], Cmd: [...spec.network === undefined ? [] : [RELAY], ...argv], WorkingDir: '/',
    Env: containerEnv({ ...homeOf(image), ...spec.env, ...spec.network?.env }, image.Config?.Env ?? [], spec.gpus),
    Labels: labelsOf(identity.node, spec.runId),
    AttachStdin: true, AttachStdout: true, AttachStderr: true, OpenStdin: true, StdinOnce: true, Tty: false,
    NetworkDisabled: false, Healthcheck: { Test: ['NONE'] }, StopSignal: 'SIGKILL',
    HostConfig: hostConfig(spec, traits, identity)
  }
}

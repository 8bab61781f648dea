import { access } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { EngineClient, type EngineInfo, type EngineVersion } from './engine-client.ts'
import { PING_DEADLINE_MS } from './limits.ts'

/** A place where an engine may listen, and whose it would be. */
export interface EngineSocket { socketPath: string, of: string }

export interface FoundEngine {
  client: EngineClient
  /** Such as `Docker Engine (rootless)`: what a person calls it. */
  name: string
  isRootless: boolean
  info: EngineInfo
  version: EngineVersion
}

interface Surroundings { env: NodeJS.ProcessEnv, platform: NodeJS.Platform, home: string, uid: number | undefined }

function here(): Surroundings {
  return { env: process.env, platform: process.platform, home: homedir(), uid: process.getuid?.() }
}

/** The socket in DOCKER_HOST; undefined where it names a machine instead: inputs and the proxy's socket are local. */
function fromEnvironment(env: NodeJS.ProcessEnv): EngineSocket[] {
  const host = env['DOCKER_HOST'] ?? env['CONTAINER_HOST'] ?? ''
  const path = /^(?:unix|npipe):\/\/(.+)$/.exec(host)?.[1]
  return path === undefined ? [] : [{ socketPath: path, of: 'DOCKER_HOST' }]
}

/** Where engines listen, the most deliberate choice first. Pure. */
export function engineSockets({ env, platform, home, uid }: Surroundings = here()): EngineSocket[] {
  const chosen = fromEnvironment(env)
  if (platform === 'win32') return [...chosen, { socketPath: '//./pipe/docker_engine', of: 'Docker Desktop' }, { socketPath: '//./pipe/podman-machine-default', of: 'Podman' }]
  const runtime = env['XDG_RUNTIME_DIR'] ?? (uid === undefined ? undefined : `/run/user/${uid}`)
  const own = runtime === undefined ? [] : [{ socketPath: join(runtime, 'docker.sock'), of: 'rootless Docker' }, { socketPath: join(runtime, 'podman/podman.sock'), of: 'rootless Podman' }]
  const inHome = [
    ['.docker/run/docker.sock', 'Docker Desktop'], ['.docker/desktop/docker.sock', 'Docker Desktop'], ['.orbstack/run/docker.sock', 'OrbStack'],
    ['.colima/default/docker.sock', 'Colima'], ['.rd/docker.sock', 'Rancher Desktop'], ['.local/share/containers/podman/machine/podman.sock', 'Podman']
  ].map(([path = '', of = '']) => ({ socketPath: join(home, path), of }))
  // a rootless engine confines a job that breaks out to the user's own rights
  return [...chosen, ...own, { socketPath: '/var/run/docker.sock', of: 'Docker' }, ...inHome, { socketPath: '/run/podman/podman.sock', of: 'Podman' }]
}

function has(info: EngineInfo, option: string): boolean {
  return (info.SecurityOptions ?? []).some((each) => each.split(',').includes(`name=${option}`))
}

export function mapsUsers(info: EngineInfo): boolean {
  return has(info, 'rootless') || has(info, 'userns')
}

export function filtersCalls(info: EngineInfo): boolean {
  return has(info, 'seccomp')
}

/** What kind of engine answers. Pure. */
export function engineName(info: EngineInfo, version: EngineVersion, socketPath: string): string {
  const parts = (version.Components ?? []).map(({ Name }) => Name)
  const rootless = has(info, 'rootless') ? ' (rootless)' : ''
  if (parts.some((name) => /podman/i.test(name)) || /podman/i.test(socketPath)) return `Podman${rootless}`
  if (/Docker Desktop/.test(`${version.Platform?.Name ?? ''} ${info.OperatingSystem ?? ''}`)) return 'Docker Desktop'
  if (/OrbStack/i.test(info.OperatingSystem ?? '')) return 'OrbStack'
  return `Docker Engine${rootless}`
}

/**
 * The first engine that answers, and why the others don't. Permission denied is worth telling: the engine is there,
 * only this user may not ask it.
 */
export async function findEngine(sockets: readonly EngineSocket[]): Promise<{ found?: FoundEngine, denied: string[] }> {
  const denied: string[] = []
  for (const { socketPath } of sockets) {
    const client = new EngineClient(socketPath)
    try {
      if (!socketPath.startsWith('//')) await access(socketPath)
      await client.ping(PING_DEADLINE_MS)
      const [info, version] = await Promise.all([client.info(), client.version()])
      return { found: { client, name: engineName(info, version, socketPath), isRootless: has(info, 'rootless'), info, version }, denied }
    } catch (err) {
      if (/EACCES|EPERM/.test(String(err))) denied.push(socketPath)
    }
  }
  return { denied }
}

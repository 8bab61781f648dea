import type { IncomingMessage } from 'node:http'
import type { Duplex, Readable } from 'node:stream'
import Docker from 'dockerode'
import { ACT_DEADLINE_MS, ASK_DEADLINE_MS, MIN_API_VERSION } from './limits.ts'

/**
 * What came of a call on the engine. `gone`: it did not answer (dead, stuck, or its socket vanished), so nobody knows
 * what it did. `refused`: it answered with an HTTP status of 300 or more; `status` has it.
 */
export class EngineError extends Error {
  readonly kind: 'gone' | 'refused'
  readonly status: number

  constructor(kind: 'gone' | 'refused', status: number, message: string, options?: ErrorOptions) {
    super(message, options)
    this.kind = kind
    this.status = status
  }
}

export interface ContainerState {
  Status: string
  Running: boolean
  Paused: boolean
  OOMKilled: boolean
  ExitCode: number
  Error: string
}
/** The parts of an inspected container that this room reads; `Config`, `HostConfig` and `Mounts` are compared key by key. */
export interface InspectedContainer {
  Id: string
  Image: string
  State: ContainerState
  Config: Record<string, unknown>
  HostConfig: Record<string, unknown>
  Mounts: Record<string, unknown>[]
}
export interface InspectedImage {
  Id: string
  Os: string
  Architecture: string
  Size: number
  RepoDigests?: string[] | null
  Config?: { Entrypoint?: string[] | null, Cmd?: string[] | null, Env?: string[] | null, WorkingDir?: string, Volumes?: Record<string, object> | null } | null
}
export interface EngineInfo {
  ID?: string
  Name?: string
  OSType?: string
  OperatingSystem?: string
  Architecture?: string
  DockerRootDir?: string
  MemoryLimit?: boolean
  SwapLimit?: boolean
  CpuCfsQuota?: boolean
  PidsLimit?: boolean
  CgroupVersion?: string
  NCPU?: number
  MemTotal?: number
  SecurityOptions?: string[] | null
  Runtimes?: Record<string, unknown>
}
export interface EngineVersion {
  Version?: string
  ApiVersion?: string
  MinAPIVersion?: string
  Os?: string
  Arch?: string
  KernelVersion?: string
  Platform?: { Name?: string }
  Components?: { Name: string, Version: string, Details?: Record<string, string> }[]
}
/** Cumulative figures of one container, as far as its control group gives them. */
export interface EngineStats { cpu_stats?: { cpu_usage?: { total_usage?: number } }, memory_stats?: { usage?: number, max_usage?: number } }

interface Call {
  method: 'GET' | 'POST' | 'PUT' | 'DELETE'
  path: string
  query?: Record<string, unknown>
  body?: object
  /** A tar, for PUT and POST. */
  file?: Readable | Buffer
  /** Zero: no deadline of its own; `signal` ends it. */
  deadlineMs?: number
  signal?: AbortSignal
}

/** The engine gave one of these: not an error. 304 is "already so". */
const GOOD = { 200: true, 201: true, 204: true, 304: true } as const

function asEngineError(err: unknown, what: string): EngineError {
  if (err instanceof EngineError) return err
  const status = err instanceof Error && 'statusCode' in err ? Number(err.statusCode) : 0
  if (status >= 300) {
    const json = err instanceof Error && 'json' in err ? err.json : undefined
    const words = typeof json === 'object' && json !== null && 'message' in json ? String(json.message) : err instanceof Error ? err.message : String(err)
    return new EngineError('refused', status, words.slice(0, 1000), { cause: err })
  }
  const why = err instanceof Error && 'code' in err ? String(err.code) : err instanceof Error ? err.message : String(err)
  return new EngineError('gone', 0, `${what}: ${why}`, { cause: err })
}

/** The engine's API as this room uses it, each call with a deadline of our own. Every method rejects with `EngineError` only. */
export class EngineClient {
  readonly socketPath: string
  readonly #docker: Docker

  constructor(socketPath: string) {
    this.socketPath = socketPath
    // The environment's DOCKER_HOST would otherwise win over the path.
    this.#docker = new Docker({ socketPath, host: undefined, protocol: 'http', version: `v${MIN_API_VERSION}` })
  }

  async ping(deadlineMs = ASK_DEADLINE_MS): Promise<void> { await this.call({ method: 'GET', path: '/_ping', deadlineMs }) }
  async info(): Promise<EngineInfo> { return await this.call<EngineInfo>({ method: 'GET', path: '/info' }) }
  async version(): Promise<EngineVersion> { return await this.call<EngineVersion>({ method: 'GET', path: '/version' }) }

  async image(id: string): Promise<InspectedImage> { return await this.call<InspectedImage>({ method: 'GET', path: `/images/${encodeURIComponent(id)}/json` }) }
  async importImage(tar: Readable | Buffer, repo: string, tag: string): Promise<void> {
    await this.call({ method: 'POST', path: '/images/create', query: { fromSrc: '-', repo, tag }, file: tar, deadlineMs: ACT_DEADLINE_MS })
  }

  async createVolume(name: string, labels: Record<string, string>): Promise<void> { await this.call({ method: 'POST', path: '/volumes/create', body: { Name: name, Driver: 'local', Labels: labels }, deadlineMs: ACT_DEADLINE_MS }) }
  async volume(name: string): Promise<{ Labels: Record<string, string> | null }> { return await this.call({ method: 'GET', path: `/volumes/${name}` }) }
  async removeVolume(name: string): Promise<void> { await this.call({ method: 'DELETE', path: `/volumes/${name}`, query: { force: true }, deadlineMs: ACT_DEADLINE_MS }) }
  async volumesBy(label: string): Promise<{ Name: string }[]> {
    const { Volumes } = await this.call<{ Volumes: { Name: string }[] | null }>({ method: 'GET', path: '/volumes', query: { filters: { label: [label] } } })
    return Volumes ?? []
  }

  async createContainer(name: string, body: object): Promise<{ id: string, warnings: string[] }> {
    const { Id, Warnings } = await this.call<{ Id: string, Warnings?: string[] | null }>({ method: 'POST', path: '/containers/create', query: { name }, body, deadlineMs: ACT_DEADLINE_MS })
    return { id: Id, warnings: Warnings ?? [] }
  }
  async containersBy(label: string): Promise<{ Id: string, Labels: Record<string, string> }[]> { return await this.call({ method: 'GET', path: '/containers/json', query: { all: true, filters: { label: [label] } } }) }
  async inspect(id: string): Promise<InspectedContainer> { return await this.call({ method: 'GET', path: `/containers/${id}/json` }) }
  async start(id: string): Promise<void> { await this.call({ method: 'POST', path: `/containers/${id}/start`, deadlineMs: ACT_DEADLINE_MS }) }
  async pause(id: string): Promise<void> { await this.call({ method: 'POST', path: `/containers/${id}/pause`, deadlineMs: ACT_DEADLINE_MS }) }
  async unpause(id: string): Promise<void> { await this.call({ method: 'POST', path: `/containers/${id}/unpause`, deadlineMs: ACT_DEADLINE_MS }) }
  /** Ends it if it runs, and takes its anonymous volumes along. One that is not there is fine. */
  async remove(id: string): Promise<void> {
    await this.call({ method: 'DELETE', path: `/containers/${id}`, query: { force: true, v: true }, deadlineMs: ACT_DEADLINE_MS }).catch((err: unknown) => {
      // 409: somebody else removes it already
      if (!(err instanceof EngineError && (err.status === 404 || err.status === 409))) throw err
    })
  }
  async stats(id: string): Promise<EngineStats> { return await this.call({ method: 'GET', path: `/containers/${id}/stats`, query: { stream: false, 'one-shot': true }, deadlineMs: 2000 }) }
  async putArchive(id: string, path: string, tar: Readable | Buffer, deadlineMs: number, signal?: AbortSignal): Promise<void> {
    await this.call({ method: 'PUT', path: `/containers/${id}/archive`, query: { path, noOverwriteDirNonDir: true }, file: tar, deadlineMs, ...signal === undefined ? {} : { signal } })
  }

  /** Whether `path` of a container that has not started is a symbolic link; a path that is not there is none. */
  async isLink(id: string, path: string): Promise<boolean> {
    const late = AbortSignal.timeout(ASK_DEADLINE_MS)
    const asked = this.#docker.getContainer(id).infoArchive({ path, abortSignal: late }) as Promise<IncomingMessage>
    try {
      const answer = await Promise.race([asked, aborted(late)])
      answer.resume()
      const header = answer.headers['x-docker-container-path-stat']
      const stat = JSON.parse(Buffer.from(String(header), 'base64').toString('utf8')) as { linkTarget?: string }
      return (stat.linkTarget ?? '') !== ''
    } catch (err) {
      asked.catch(() => undefined)
      const fault = asEngineError(err, 'HEAD archive')
      if (fault.status === 404) return false
      throw fault
    }
  }

  /**
   * Resolves with the exit code when the container ends the next time: to be called before it starts (a plain wait says 0
   * for one that has not started). Never settles by itself when the engine dies: pass a signal.
   */
  async nextExit(id: string, signal: AbortSignal): Promise<number> {
    const { StatusCode } = await this.call<{ StatusCode: number }>({ method: 'POST', path: `/containers/${id}/wait`, query: { condition: 'next-exit' }, deadlineMs: 0, signal })
    return StatusCode
  }

  /** The container's three streams in one, multiplexed as Docker does (8 bytes of header); to be called before it starts. */
  async attach(id: string): Promise<Duplex> {
    const late = AbortSignal.timeout(ACT_DEADLINE_MS)
    const attached = this.#docker.getContainer(id).attach({ hijack: true, stream: true, stdin: true, stdout: true, stderr: true }) as Promise<Duplex>
    try {
      return await Promise.race([attached, aborted(late)])
    } catch (err) {
      attached.then((stream) => { stream.destroy() }, () => undefined)
      throw asEngineError(err, 'attach')
    }
  }

  /** One call of the API; for the folders beside this file, too. */
  async call<T = unknown>({ method, path, query = {}, body = {}, file, deadlineMs = ASK_DEADLINE_MS, signal }: Call): Promise<T> {
    const signals = [...deadlineMs > 0 ? [AbortSignal.timeout(Math.ceil(deadlineMs))] : [], ...signal === undefined ? [] : [signal]]
    const ends = AbortSignal.any(signals)
    const answered = new Promise<T>((resolve, reject) => {
      this.#docker.modem.dial({ method, path: `${path}?`, options: { _query: query, _body: body }, abortSignal: ends, statusCodes: GOOD, ...file === undefined ? {} : { file } }, (err: Error | null, data: unknown) => {
        if (err === null) resolve(data as T)
        else reject(err)
      })
    })
    try {
      return await Promise.race([answered, aborted(ends)])
    } catch (err) {
      answered.catch(() => undefined)
      throw asEngineError(err, `${method} ${path.split('/').slice(0, 2).join('/')}`)
    }
  }
}

/** Not every library looks at its signal in every state. */
function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const fail = (): void => { reject(new EngineError('gone', 0, 'the engine did not answer in time')) }
    if (signal.aborted) fail()
    else signal.addEventListener('abort', fail, { once: true })
  })
}

import { chmod, rm } from 'node:fs/promises'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { setTimeout as wait } from 'node:timers/promises'
import { HearthError } from '../../../src/errors.ts'
import { mayReach } from './addresses.ts'
import { CONNECTIONS_BURST, CONNECTIONS_PER_S, HEADER_TIMEOUT_MS, IDLE_TIMEOUT_MS, MAX_CONNECTIONS, MAX_HEADER_BYTES, MAX_REFUSALS, RELAY_ADDRESS, TUNNELS_BURST, TUNNELS_PER_S } from './limits.ts'
import { Pace } from './pace.ts'
import { refusal, refusalAnswer, type NetCode, type NetRefusal } from './refusal.ts'
import { resolveByDns, type Resolve } from './resolve.ts'
import { NetworkRules } from './rules.ts'
import { makeSocketDir, type SocketDir } from './socket-dir.ts'
import { TrafficMeter, type Traffic } from './traffic.ts'
import { dial, joinEnds } from './tunnel.ts'

/** For tests that have no internet and no five minutes. Production sets none of it. */
export interface ProxySeams {
  resolve?: Resolve
  /** Instead of the check that an address is public and not of this host's own networks. */
  allowAddress?: (address: string) => boolean
  headerTimeoutMs?: number
  idleTimeoutMs?: number
}

export interface ContainerProxyOptions {
  /** As the job declares them: `example.org`, `*.example.org`, `example.org:8080`. */
  allow: readonly string[]
  /** Both ways together, of the whole run. */
  maxBytes: number
  /** A folder of the node's on this PC; the proxy makes one of its own in it. What a killed node left there may be removed. */
  parentDir: string
  /** Addresses of the owner that no interface shows, such as the router's public side. */
  ownAddresses?: () => readonly string[]
  /** Something was refused or ended. Each pair of code and target is told once, and at most `MAX_REFUSALS` of them. */
  onRefused?: (refusal: NetRefusal) => void
  seams?: ProxySeams
}

export interface NetworkUsage extends Traffic {
  /** Connections that reached their server. */
  tunnels: number
  /** Connections that were refused or ended by a rule; those told to `onRefused` are a part of them. */
  refused: number
  /** Whether the run wanted more than `maxBytes`. */
  isSpent: boolean
}

/** The `network` of a container's spec. */
export interface NetworkAttachment {
  /** A folder of this host with the socket in it, which the container must see read-only at `CONTAINER_DIR`. */
  socketDir: string
  /** Variables that lead programs to the relay. */
  env: Readonly<Record<string, string>>
}

/** Programs differ in which spelling they read. */
const ENV: Readonly<Record<string, string>> = Object.fromEntries([
  ...['HTTP_PROXY', 'HTTPS_PROXY', 'http_proxy', 'https_proxy'].map((name) => [name, `http://${RELAY_ADDRESS}`]),
  ...['NO_PROXY', 'no_proxy'].map((name) => [name, 'localhost,127.0.0.1,::1'])
])

/**
 * The network of one run: a unix socket in a folder that the run's container sees, behind which HTTP CONNECT leads to the
 * declared domains and nowhere else. The name is resolved here, once, and the address that passed the check is the one connected
 * to. Everything a job sends is a stranger's: it can end its own network, and nothing more.
 *
 * ```ts
 * const proxy = await ContainerProxy.open({ allow: ['example.org'], maxBytes: 2 ** 30, parentDir, onRefused: (refusal) => { … } })
 * const result = await sandbox.run({ ...spec, network: proxy.attachment() }, handlers)
 * await proxy.close()
 * ```
 */
export class ContainerProxy {
  readonly #rules: NetworkRules
  readonly #options: ContainerProxyOptions
  readonly #dir: SocketDir
  readonly #server: Server
  readonly #meter: TrafficMeter
  /** Connections of the job, each with the deadline of its request. */
  readonly #clients = new Map<Duplex, NodeJS.Timeout>()
  /** Ends what waits for a name, an address or its turn. */
  readonly #ending = new AbortController()
  readonly #told = new Set<string>()
  readonly #tunnelPace = new Pace(TUNNELS_BURST, TUNNELS_PER_S, performance.now())
  readonly #connectionPace = new Pace(CONNECTIONS_BURST, CONNECTIONS_PER_S, performance.now())
  #tunnels = 0
  #refused = 0
  #isFlooded = false

  private constructor(options: ContainerProxyOptions, rules: NetworkRules, dir: SocketDir) {
    this.#options = options
    this.#rules = rules
    this.#dir = dir
    this.#meter = new TrafficMeter(options.maxBytes, () => { this.#spent() })
    this.#server = this.#makeServer()
  }

  /** Throws `E_NET_ALLOW` for domains that cannot be meant, `E_NET_SOCKET` for a path too long. */
  static async open(options: ContainerProxyOptions): Promise<ContainerProxy> {
    const rules = NetworkRules.parse(options.allow)
    if (!Number.isSafeInteger(options.maxBytes) || options.maxBytes < 0) throw new HearthError('E_NET_ALLOW', `network.max is ${options.maxBytes} bytes`, 'Write a size, such as "100 MiB"')
    const dir = await makeSocketDir(options.parentDir)
    const proxy = new ContainerProxy(options, rules, dir)
    try {
      await proxy.#listen()
    } catch (err) {
      await proxy.close()
      throw err
    }
    return proxy
  }

  /** What the container needs of this proxy. The relay that leads to its socket is among the container's own tools. */
  attachment(): NetworkAttachment {
    return { socketDir: this.#dir.mountedDir, env: ENV }
  }

  /** The socket as this host sees it. */
  get socketPath(): string {
    return this.#dir.socketPath
  }

  /** Until now; the last word after `close`. */
  usage(): NetworkUsage {
    return { ...this.#meter.traffic, tunnels: this.#tunnels, refused: this.#refused, isSpent: this.#meter.isSpent }
  }

  /** Ends every connection and removes the folder. May be called twice. */
  async close(): Promise<void> {
    this.#ending.abort()
    this.#endClients()
    await this.#stopListening()
    await rm(this.#dir.rootDir, { recursive: true, force: true })
  }

  #makeServer(): Server {
    // the request has a deadline of our own, from the connection's first moment; Node looks at its own only every 30 s
    const server = createServer({ maxHeaderSize: MAX_HEADER_BYTES, insecureHTTPParser: false, requireHostHeader: false, requestTimeout: 0, headersTimeout: 0, keepAliveTimeout: 0 })
    const refuseMethod = (request: IncomingMessage, response: ServerResponse): void => { this.#refuse(response.socket ?? request.socket, 'E_NET_METHOD', request.url ?? '') }
    server.on('request', refuseMethod)
    server.on('checkContinue', refuseMethod)
    server.on('checkExpectation', refuseMethod)
    server.on('upgrade', (request, socket) => { this.#refuse(socket, 'E_NET_METHOD', request.url ?? '') })
    server.on('clientError', (_err, socket) => { this.#refuse(socket, 'E_NET_REQUEST', '') })
    server.on('connection', (socket) => { this.#admit(socket) })
    // whatever goes wrong with a stranger's connection ends that connection, and not the node
    server.on('connect', (request, client, head) => { this.#connect(request, client, head).catch(() => { client.destroy() }) })
    return server
  }

  async #listen(): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    this.#server.once('error', reject)
    this.#server.listen(this.#dir.socketPath, resolve)
    await promise
    await chmod(this.#dir.socketPath, 0o666)
  }

  #stopListening(): Promise<void> {
    return new Promise((resolve) => { this.#server.close(() => { resolve() }) })
  }

  #admit(socket: Socket): void {
    socket.on('error', () => { socket.destroy() })
    if (this.#connectionPace.take(performance.now()) > 0) {
      this.#flooded(socket)
      return
    }
    const timer = setTimeout(() => { this.#refuse(socket, 'E_NET_SLOW', '') }, this.#options.seams?.headerTimeoutMs ?? HEADER_TIMEOUT_MS)
    this.#clients.set(socket, timer)
    socket.once('close', () => {
      clearTimeout(timer)
      this.#clients.delete(socket)
    })
    if (this.#clients.size > MAX_CONNECTIONS) this.#refuse(socket, 'E_NET_BUSY', '')
  }

  async #connect(request: IncomingMessage, client: Duplex, head: Buffer): Promise<void> {
    clearTimeout(this.#clients.get(client))
    // at once: a job that has said all and closed its half would otherwise have ended before there is a tunnel
    if (head.length > 0) client.unshift(head)
    const authority = request.url ?? ''
    const reject = (code: NetCode): void => { this.#refuse(client, code, authority) }
    const { signal } = this.#ending
    // a body before the tunnel could only be there to be read differently by someone else
    if (request.headers['transfer-encoding'] !== undefined || request.headers['content-length'] !== undefined) return reject('E_NET_REQUEST')
    if (this.#meter.isSpent) return reject('E_NET_BYTES')
    const decision = this.#rules.decide(authority)
    if (!decision.ok) return reject(decision.code)
    const paceMs = this.#tunnelPace.take(performance.now())
    if (paceMs > 0) await wait(paceMs, undefined, { signal })
    const addresses = await (this.#options.seams?.resolve ?? resolveByDns())(decision.host, signal)
    if (addresses.length === 0) return reject('E_NET_RESOLVE')
    const reachable = addresses.filter((address) => this.#mayReach(address))
    if (reachable.length === 0) return reject('E_NET_ADDRESS')
    const server = await dial(reachable, decision.port, signal)
    if (server === undefined) return reject('E_NET_CONNECT')
    await this.#tunnel(client, server, authority)
  }

  async #tunnel(client: Duplex, server: Socket, authority: string): Promise<void> {
    // the job may have gone while its server was looked for, or its network may have ended
    if (client.destroyed || this.#meter.isSpent || this.#ending.signal.aborted) {
      server.destroy()
      client.destroy()
      return
    }
    this.#tunnels++
    client.write('HTTP/1.1 200 Connection established\r\n\r\n')
    await joinEnds(client, server, this.#meter, this.#options.seams?.idleTimeoutMs ?? IDLE_TIMEOUT_MS, () => { this.#tell('E_NET_IDLE', authority) })
  }

  #mayReach(address: string): boolean {
    const { seams, ownAddresses } = this.#options
    return seams?.allowAddress === undefined ? mayReach(address, ownAddresses?.()) : seams.allowAddress(address)
  }

  /** The answer is small and the first thing written to this connection: it fits the system's buffer, so its end does not wait for the job. */
  #refuse(client: Duplex, code: NetCode, target: string): void {
    if (client.destroyed || client.writableEnded) return
    this.#tell(code, target)
    client.end(refusalAnswer(code), () => { client.destroy() })
  }

  #tell(code: NetCode, target: string): void {
    this.#refused++
    const told = refusal(code, target)
    const key = `${code} ${told.target}`
    if (this.#told.size >= MAX_REFUSALS || this.#told.has(key)) return
    this.#told.add(key)
    this.#options.onRefused?.(told)
  }

  /** Listening no more is what ends the cost: the job's kernel refuses its connections from now on. */
  #flooded(socket: Socket): void {
    socket.destroy()
    if (this.#isFlooded) return
    this.#isFlooded = true
    this.#tell('E_NET_FLOOD', '')
    this.#ending.abort()
    this.#endClients()
    void this.#stopListening()
  }

  #spent(): void {
    this.#tell('E_NET_BYTES', '')
    this.#endClients()
  }

  #endClients(): void {
    for (const client of this.#clients.keys()) client.destroy()
  }
}

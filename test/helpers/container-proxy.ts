/** A proxy of a container with what it needs around it: a private folder, servers of this PC behind it, and a client that says exactly what it is told. */
import { createSocket } from 'node:dgram'
import { mkdtemp, rm } from 'node:fs/promises'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ContainerProxy, type ContainerProxyOptions } from '../../node/containers/network/proxy.ts'
import type { NetRefusal } from '../../node/containers/network/refusal.ts'

/** The name that tests declare for a server of this PC. */
export const REACHABLE = 'reach.example.org'

export interface ProxyWorld extends AsyncDisposable {
  proxy: ContainerProxy
  refusals: NetRefusal[]
  /** Resolves when a refusal with this code was told. */
  told: (code: string) => Promise<NetRefusal>
  parentDir: string
}

/** By default `REACHABLE` leads to 127.0.0.1, which is allowed as the only address: the rest of the checks are the real ones. */
export async function openProxy(options: Partial<ContainerProxyOptions> = {}): Promise<ProxyWorld> {
  const parentDir = await mkdtemp(join(tmpdir(), 'hearth-net-'))
  const refusals: NetRefusal[] = []
  const waiting = new Map<string, (refusal: NetRefusal) => void>()
  const proxy = await ContainerProxy.open({
    allow: [REACHABLE],
    maxBytes: 2 ** 30,
    parentDir,
    onRefused: (refusal) => {
      refusals.push(refusal)
      waiting.get(refusal.code)?.(refusal)
    },
    ...options,
    seams: { resolve: async () => ['127.0.0.1'], allowAddress: (address) => address === '127.0.0.1', ...options.seams }
  })
  return {
    proxy,
    refusals,
    parentDir,
    told: (code) => {
      const known = refusals.find((refusal) => refusal.code === code)
      return known === undefined ? new Promise((resolve) => { waiting.set(code, resolve) }) : Promise.resolve(known)
    },
    [Symbol.asyncDispose]: async () => {
      await proxy.close()
      await rm(parentDir, { recursive: true, force: true })
    }
  }
}

export interface LocalServer extends AsyncDisposable { port: number, server: Server, seen: () => number }

/** A TCP server on 127.0.0.1 that keeps its half of a connection open until `serve` ends it. */
export async function listen(serve: (socket: Socket) => void, host = '127.0.0.1', port = 0): Promise<LocalServer> {
  const sockets = new Set<Socket>()
  let seen = 0
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    seen++
    sockets.add(socket)
    socket.on('error', () => { socket.destroy() })
    socket.on('close', () => { sockets.delete(socket) })
    serve(socket)
  })
  await new Promise<void>((resolve) => { server.listen(port, host, resolve) })
  const address = server.address()
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    server,
    seen: () => seen,
    [Symbol.asyncDispose]: () => new Promise((resolve) => {
      for (const socket of sockets) socket.destroy()
      server.close(() => { resolve() })
    })
  }
}

/** Sends back what comes, and ends when the other side has. */
export const echo = (socket: Socket): void => { socket.pipe(socket) }

export class RawClient {
  readonly socket: Socket
  errorCode: string | undefined
  #text = ''
  #isClosed = false
  #wake: (() => void) | undefined

  constructor(socketPath: string, allowHalfOpen = false) {
    this.socket = connect({ path: socketPath, allowHalfOpen })
    this.socket.setEncoding('latin1')
    this.socket.on('data', (chunk: string) => { this.#text += chunk; this.#wake?.() })
    this.socket.on('error', (err: NodeJS.ErrnoException) => { this.errorCode = err.code })
    this.socket.on('close', () => { this.#isClosed = true; this.#wake?.() })
  }

  get text(): string {
    return this.#text
  }

  /** All that came, once it holds `part`; also when the connection closes without it. */
  async until(part: string): Promise<string> {
    while (!this.#text.includes(part) && !this.#isClosed) await new Promise<void>((resolve) => { this.#wake = resolve })
    return this.#text
  }

  /** All that came, once the other side has closed. */
  async closed(): Promise<string> {
    while (!this.#isClosed) await new Promise<void>((resolve) => { this.#wake = resolve })
    return this.#text
  }
}

/** Sends these bytes and gives all that comes back. */
export async function ask(proxy: ContainerProxy, bytes: string | Buffer): Promise<string> {
  const client = new RawClient(proxy.socketPath)
  client.socket.write(bytes)
  return client.closed()
}

export const connectTo = (target: string): string => `CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n\r\n`

/** The code in a refusal's answer, or the status of another. */
export function answerOf(text: string): string {
  return /^X-Hearth-Code: (\S+)/m.exec(text)?.[1] ?? /^HTTP\/1\.1 (\d+)/.exec(text)?.[1] ?? 'nothing'
}

export interface NameServer extends AsyncDisposable { address: string, asked: string[] }

/** A name server on this PC. `answer` gives the IPv4 addresses for a name, or undefined for silence; there are no others. */
export async function serveNames(answer: (name: string) => string[] | undefined): Promise<NameServer> {
  const socket = createSocket('udp4')
  const asked: string[] = []
  socket.on('message', (query, from) => {
    const labels: string[] = []
    let at = 12
    for (let length = query[at] ?? 0; length > 0; length = query[at] ?? 0) {
      labels.push(query.toString('latin1', at + 1, at + 1 + length))
      at += 1 + length
    }
    const name = labels.join('.').toLowerCase()
    const isV4 = query.readUInt16BE(at + 1) === 1
    if (isV4) asked.push(name)
    const found = answer(name)
    if (found === undefined) return
    const addresses = isV4 ? found : []
    const header = Buffer.from(query.subarray(0, 12))
    header.writeUInt16BE(0x8180, 2)
    header.writeUInt16BE(addresses.length, 6)
    header.writeUInt32BE(0, 8)
    // a pointer to the question's name, type A, class IN, a lifetime of 0 s, 4 bytes
    const records = addresses.map((address) => Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, ...address.split('.').map(Number)]))
    socket.send(Buffer.concat([header, query.subarray(12, at + 5), ...records]), from.port, from.address)
  })
  await new Promise<void>((resolve) => { socket.bind(0, '127.0.0.1', resolve) })
  return { address: `127.0.0.1:${socket.address().port}`, asked, [Symbol.asyncDispose]: () => new Promise((resolve) => { socket.close(() => { resolve() }) }) }
}

/** A real local socket over a node's interface in memory, and raw clients for what a well-behaved one would not send. */
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Socket } from 'node:net'
import { ApiServer } from '../../node/api/server.ts'
import { socketPath } from '../../node/api/socket-path.ts'
import { RemoteApi } from '../../node/client/remote-api.ts'
import { FakeApi } from './fake-api.ts'

export class ApiFixture {
  readonly api = new FakeApi()
  readonly clients: RemoteApi[] = []
  readonly raws: RawClient[] = []
  readonly dataDir: string
  readonly path: string
  server: ApiServer

  private constructor(dataDir: string, server: ApiServer) {
    this.dataDir = dataDir
    this.path = server.path
    this.server = server
    server.serve(this.api)
  }

  static async open(): Promise<ApiFixture> {
    const dataDir = await mkdtemp(join(tmpdir(), 'hearth-api-'))
    return new ApiFixture(dataDir, await ApiServer.listen({ path: socketPath(dataDir), version: '0.1.0' }))
  }

  client(): RemoteApi {
    const client = new RemoteApi(this.path)
    this.clients.push(client)
    return client
  }

  async raw(allowHalfOpen = false): Promise<RawClient> {
    const raw = await RawClient.open(this.path, allowHalfOpen)
    this.raws.push(raw)
    return raw
  }

  async close(): Promise<void> {
    for (const client of this.clients) await client.close()
    for (const raw of this.raws) raw.socket.destroy()
    await this.server.close()
    await rm(this.dataDir, { recursive: true, force: true })
  }
}

/** Lines in, lines out; nothing is matched or checked. */
export class RawClient {
  readonly socket: Socket
  readonly lines: unknown[] = []
  #text = ''
  #wake = Promise.withResolvers<void>()
  closed = false

  private constructor(socket: Socket) {
    this.socket = socket
    socket.on('data', (chunk: Buffer) => {
      this.#text += chunk.toString()
      const lines = this.#text.split('\n')
      this.#text = lines.pop() ?? ''
      for (const line of lines) this.lines.push(JSON.parse(line))
      this.#stir()
    })
    socket.on('error', () => {})
    socket.on('close', () => { this.closed = true; this.#stir() })
  }

  static async open(path: string, allowHalfOpen: boolean): Promise<RawClient> {
    const socket = connect({ path, allowHalfOpen })
    await once(socket, 'connect')
    return new RawClient(socket)
  }

  send(value: unknown): void {
    this.socket.write(`${JSON.stringify(value)}\n`)
  }

  /** The first line that fits; waits for it. Rejects when the connection ends before. */
  async until<T>(fits: (line: never) => T | false | undefined): Promise<T> {
    for (;;) {
      for (const line of this.lines) {
        const found = fits(line as never)
        if (found !== false && found !== undefined) return found
      }
      if (this.closed) throw new Error(`closed; saw ${JSON.stringify(this.lines)}`)
      await this.#wake.promise
    }
  }

  async untilClosed(): Promise<void> {
    while (!this.closed) await this.#wake.promise
  }

  #stir(): void {
    this.#wake.resolve()
    this.#wake = Promise.withResolvers<void>()
  }
}

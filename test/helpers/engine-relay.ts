import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { EngineClient } from '../../node/containers/engine-client.ts'

/** A socket before the tests' engine, which dies and comes back as an engine does, and sees how much is sent to it. */
export class EngineRelay {
  readonly dir: string
  readonly client: EngineClient
  /** Of archives that were sent into containers. */
  uploadedBytes = 0
  /** After each piece of such an archive. */
  onUpload: () => void = () => undefined
  /** Sees the first line of each request before the engine does, which waits for it. */
  onAsked: (line: string) => Promise<void> | void = () => undefined
  readonly #engine: EngineClient
  readonly #open = new Set<Socket>()
  #server: Server | undefined

  private constructor(engine: EngineClient) {
    this.dir = mkdtempSync(join(tmpdir(), 'hearth-relay-'))
    this.client = new EngineClient(join(this.dir, 'docker.sock'))
    this.#engine = engine
  }

  static async open(engine: EngineClient): Promise<EngineRelay> {
    const relay = new EngineRelay(engine)
    await relay.revive()
    return relay
  }

  async revive(): Promise<void> {
    const server = createServer({ allowHalfOpen: true }, (client) => { void this.#pass(client) })
    this.#server = server
    server.listen(this.client.socketPath)
    await once(server, 'listening')
  }

  async die(): Promise<void> {
    const server = this.#server
    if (server === undefined) return
    this.#server = undefined
    const gone = once(server, 'close')
    server.close()
    for (const socket of this.#open) socket.destroy()
    await gone
  }

  async close(): Promise<void> {
    await this.die()
    rmSync(this.dir, { recursive: true, force: true })
  }

  async #pass(client: Socket): Promise<void> {
    this.#open.add(client)
    const engine = connect({ path: this.#engine.socketPath, allowHalfOpen: true })
    client.on('close', () => { this.#open.delete(client); engine.destroy() })
    engine.on('close', () => { client.destroy() })
    for (const socket of [client, engine]) socket.on('error', () => undefined)
    engine.pipe(client)
    let isUpload = false
    try {
      for await (const bytes of client as AsyncIterable<Buffer>) {
        // one request after the other: no piece holds the end of one and the beginning of the next
        const [line] = /^[A-Z]+ \/\S* HTTP\/1\.1(?=\r\n)/.exec(bytes.toString('latin1', 0, 1000)) ?? []
        if (line !== undefined) {
          isUpload = /^PUT \S*\/archive/.test(line)
          await this.onAsked(line)
        } else if (isUpload) {
          this.uploadedBytes += bytes.length
          this.onUpload()
        }
        if (!engine.write(bytes)) await Promise.race([once(engine, 'drain'), once(engine, 'close')])
      }
      engine.end()
    } catch {
      engine.destroy()
    }
  }
}

import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { BuiltImage } from './images.ts'

const LOGIN = `Basic ${Buffer.from('anna:secret').toString('base64')}`

/** A small registry (OCI distribution) that can also misbehave: `answer` comes first, and says true when it has answered. */
export class TestRegistry {
  readonly requests: { path: string, authorization: string | undefined }[] = []
  /** Repositories that only anna may read; `tokens` says how she shows that it is she. */
  readonly #private = new Set<string>()
  readonly #blobs = new Map<string, Buffer>()
  readonly #server: Server
  tokens: 'bearer' | 'basic' = 'bearer'
  answer: (path: string, response: ServerResponse, request: IncomingMessage) => boolean | Promise<boolean> = () => false

  private constructor(server: Server) {
    this.#server = server
  }

  static async open(): Promise<TestRegistry> {
    const server = createServer()
    const registry = new TestRegistry(server)
    server.on('request', (request: IncomingMessage, response: ServerResponse) => { void registry.#serve(request, response) })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    return registry
  }

  get host(): string { return `127.0.0.1:${(this.#server.address() as AddressInfo).port}` }
  get login(): { username: string, password: string } { return { username: 'anna', password: 'secret' } }
  paths(part: string): string[] { return this.requests.map(({ path }) => path).filter((path) => path.includes(part)) }

  push({ blobs }: Pick<BuiltImage, 'blobs'>): void { for (const [digest, bytes] of blobs) this.#blobs.set(digest, bytes) }
  put(digest: string, bytes: Buffer): void { this.#blobs.set(digest, bytes) }
  hide(repository: string): void { this.#private.add(repository) }

  async close(): Promise<void> {
    this.#server.closeAllConnections()
    this.#server.close()
    await once(this.#server, 'close')
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = request.url ?? ''
    const { authorization } = request.headers
    this.requests.push({ path, authorization })
    if (await this.answer(path, response, request)) return
    if (path.startsWith('/token')) {
      response.writeHead(authorization === LOGIN ? 200 : 401).end(JSON.stringify({ token: 'granted' }))
      return
    }
    const [, repository = '', digest = ''] = /^\/v2\/(.+)\/(?:manifests|blobs)\/(sha256:[0-9a-f]+)$/.exec(path) ?? []
    if (this.#private.has(repository) && authorization !== (this.tokens === 'bearer' ? 'Bearer granted' : LOGIN)) {
      response.writeHead(401, { 'www-authenticate': this.tokens === 'bearer' ? `Bearer realm="http://${this.host}/token",service="test"` : 'Basic realm="test"' }).end()
      return
    }
    const bytes = this.#blobs.get(digest)
    if (bytes === undefined) response.writeHead(404).end()
    else response.writeHead(200, { 'content-length': bytes.length }).end(bytes)
  }
}

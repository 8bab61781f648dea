import { createServer } from 'node:net'
import type { Server } from 'node:net'
import { claimSocket } from './claim.ts'
import { Connection } from './connection.ts'
import { API_VERSION, FLUSH_WITHIN_MS, MAX_CLIENTS } from './limits.ts'
import type { NodeApi } from './contract.ts'

export interface ApiServerOptions {
  /** From `socketPath(dataDir)`. */
  path: string
  /** The program's version, told in the greeting. */
  version: string
}

/**
 * The owner's door to a running node. It is claimed before the node starts, so that a second node on the same data
 * folder is refused before it touches anything; calls that come early wait for `serve`.
 *
 * ```ts
 * const server = await ApiServer.listen({ path: socketPath(dataDir), version })
 * const node = await createNode(config)
 * server.serve(node.api)
 * await server.close()
 * ```
 */
export class ApiServer {
  readonly path: string
  readonly #server: Server
  readonly #version: string
  readonly #connections = new Set<Connection>()
  readonly #api = Promise.withResolvers<NodeApi>()

  private constructor(server: Server, { path, version }: ApiServerOptions) {
    this.path = path
    this.#server = server
    this.#version = version
    // a start that fails without a single call waiting is told elsewhere
    this.#api.promise.catch(() => {})
  }

  /** Throws E_NODE_RUNNING when another node listens there, E_SOCKET when the system refuses. */
  static async listen(options: ApiServerOptions): Promise<ApiServer> {
    const server = createServer({ allowHalfOpen: true })
    const self = new ApiServer(server, options)
    server.on('connection', (socket) => {
      const connection = new Connection(socket, () => self.#api.promise)
      connection.greet({ hearth: self.#version, api: API_VERSION })
      if (self.#connections.size >= MAX_CLIENTS) {
        connection.refuse({ code: 'E_API_BUSY', message: `${MAX_CLIENTS} programs are connected to this node`, hint: 'Close some of them' })
        return
      }
      self.#connections.add(connection)
      socket.on('close', () => self.#connections.delete(connection))
    })
    await claimSocket(server, options.path)
    return self
  }

  /** Answers calls from now on, those that wait included. */
  serve(api: NodeApi): void {
    this.#api.resolve(api)
  }

  /** The node did not start: calls that wait are refused with `error`. */
  fail(error: unknown): void {
    this.#api.reject(error)
  }

  get clients(): number {
    return this.#connections.size
  }

  /** Takes no more clients, lets answers under way leave for two seconds at most, and removes the socket. */
  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => { this.#server.close(() => resolve()) })
    await Promise.all([...this.#connections].map((connection) => connection.close(FLUSH_WITHIN_MS)))
    await closed
  }
}

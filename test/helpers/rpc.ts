/** The node refused a call or a transaction; `data` is what the contract reverted with, if it was one. */
export class RpcError extends Error {
  readonly data: string | undefined
  constructor(message: string, data?: string) {
    super(message)
    this.data = data
  }
}

/** One JSON-RPC call. Throws `RpcError`. */
export async function askRpc<T>(url: string, method: string, params: readonly unknown[] = []): Promise<T> {
  const response = await fetch(url, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }) })
  const { result, error } = await response.json() as { result: T, error?: { message: string, data?: unknown } }
  if (error !== undefined) throw new RpcError(`${method}: ${error.message}`, typeof error.data === 'string' ? error.data : undefined)
  return result
}

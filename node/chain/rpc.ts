import { HearthError } from '../../src/errors.ts'
import { MIB, SECOND_MS } from '../../src/units.ts'

/** A request waits no longer than this for its answer; a block comes every few seconds. */
const TIMEOUT_MS = 10 * SECOND_MS
/** Public services refuse longer batches. */
const MAX_BATCH_CALLS = 50
/** A block's header and 50 receipts of full batches stay far below. */
const MAX_ANSWER_BYTES = 32 * MIB

export interface RpcCall { readonly method: string, readonly params: readonly unknown[] }

/** What the service said to one call; `data` is what a contract reverted with, hex. */
export type RpcAnswer =
  | { readonly ok: true, readonly value: unknown }
  | { readonly ok: false, readonly code: number, readonly message: string, readonly data: string | undefined }

interface RawAnswer { id?: unknown, result?: unknown, error?: { code?: unknown, message?: unknown, data?: unknown } }

/**
 * JSON-RPC over HTTP. Unlike the library's provider, a batch is what the caller says it is, and one node's answer: its
 * parts belong together. What the service refuses is an answer; what is no answer throws E_CHAIN_RPC.
 */
export class ChainRpc {
  /** For people: without user, password, path and query, where services put their keys. */
  readonly place: string
  readonly #url: string
  readonly #headers: Record<string, string> = { 'content-type': 'application/json' }
  readonly #timeoutMs: number
  readonly #closed = new AbortController()
  #id = 0

  constructor(url: string, timeoutMs: number = TIMEOUT_MS) {
    const parsed = parseUrl(url)
    this.place = `${parsed.protocol}//${parsed.host}`
    if (parsed.username !== '' || parsed.password !== '') {
      const login = `${decodeURIComponent(parsed.username)}:${decodeURIComponent(parsed.password)}`
      this.#headers['authorization'] = `Basic ${Buffer.from(login).toString('base64')}`
      parsed.username = ''
      parsed.password = ''
    }
    this.#url = parsed.href
    this.#timeoutMs = timeoutMs
  }

  /** One call; what the service refuses throws E_CHAIN_RPC_REFUSED. */
  async ask(method: string, params: readonly unknown[] = []): Promise<unknown> {
    const [answer] = await this.batch([{ method, params }])
    if (answer === undefined) throw this.#dead('gave no answer')
    return unwrap(answer)
  }

  /** The answers in the order of the calls. Up to 50 calls are one request, and so one node's view of the chain. */
  async batch(calls: readonly RpcCall[]): Promise<RpcAnswer[]> {
    const answers: RpcAnswer[] = []
    for (let at = 0; at < calls.length; at += MAX_BATCH_CALLS) answers.push(...await this.#request(calls.slice(at, at + MAX_BATCH_CALLS)))
    return answers
  }

  /** Ends what is under way. */
  close(): void {
    this.#closed.abort()
  }

  async #request(calls: readonly RpcCall[]): Promise<RpcAnswer[]> {
    const first = this.#id + 1
    const payload = calls.map(({ method, params }) => ({ jsonrpc: '2.0', id: ++this.#id, method, params }))
    // some services take an array of one for a mistake
    const body: unknown = await this.#post(JSON.stringify(payload.length === 1 ? payload[0] : payload))
    const list = (Array.isArray(body) ? body : [body]) as RawAnswer[]
    if (!Array.isArray(body) && calls.length > 1) throw this.#dead(`refused a batch: ${readable(list[0]?.error?.message)}`)
    const byId = new Map(list.map((answer) => [answer.id, answer]))
    return calls.map((call, i) => {
      const raw = byId.get(first + i)
      if (raw === undefined) throw this.#dead(`left ${call.method} unanswered`)
      return answerOf(raw)
    })
  }

  async #post(body: string): Promise<unknown> {
    const signal = AbortSignal.any([this.#closed.signal, AbortSignal.timeout(this.#timeoutMs)])
    try {
      const response = await fetch(this.#url, { method: 'POST', headers: this.#headers, body, signal, redirect: 'error' })
      const text = await limited(response)
      if (text === undefined) throw this.#dead('sent an answer of more than 32 MiB')
      try {
        const parsed: unknown = JSON.parse(text)
        if (typeof parsed === 'object' && parsed !== null) return parsed
      } catch { /* said below, with the status */ }
      throw this.#dead(`answered HTTP ${response.status} and no JSON`)
    } catch (err) {
      if (err instanceof HearthError) throw err
      throw this.#dead(whyOf(err), err)
    }
  }

  #dead(why: string, cause?: unknown): HearthError {
    return new HearthError('E_CHAIN_RPC', `The chain's RPC service at ${this.place} ${why}`, 'Check payment.rpcUrl and that the service runs; the node goes on with what it knows, and grants no new credit, until it answers', { cause })
  }
}

export function unwrap(answer: RpcAnswer): unknown {
  if (answer.ok) return answer.value
  throw new HearthError('E_CHAIN_RPC_REFUSED', `The chain's RPC service refused: ${answer.message}`, 'The service must offer the standard eth_ methods, and eth_call at a block hash (EIP-1898)')
}

function parseUrl(url: string): URL {
  const parsed = URL.canParse(url) ? new URL(url) : undefined
  if (parsed === undefined || !['http:', 'https:'].includes(parsed.protocol)) throw new HearthError('E_CHAIN_URL', 'payment.rpcUrl is not an http or https URL', 'Write it like "https://rpc.example.org" or "http://127.0.0.1:8545"')
  return parsed
}

function whyOf(err: unknown): string {
  if (err instanceof DOMException && err.name === 'TimeoutError') return 'did not answer in time'
  const cause = err instanceof Error && err.cause instanceof Error ? err.cause : undefined
  const code = cause !== undefined && 'code' in cause ? String(cause.code) : undefined
  return `cannot be reached${code === undefined ? '' : ` (${code})`}`
}

async function limited(response: Response): Promise<string | undefined> {
  if (response.body === null) return ''
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of response.body) {
    bytes += chunk.length
    if (bytes > MAX_ANSWER_BYTES) return undefined
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString()
}

function answerOf({ result, error }: RawAnswer): RpcAnswer {
  if (error === undefined || error === null) return { ok: true, value: result ?? null }
  return { ok: false, code: Number(error.code ?? 0), message: readable(error.message), data: revertData(error.data) }
}

/** Services put the bytes of a revert into `data`, or into `data.data`. */
function revertData(data: unknown): string | undefined {
  if (typeof data === 'string') return /^0x[0-9a-fA-F]*$/.test(data) ? data : undefined
  return typeof data === 'object' && data !== null && 'data' in data ? revertData(data.data) : undefined
}

/** A stranger's words, for our own messages: short and in one line. */
function readable(text: unknown): string {
  return typeof text === 'string' ? text.replaceAll(/[^\x20-\x7e]+/g, ' ').slice(0, 200) : 'without a word'
}

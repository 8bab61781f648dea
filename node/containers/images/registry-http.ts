import type { LookupAddress } from 'node:dns'
import { request as requestHttp, type IncomingMessage } from 'node:http'
import { request as requestHttps } from 'node:https'
import { isIP, type LookupFunction } from 'node:net'
import { mayReach } from '../network/addresses.ts'
import { resolveByDns, type Resolve } from '../network/resolve.ts'
import { STALL_MS } from './limits.ts'
import { ImageRefusal, malformed, quoted } from './refusal.ts'

/** How this host reaches registries. */
export interface RegistryAccess {
  /**
   * `host:port` of registries that the owner runs in the own network: these alone may have private addresses, and are
   * spoken to without TLS where they offer none (`http`). Names of images come from strangers; without this rule a job could
   * make this host send requests to the owner's router.
   */
  localRegistries: Readonly<Record<string, 'http' | 'https'>>
  /** Addresses of the owner that no interface shows, such as the router's public side. */
  ownAddresses?: () => readonly string[]
  resolve?: Resolve
  /** A registry that sends nothing for so long is given up. */
  stallMs?: number
}

const unreachable = (url: URL, why: string, cause?: unknown): ImageRefusal => new ImageRefusal('E_IMAGE_REGISTRY', `the registry ${url.host} ${why}`, { cause })
const privateAddress = (url: URL): ImageRefusal => new ImageRefusal('E_IMAGE_REGISTRY_ADDRESS', `the registry ${quoted(url.host)} is not on the public internet`)

/** Answers only addresses that were checked, so that the connection goes to one of them. */
function checkedLookup(url: URL, { resolve = resolveByDns(), ownAddresses }: RegistryAccess, signal: AbortSignal): LookupFunction {
  return (hostname, { all }, answer) => {
    resolve(hostname, signal).then((addresses) => {
      const good: LookupAddress[] = addresses.filter((address) => mayReach(address, ownAddresses?.())).map((address) => ({ address, family: isIP(address) }))
      const [first] = good
      if (first === undefined) answer(addresses.length > 0 ? privateAddress(url) : unreachable(url, 'has no address'), '')
      else if (all === true) answer(null, good)
      else answer(null, first.address, first.family)
    }, (err: unknown) => { answer(unreachable(url, 'has no address', err), '') })
  }
}

/**
 * One GET, to a checked address; answers the head of the response, whatever its status. `E_IMAGE_REGISTRY` when nobody
 * answers or the connection stalls (the body's stream ends with it, too), `E_IMAGE_REGISTRY_ADDRESS` for a private address.
 */
export async function get(url: URL, headers: Readonly<Record<string, string>>, access: RegistryAccess, signal: AbortSignal): Promise<IncomingMessage> {
  const local = access.localRegistries[url.host]
  if (url.protocol !== (local === 'http' ? 'http:' : 'https:')) malformed(`the registry leads to ${quoted(url.origin)}, which is not TLS`)
  const literal = url.hostname.replace(/^\[(.*)\]$/, '$1')
  if (local === undefined && isIP(literal) !== 0 && !mayReach(literal, access.ownAddresses?.())) throw privateAddress(url)
  const { stallMs = STALL_MS } = access
  const options = { headers: { 'user-agent': 'hearth', ...headers }, agent: false, signal, timeout: stallMs, ...local === undefined ? { lookup: checkedLookup(url, access, signal) } : {} } as const
  return await new Promise((resolve, reject) => {
    const request = (local === 'http' ? requestHttp : requestHttps)(url, options)
    const fail = (err: unknown): void => { reject(asRefusal(err, url, signal)) }
    request.on('timeout', () => { request.destroy(unreachable(url, `sent nothing for ${stallMs / 1000} s`)) })
    request.once('response', resolve)
    // stays: an error after the head ends the body's stream, and must not end the node
    request.on('error', fail)
    request.end()
  })
}

export function asRefusal(err: unknown, url: URL, signal: AbortSignal): unknown {
  if (err instanceof ImageRefusal) return err
  if (signal.aborted) return signal.reason
  return unreachable(url, `cannot be reached: ${err instanceof Error && 'code' in err ? String(err.code) : err instanceof Error ? err.message : String(err)}`, err)
}

/** A body of at most so many bytes, in memory. */
export async function readBody(response: IncomingMessage, maxBytes: number, url: URL, signal: AbortSignal): Promise<Buffer> {
  const parts: Buffer[] = []
  let size = 0
  try {
    for await (const bytes of response as AsyncIterable<Buffer>) {
      size += bytes.length
      if (size > maxBytes) malformed(`the registry ${url.host} answered with more than ${maxBytes} bytes`)
      parts.push(bytes)
    }
  } catch (err) {
    throw asRefusal(err, url, signal)
  } finally {
    response.destroy()
  }
  return Buffer.concat(parts)
}

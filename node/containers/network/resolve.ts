import { Resolver } from 'node:dns/promises'
import { MAX_ADDRESSES, RESOLVE_TIMEOUT_MS } from './limits.ts'

/** All addresses of a name, in the order in which to try them; none when there are none, or nobody answers in time. */
export type Resolve = (host: string, signal: AbortSignal) => Promise<string[]>

/** What a name server is given for one try; with two tries each several servers fit into the whole time. */
const TRY_TIMEOUT_MS = 2_000

/** Takes from both lists in turn, so that a family without a route costs one failed try, not all of them. */
function interleave(first: string[], second: string[]): string[] {
  return Array.from({ length: Math.max(first.length, second.length) }, (_, i) => [first[i], second[i]]).flat().filter((address) => address !== undefined)
}

/**
 * Asks the name servers of this host, or `servers` (as `address:port`). Not `dns.lookup`: that reads /etc/hosts and search
 * domains, so that a job would hear of the owner's own names, and its slow answers hold the threads that the node's files need too.
 */
export function resolveByDns(servers?: readonly string[]): Resolve {
  return async (host, signal) => {
    // made anew each time: the host's name servers change with its network, and `cancel` ends all that one resolver asks
    const resolver = new Resolver({ timeout: TRY_TIMEOUT_MS, tries: 2 })
    if (servers !== undefined) resolver.setServers(servers)
    const cancel = (): void => { resolver.cancel() }
    const timer = setTimeout(cancel, RESOLVE_TIMEOUT_MS)
    signal.addEventListener('abort', cancel, { once: true })
    const none = (): string[] => []
    try {
      const [v4, v6] = await Promise.all([resolver.resolve4(host).catch(none), resolver.resolve6(host).catch(none)])
      return interleave(v4, v6).slice(0, MAX_ADDRESSES)
    } finally {
      clearTimeout(timer)
      signal.removeEventListener('abort', cancel)
    }
  }
}

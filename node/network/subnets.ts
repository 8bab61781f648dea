import { BlockList } from 'node:net'
import type { NetworkInterfaceInfo } from 'node:os'
import type { Connection } from '@libp2p/interface'
import type { Standing } from '../../src/core/event.ts'

/** As `os.networkInterfaces()` gives them. */
export type Interfaces = NodeJS.Dict<Pick<NetworkInterfaceInfo, 'address' | 'family' | 'cidr'>[]>

type Family = 'ipv4' | 'ipv6'

/** What no router on the internet carries: loopback, private networks (RFC 1918), link-local and unique local addresses (RFC 4193). */
const PRIVATE = blockList([
  ['127.0.0.0', 8, 'ipv4'], ['10.0.0.0', 8, 'ipv4'], ['172.16.0.0', 12, 'ipv4'], ['192.168.0.0', 16, 'ipv4'], ['169.254.0.0', 16, 'ipv4'],
  ['::1', 128, 'ipv6'], ['fe80::', 10, 'ipv6'], ['fc00::', 7, 'ipv6']
])

function blockList(subnets: readonly (readonly [string, number, Family])[]): BlockList {
  const list = new BlockList()
  for (const subnet of subnets) list.addSubnet(...subnet)
  return list
}

/**
 * The subnets this machine is part of now. A private one is the own network. Of a public one, such as a household's IPv6 prefix
 * or a data centre's, it takes more to know that: only who also answered by mDNS is near.
 */
export class Subnets {
  readonly #own: BlockList

  constructor(interfaces: Interfaces) {
    this.#own = blockList(Object.values(interfaces).flatMap((list = []) => list.flatMap(({ address, family, cidr }) => {
      // no prefix: a link between two points, of which only this end is known
      const prefix = Number(cidr?.split('/')[1] ?? (family === 'IPv6' ? 128 : 32))
      return Number.isInteger(prefix) ? [[address, prefix, family === 'IPv6' ? 'ipv6' : 'ipv4'] as const] : []
    })))
  }

  /** Whether an IP address, IPv4 within IPv6 too, is on one of this machine's subnets. `isSeen`: by mDNS. */
  holds(ip: string, isSeen: boolean): boolean {
    const family: Family = ip.includes(':') ? 'ipv6' : 'ipv4'
    return this.#own.check(ip, family) && (isSeen || PRIVATE.check(ip, family))
  }
}

/** Through a relay, also one that sets no limits, of which the connection itself says nothing. */
export function isRelayed({ limits, remoteAddr }: Pick<Connection, 'limits' | 'remoteAddr'>): boolean {
  return limits !== undefined || remoteAddr.getComponents().some(({ name }) => name === 'p2p-circuit')
}

/** How a peer with these connections stands: by the nearest that is open, since it is the same peer on each. Undefined when none is. */
export function standingOf(connections: readonly Pick<Connection, 'limits' | 'remoteAddr' | 'status'>[], subnets: Subnets, isSeen: boolean): Standing | undefined {
  const open = connections.filter(({ status }) => status === 'open')
  const direct = open.filter((connection) => !isRelayed(connection))
  if (direct.some(({ remoteAddr }) => remoteAddr.getComponents().some(({ name, value }) => (name === 'ip4' || name === 'ip6') && value !== undefined && subnets.holds(value, isSeen)))) return 'local'
  if (direct.length > 0) return 'remote'
  return open.length > 0 ? 'relayed' : undefined
}

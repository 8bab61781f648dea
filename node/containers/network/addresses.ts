import { BlockList, isIP } from 'node:net'
import { networkInterfaces, type NetworkInterfaceInfo } from 'node:os'

/** As `os.networkInterfaces()` gives them. */
export type HostInterfaces = NodeJS.Dict<Pick<NetworkInterfaceInfo, 'address' | 'family' | 'cidr'>[]>

/**
 * IPv4 that is not the public internet (IANA's registry of special purposes, RFC 6890 and later), and one public address that
 * clouds use inside: 168.63.129.16 answers only Azure's own machines.
 */
const DENIED_V4 = list('ipv4', [
  ['0.0.0.0', 8], ['10.0.0.0', 8], ['100.64.0.0', 10], ['127.0.0.0', 8], ['169.254.0.0', 16], ['172.16.0.0', 12], ['192.0.0.0', 24],
  ['192.0.2.0', 24], ['192.31.196.0', 24], ['192.52.193.0', 24], ['192.88.99.0', 24], ['192.168.0.0', 16], ['192.175.48.0', 24],
  ['198.18.0.0', 15], ['198.51.100.0', 24], ['203.0.113.0', 24], ['224.0.0.0', 4], ['240.0.0.0', 4], ['168.63.129.16', 32]
])

/**
 * IPv6 is the other way round: only global unicast (2000::/3) is public. That leaves out loopback, unique local, link-local,
 * multicast, mapped and compatible IPv4, and NAT64 (64:ff9b::/96 and 64:ff9b:1::/48), which all lie elsewhere.
 */
const GLOBAL_V6 = list('ipv6', [['2000::', 3]])
/** Within it: protocol assignments with Teredo and ORCHID, documentation, 6to4 (it carries any IPv4 address), the old 6bone, AS112. */
const DENIED_V6 = list('ipv6', [['2001::', 23], ['2001:db8::', 32], ['2002::', 16], ['3ffe::', 16], ['3fff::', 20], ['2620:4f:8000::', 48]])

/** A household gets a /48 or less of global IPv6: all of it is its own network, also the parts other interfaces do not show. */
const OWN_V6_PREFIX = 48

function list(family: 'ipv4' | 'ipv6', subnets: readonly (readonly [string, number])[]): BlockList {
  const made = new BlockList()
  for (const [net, prefix] of subnets) made.addSubnet(net, prefix, family)
  return made
}

function ownSubnets(interfaces: HostInterfaces, others: readonly string[]): BlockList {
  const made = new BlockList()
  const add = (address: string, prefix: number): void => {
    const family = isIP(address)
    if (family === 4) made.addSubnet(address, prefix, 'ipv4')
    // others are not public anyway; ::1 with so short a prefix would hold the mapped form of all IPv4
    if (family === 6 && GLOBAL_V6.check(address, 'ipv6')) made.addSubnet(address, Math.min(prefix, OWN_V6_PREFIX), 'ipv6')
  }
  for (const { address, cidr } of Object.values(interfaces).flatMap((entries) => entries ?? [])) {
    const bare = address.split('%')[0] ?? ''
    const prefix = Number(cidr?.split('/')[1] ?? Number.NaN)
    add(bare, Number.isInteger(prefix) && prefix > 0 ? prefix : isIP(bare) === 6 ? OWN_V6_PREFIX : 32)
  }
  for (const address of others) add(address, isIP(address) === 6 ? OWN_V6_PREFIX : 32)
  return made
}

/** Whether an address in the one form that resolvers give is on the public internet. Anything else is not. */
export function isPublicAddress(address: string): boolean {
  const family = isIP(address)
  if (family === 4) return !DENIED_V4.check(address, 'ipv4')
  // a zone ("fe80::1%eth0") names a link of this host
  return family === 6 && !address.includes('%') && GLOBAL_V6.check(address, 'ipv6') && !DENIED_V6.check(address, 'ipv6')
}

/**
 * Whether a job may reach an address: on the public internet, and no network that this host is part of (a public IPv4 or IPv6
 * network of a company or a home is as much the owner's as a private one). `ownAddresses`: further ones of the owner, such as
 * the router's public side.
 */
export function mayReach(address: string, ownAddresses: readonly string[] = [], interfaces: HostInterfaces = networkInterfaces()): boolean {
  return isPublicAddress(address) && !ownSubnets(interfaces, ownAddresses).check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4')
}

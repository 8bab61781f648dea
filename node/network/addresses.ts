import { isPrivate } from '@libp2p/utils'
import { multiaddr } from '@multiformats/multiaddr'
import type { Multiaddr } from '@multiformats/multiaddr'
import { HearthError } from '../../src/errors.ts'
import type { NetworkScope } from './options.ts'

/** As many as an offer or an ad has room for. */
const MAX_ADDRESSES = 8
/** The documents' own cap on one. */
const MAX_ADDRESS_CHARS = 256

/** This node's addresses for an offer or an ad, the most useful to strangers first. */
export function ownAddresses(addresses: readonly string[], scope: NetworkScope): string[] {
  const short = addresses.filter((text) => text.length <= MAX_ADDRESS_CHARS)
  const isNear = (text: string): boolean => isPrivate(multiaddr(text))
  return (scope === 'public' ? [...short.filter((text) => !isNear(text)), ...short.filter(isNear)] : short).slice(0, MAX_ADDRESSES)
}

/**
 * Those of a stranger's claimed addresses that may be dialled: of TCP or a relay, naming nobody else and, in the public scope, not private.
 * Otherwise an offer could have every node knock at a printer.
 */
export function dialable(claimed: readonly string[], peer: string, scope: NetworkScope): string[] {
  return claimed.filter((text) => {
    try {
      const address = multiaddr(text)
      const named = address.getComponents().findLast(({ name }) => name === 'p2p')?.value
      const isOurs = named === undefined || named === peer
      const isKnownTransport = address.getComponents().some(({ name }) => name === 'tcp' || name === 'p2p-circuit')
      return isOurs && isKnownTransport && (scope === 'local' || !isPrivate(address))
    } catch {
      return false
    }
  })
}

/** Throws E_MULTIADDR. */
export function parseMultiaddr(text: string): Multiaddr {
  try {
    return multiaddr(text)
  } catch (err) {
    throw new HearthError('E_MULTIADDR', `"${text}" is no multiaddr`, 'It looks like /ip4/192.168.1.7/tcp/4001/p2p/12D3KooW…', { cause: err })
  }
}

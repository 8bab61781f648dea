/** Who counts as being on the own network: the arithmetic of subnets, without a network. */
import { multiaddr } from '@multiformats/multiaddr'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { isRelayed, standingOf, Subnets } from '../../node/network/subnets.ts'

const of = (...cidrs: string[]): Subnets => new Subnets({ net: cidrs.map((cidr) => ({ cidr, address: cidr.split('/')[0]!, family: cidr.includes(':') ? 'IPv6' : 'IPv4' })) })
const HOME = of('127.0.0.1/8', '::1/128', '192.168.1.7/24', 'fe80::1:2/64', 'fd00:aa::7/64', '2001:db8:1:2::7/64')

const ADDRESSES: [ip: string, unseen: boolean, seen: boolean][] = [
  ['127.0.0.1', true, true],
  ['127.9.9.9', true, true],
  ['::1', true, true],
  ['192.168.1.200', true, true],
  ['192.168.1.255', true, true],
  ['192.168.2.1', false, false],
  ['10.0.0.1', false, false],
  ['172.16.0.1', false, false],
  ['::ffff:192.168.1.9', true, true],
  ['::ffff:192.168.2.9', false, false],
  ['fe80::9', true, true],
  ['fe80:0:0:1::9', false, false],
  ['fd00:aa::ff', true, true],
  ['fd00:aa:0:1::ff', false, false],
  // a public prefix: near only when it was also heard on the link
  ['2001:db8:1:2::99', false, true],
  ['2001:db8:1:3::99', false, false],
  ['93.184.216.34', false, false],
  ['nonsense', false, false]
]

for (const [ip, unseen, seen] of ADDRESSES) {
  test(`${ip} is ${unseen ? 'on' : seen ? 'only with mDNS on' : 'not on'} the own network`, () => {
    assert.equal([HOME.holds(ip, false), HOME.holds(ip, true)], [unseen, seen])
  })
}

test('a data centre\'s public subnet is not the own network, and odd prefixes are minded', () => {
  const rented = of('93.184.216.7/24', '172.20.5.1/20', '10.8.0.2/32')
  assert.equal(['93.184.216.8', '172.20.15.255', '172.20.16.0', '10.8.0.2', '10.8.0.1'].map((ip) => rented.holds(ip, false)), [false, true, false, true, false])
})

test('an interface without a prefix is this machine alone', () => {
  const subnets = new Subnets({ tun0: [{ address: '10.1.1.1', family: 'IPv4', cidr: null }], gone: undefined })
  assert.equal(['10.1.1.1', '10.1.1.2'].map((ip) => subnets.holds(ip, false)), [true, false])
})

const PEER = '12D3KooWEp96zuEBq6PkeCADDfjEUA3QxnjCuERH4g7ndFPsDwsV'
const connection = (address: string, status: 'open' | 'closed' = 'open', limits?: { seconds?: number }): Parameters<typeof standingOf>[0][number] => ({ remoteAddr: multiaddr(address), status, ...limits === undefined ? {} : { limits } })

test('a peer stands as its nearest open connection does', () => {
  const near = connection('/ip4/192.168.1.9/tcp/4150')
  const far = connection('/ip4/93.184.216.34/tcp/4150')
  // a relay on the own network without limits: whoever is behind it is not
  const relayed = connection(`/ip4/192.168.1.9/tcp/4150/p2p/${PEER}/p2p-circuit/p2p/${PEER}`)
  const limited = connection('/ip4/192.168.1.9/tcp/4150', 'open', { seconds: 60 })
  assert.is(standingOf([], HOME, true), undefined)
  assert.is(standingOf([connection('/ip4/192.168.1.9/tcp/1', 'closed')], HOME, true), undefined)
  assert.is(standingOf([near], HOME, false), 'local')
  assert.is(standingOf([connection('/ip6zone/eth0/ip6/fe80::9/tcp/1')], HOME, false), 'local')
  assert.is(standingOf([far], HOME, true), 'remote')
  assert.is(standingOf([connection('/dns4/example.org/tcp/1')], HOME, true), 'remote')
  assert.is(standingOf([relayed], HOME, true), 'relayed')
  assert.is(standingOf([limited], HOME, true), 'relayed')
  assert.is(standingOf([relayed, far], HOME, false), 'remote')
  assert.is(standingOf([relayed, far, near], HOME, false), 'local')
  assert.equal([near, far, relayed, limited].map(isRelayed), [false, false, true, true])
})

test.run()

/** Which domains and addresses a container's job may reach, without any connection. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { isPublicAddress, mayReach } from '../../node/containers/network/addresses.ts'
import { MAX_RULES, MAX_TARGET_CHARS } from '../../node/containers/network/limits.ts'
import { Pace } from '../../node/containers/network/pace.ts'
import { refusal } from '../../node/containers/network/refusal.ts'
import { NetworkRules } from '../../node/containers/network/rules.ts'

const rules = NetworkRules.parse(['example.org', '*.wild.example', 'api.example.net:8443', 'München.de', 'both.example', 'both.example:22', 'Upper.Example.COM.'])

function decide(authority: string): string {
  const decision = rules.decide(authority)
  return decision.ok ? `${decision.host}:${decision.port}` : decision.code
}

const DECISIONS: [string, string][] = [
  ['example.org:443', 'example.org:443'],
  ['example.org:80', 'example.org:80'],
  ['EXAMPLE.org.:443', 'example.org:443'],
  ['example.org:8080', 'E_NET_PORT'],
  ['example.org:22', 'E_NET_PORT'],
  ['sub.example.org:443', 'E_NET_DOMAIN'],
  ['notexample.org:443', 'E_NET_DOMAIN'],
  ['example.org.evil.net:443', 'E_NET_DOMAIN'],
  ['a.wild.example:443', 'a.wild.example:443'],
  ['a.b.wild.example:443', 'a.b.wild.example:443'],
  ['wild.example:443', 'E_NET_DOMAIN'],
  ['awild.example:443', 'E_NET_DOMAIN'],
  ['.wild.example:443', 'E_NET_DOMAIN'],
  ['api.example.net:8443', 'api.example.net:8443'],
  ['api.example.net:443', 'E_NET_PORT'],
  ['both.example:443', 'both.example:443'],
  ['both.example:22', 'both.example:22'],
  ['upper.example.com:443', 'upper.example.com:443'],
  ['xn--mnchen-3ya.de:443', 'xn--mnchen-3ya.de:443'],
  ['münchen.de:443', 'xn--mnchen-3ya.de:443'],
  ['localhost:443', 'E_NET_DOMAIN'],
  ['127.0.0.1:443', 'E_NET_LITERAL'],
  ['127.1:443', 'E_NET_LITERAL'],
  ['2130706433:443', 'E_NET_LITERAL'],
  ['0x7f000001:443', 'E_NET_LITERAL'],
  ['0x7f.0.0.1:443', 'E_NET_LITERAL'],
  ['0177.0.0.1:443', 'E_NET_LITERAL'],
  ['1.2.3.4.5:443', 'E_NET_LITERAL'],
  ['example.0x7f:443', 'E_NET_LITERAL'],
  ['127.0.0.1.:443', 'E_NET_LITERAL'],
  ['１２７.0.0.1:443', 'E_NET_LITERAL'],
  ['１２７．０．０．１:443', 'E_NET_LITERAL'],
  ['[::1]:443', 'E_NET_LITERAL'],
  ['[::ffff:127.0.0.1]:443', 'E_NET_LITERAL'],
  ['[fe80::1%eth0]:443', 'E_NET_LITERAL'],
  ['::1:443', 'E_NET_REQUEST'],
  ['example.org', 'E_NET_REQUEST'],
  ['example.org:', 'E_NET_REQUEST'],
  ['example.org:0', 'E_NET_REQUEST'],
  ['example.org:0443', 'E_NET_REQUEST'],
  ['example.org:65536', 'E_NET_REQUEST'],
  ['example.org:443 ', 'E_NET_REQUEST'],
  ['example.org:+443', 'E_NET_REQUEST'],
  [':443', 'E_NET_REQUEST'],
  ['', 'E_NET_REQUEST'],
  ['user@example.org:443', 'E_NET_REQUEST'],
  ['example.org/x:443', 'E_NET_REQUEST'],
  ['example.org%2eevil.net:443', 'E_NET_REQUEST'],
  ['%65xample.org:443', 'E_NET_REQUEST'],
  ['example.org\u0000.evil.net:443', 'E_NET_REQUEST'],
  ['http://example.org:443', 'E_NET_REQUEST'],
  [`${'a.'.repeat(130)}example.org:443`, 'E_NET_DOMAIN']
]

for (const [authority, expected] of DECISIONS) {
  test(`CONNECT ${JSON.stringify(authority).slice(0, 60)} gives ${expected}`, () => { assert.is(decide(authority), expected) })
}

const UNDECLARABLE: [string, RegExp][] = [
  ['', /no full domain/], ['localhost', /no full domain/], ['*', /no full domain/], ['*.org', /no full domain/], ['a.*.org', /no full domain/], ['exa mple.org', /no full domain/],
  ['https://example.org', /address of a page/], ['example.org/path', /no full domain/], ['user@example.org', /no full domain/], ['-a.example.org', /no full domain/], ['a..example.org', /no full domain/],
  ['10.0.0.1', /IP address/], ['[::1]', /IP address/], ['::1', /IP address|no full domain/], ['0x7f.1', /IP address/], ['*.127.0.0.1', /IP address/], ['2130706433', /IP address/],
  ['example.org:0', /port 0/], ['example.org:70000', /port 70000/], ['example.org:25', /mail/], [`${'a'.repeat(64)}.org`, /no full domain/]
]

for (const [entry, words] of UNDECLARABLE) {
  test(`"${entry.slice(0, 40)}" cannot be declared`, () => {
    assert.throws(() => NetworkRules.parse([entry]), (err: Error & { code: string, hint: string }) => err.code === 'E_NET_ALLOW' && words.test(err.message) && err.hint !== '')
  })
}

test('a list of domains has a bound', () => {
  assert.throws(() => NetworkRules.parse(Array.from({ length: MAX_RULES + 1 }, (_, i) => `d${i}.example.org`)), /more than/)
})

const PUBLIC = ['1.1.1.1', '8.8.8.8', '172.15.255.255', '172.32.0.1', '100.63.255.255', '100.128.0.1', '169.253.0.1', '192.167.255.255', '223.255.255.255', '198.17.0.1', '2606:4700::1111', '2a00:1450:4001::1', '2003::1', '3ff0::1']
const DENIED = [
  '0.0.0.0', '0.1.2.3', '10.0.0.1', '10.255.255.255', '100.64.0.1', '100.100.100.200', '100.127.255.255', '127.0.0.1', '127.255.255.254', '169.254.169.254', '172.16.0.1', '172.17.0.1', '172.31.255.255', '192.0.0.192', '192.0.2.1',
  '192.88.99.1', '192.168.1.1', '198.18.0.1', '198.19.255.255', '198.51.100.1', '203.0.113.1', '224.0.0.1', '239.255.255.250', '240.0.0.1', '255.255.255.255', '168.63.129.16',
  '::', '::1', '::ffff:8.8.8.8', '::ffff:127.0.0.1', '::127.0.0.1', '64:ff9b::a00:1', '64:ff9b:1::1', '100::1', '2001::1', '2001:0:4136:e378::1', '2001:20::1', '2001:db8::1', '2002:7f00:1::1', '2002:c0a8:101::1', '3fff::1', '5f00::1',
  'fc00::1', 'fd00:ec2::254', 'fe80::1', 'fe80::1%eth0', '2606:4700::1111%eth0', 'fec0::1', 'ff02::1', 'ff0e::1',
  '127.1', '0177.0.0.1', '0x7f.0.0.1', '2130706433', '1.1.1.1 ', '1.1.1', 'example.org', '', '[::1]'
]

test('only addresses of the public internet are public', () => {
  assert.equal(PUBLIC.filter((address) => !isPublicAddress(address)), [])
  assert.equal(DENIED.filter((address) => isPublicAddress(address)), [])
})

test('the networks that this host is part of are out of reach, public ones too', () => {
  const interfaces = { eth0: [{ address: '81.2.69.144', family: 'IPv4' as const, cidr: '81.2.69.144/28' }, { address: '2a00:1450:4001:830::5', family: 'IPv6' as const, cidr: '2a00:1450:4001:830::5/64' }], ppp0: [{ address: '81.2.70.1', family: 'IPv4' as const, cidr: null }] }
  const may = (address: string): boolean => mayReach(address, ['81.3.0.1', '2a02:8388::1', 'nonsense'], interfaces)
  assert.equal(['81.2.69.144', '81.2.69.150', '81.2.70.1', '2a00:1450:4001:830::1', '2a00:1450:4001:8ff::1', '81.3.0.1', '2a02:8388:0:ff::9', '192.168.0.1'].filter(may), [])
  assert.equal(['81.2.69.160', '81.2.70.2', '2a00:1450:4002::1', '81.3.0.2', '2a02:8389::1'].filter((address) => !may(address)), [])
})

test('the addresses that every host has for itself put nothing else out of reach', () => {
  const lo = { lo: [{ address: '127.0.0.1', family: 'IPv4' as const, cidr: '127.0.0.1/8' }, { address: '::1', family: 'IPv6' as const, cidr: '::1/128' }], eth0: [{ address: 'fe80::1%eth0', family: 'IPv6' as const, cidr: 'fe80::1/64' }] }
  assert.equal(PUBLIC.filter((address) => !mayReach(address, ['127.0.0.1', '::1'], lo)), [])
})

test('what a job asked for is told in printable characters, and cut', () => {
  assert.is(refusal('E_NET_DOMAIN', 'a\u001B[2Jb\nc').target, 'a?[2Jb?c')
  assert.is(refusal('E_NET_DOMAIN', 'x'.repeat(10_000)).target.length, MAX_TARGET_CHARS)
})

test('a pace gives its burst at once, then one at a time, and never saves up more than the burst', () => {
  const pace = new Pace(3, 10, 0)
  assert.equal([0, 0, 0, 0, 0].map((nowMs) => pace.take(nowMs)), [0, 0, 0, 100, 200])
  assert.equal([10_000, 10_000, 10_000, 10_000].map((nowMs) => pace.take(nowMs)), [0, 0, 0, 100])
})

test.run()

/** C25 of the attack list: a hostile job in a real container looks for ways out of it. */
import { networkInterfaces } from 'node:os'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { mayReach } from '../../node/containers/network/addresses.ts'
import { resolveByDns } from '../../node/containers/network/resolve.ts'
import { TOOLS_DIR, type ContainerSettings } from '../../node/containers/settings.ts'
import { echo, listen, openProxy, serveNames, type NameServer, type ProxyWorld } from '../helpers/container-proxy.ts'
import { dropImage, makeImage, openContainers, testEngine, textOf } from '../helpers/engine.ts'

/** Stands for a declared server of the internet: the one address of this host that the check lets pass here. */
const OUTSIDE = '127.0.0.3'
/** Any but the address above, where a service of the host listens. */
const VICTIM = '127.0.0.1'
const TAG = 'network'

/** The relay's answer to a CONNECT, from `nc` in the container; without a line it says `nothing`. */
const CONNECT = `ask() { printf 'CONNECT %s HTTP/1.1\\r\\n\\r\\n' "$2" | nc 127.0.0.1 3128 | grep -E '^X-Hearth-Code|^HTTP/1.1 200' | tail -n 1 | tr -d '\\r' | { read -r a b || a=nothing; echo "$1 $a $b"; }; }\n`

/** Declared names that lead to where no job may come. */
function forbiddenNames(own: string): Record<string, string> {
  return {
    'lan.example.org': '192.168.1.1', 'lan10.example.org': '10.0.0.1', 'bridge.example.org': '172.17.0.1', 'host.example.org': own, 'loop.example.org': VICTIM, 'loop2.example.org': '127.8.8.8',
    'metadata.example.org': '169.254.169.254', 'cgnat.example.org': '100.64.0.1', 'alibaba.example.org': '100.100.100.200', 'azure.example.org': '168.63.129.16', 'multicast.example.org': '239.255.255.250',
    'broadcast.example.org': '255.255.255.255', 'zero.example.org': '0.0.0.0', 'reserved.example.org': '240.0.0.1', 'loop6.example.org': '::1', 'ula.example.org': 'fd00::2', 'link.example.org': 'fe80::1',
    'mapped.example.org': '::ffff:127.0.0.1', 'nat64.example.org': '64:ff9b::7f00:1', 'sixtofour.example.org': '2002:7f00:1::1', 'teredo.example.org': '2001:0:1::1', 'multicast6.example.org': 'ff02::1'
  }
}

const ownAddress = (): string => Object.values(networkInterfaces()).flatMap((list) => list ?? []).find(({ family, internal }) => family === 'IPv4' && !internal)?.address ?? VICTIM

const LITERALS = ['127.0.0.1', '127.1', '2130706433', '0x7f000001', '0x7f.0.0.1', '0177.0.0.1', '017700000001', '10.0.0.1', '169.254.169.254', '[::1]', '[::ffff:127.0.0.1]', '[::ffff:7f00:1]', '[fe80::1%25eth0]']

const engine = await testEngine(import.meta.filename)

if (engine !== undefined) {
  /** Changes the settings of the next runs: a defence taken away. */
  let alter: ((settings: ContainerSettings) => void) | undefined
  const bench = await openContainers(engine, await makeImage(engine, TAG), { alter: (settings) => alter?.(settings) })
  const outside = await listen(echo, OUTSIDE)
  const victim = await listen(echo, VICTIM)

  test.after(async () => {
    await bench.close()
    await dropImage(engine, TAG)
    await outside[Symbol.asyncDispose]()
    await victim[Symbol.asyncDispose]()
  })

  /** Runs a script in a container of its own, with this network or none. */
  const runScript = async (script: string, proxied?: ProxyWorld, command = ['sh', '-c', script]): Promise<{ stdout: string, stderr: string, outcome: string }> => {
    const result = await bench.sh(script, { command, ...proxied === undefined ? {} : { network: proxied.proxy.attachment() } })
    const { outcome } = result
    const told = outcome.kind === 'exited' ? `exited ${outcome.exitCode}` : outcome.kind === 'trapped' ? `trapped ${outcome.trap}` : `${outcome.code} ${outcome.message}`
    return { stdout: textOf(result, 'stdout') ?? '', stderr: textOf(result, 'stderr') ?? '', outcome: told }
  }

  test('no address of any kind is reached without the proxy, and there is nothing but loopback', async () => {
    const targets = [ownAddress(), '172.17.0.1', '192.168.1.1', '10.0.0.1', '169.254.169.254', '100.64.0.1', '239.255.255.250', '81.2.69.142', 'fd00::2', '2606:4700::1111', 'fe80::1', '::ffff:172.17.0.1']
    await using proxied = await openProxy()
    const script = `
      for a in ${targets.join(' ')}; do nc -w 2 $a ${victim.port} </dev/null 2>/dev/null && echo "reached $a"; done
      nc -w 2 ${VICTIM} ${victim.port} </dev/null 2>/dev/null && echo 'reached the host by loopback'
      timeout 3 nslookup example.org 8.8.8.8 >/dev/null 2>&1 && echo 'asked a name server'
      timeout 3 nslookup example.org >/dev/null 2>&1 && echo 'asked the name server of the container'
      tail -n +3 /proc/net/dev | tr -d ' ' | while IFS=: read -r name rest; do echo "interface $name"; done
      tail -n +2 /proc/net/route
      echo done`
    for (const network of [undefined, proxied]) {
      const { stdout, outcome } = await runScript(script, network)
      assert.is(stdout, 'interface lo\ndone\n')
      assert.is(outcome, 'exited 0')
    }
    assert.is(victim.seen(), 0)
  })

  test('declared names that lead inside, addresses in any spelling, undeclared names and other methods are refused; the declared domain is reached', async () => {
    const forbidden = forbiddenNames(ownAddress())
    const ports = (name: string): string => `${name}:${victim.port}`
    await using proxied = await openProxy({
      allow: [...Object.keys(forbidden).map(ports), `*.good.example.org:${outside.port}`],
      seams: { resolve: async (name) => [forbidden[name] ?? OUTSIDE], allowAddress: (address) => address === OUTSIDE || mayReach(address) }
    })
    const script = `${CONNECT}
      for n in ${Object.keys(forbidden).map(ports).join(' ')}; do ask "$n" "$n"; done
      for n in ${LITERALS.map(ports).join(' ')}; do ask "$n" "$n"; done
      ask undeclared other.example.org:443
      ask suffix x.good.example.org.evil.net:443
      ask port a.good.example.org:22
      ask declared a.good.example.org:${outside.port}
      wget -q -O - http://a.good.example.org/ 2>&1 | grep -o 'HTTP/1.1 [0-9]*'
      { printf 'CONNECT a.good.example.org:${outside.port} HTTP/1.1\\r\\n\\r\\npipelined'; } | nc 127.0.0.1 3128 | tail -n 1; echo
      { printf 'CONNECT a.good.example.org:${outside.port} HTTP/1.1\\r\\nX: '; head -c 20000 /dev/zero | tr '\\000' x; } | nc 127.0.0.1 3128 | head -n 1`
    const { stdout, stderr, outcome } = await runScript(script, proxied)
    const lines = stdout.trim().split('\n').map((line) => line.trim())
    assert.equal(lines.filter((line) => line.includes('.example.org') && line.endsWith('E_NET_ADDRESS')).length, Object.keys(forbidden).length, stdout)
    assert.equal(lines.slice(0, Object.keys(forbidden).length + LITERALS.length), [
      ...Object.keys(forbidden).map((name) => `${ports(name)} X-Hearth-Code: E_NET_ADDRESS`),
      ...LITERALS.map((literal) => `${ports(literal)} X-Hearth-Code: E_NET_LITERAL`)
    ])
    assert.equal(lines.slice(Object.keys(forbidden).length + LITERALS.length), [
      'undeclared X-Hearth-Code: E_NET_DOMAIN', 'suffix X-Hearth-Code: E_NET_DOMAIN', 'port X-Hearth-Code: E_NET_PORT',
      'declared HTTP/1.1 200 Connection established', 'HTTP/1.1 405', 'pipelined', 'HTTP/1.1 400 Bad Request'
    ], stderr)
    assert.is(outcome, 'exited 0')
    assert.is(victim.seen(), 0)
    assert.equal([...new Set(proxied.refusals.map(({ code }) => code))].sort(), ['E_NET_ADDRESS', 'E_NET_DOMAIN', 'E_NET_LITERAL', 'E_NET_METHOD', 'E_NET_PORT', 'E_NET_REQUEST'])
  })

  test('with a defence removed the same attack reaches the host: the network mode, and the check of addresses', async () => {
    const attack = `echo stolen | nc -w 2 ${VICTIM} ${victim.port}`
    assert.is((await runScript(attack)).stdout, '')
    alter = ({ HostConfig }) => { HostConfig['NetworkMode'] = 'host' }
    const { stdout } = await runScript(attack).finally(() => { alter = undefined })
    assert.is(stdout, 'stolen\n')
    await using open = await openProxy({ allow: [`loop.example.org:${victim.port}`], seams: { resolve: async () => [VICTIM], allowAddress: () => true } })
    const { stdout: byName } = await runScript(`printf 'CONNECT loop.example.org:${victim.port} HTTP/1.1\\r\\n\\r\\nstolen by name' | nc 127.0.0.1 3128 | tail -n 1`, open)
    assert.is(byName, 'stolen by name')
    assert.is(victim.seen(), 2)
  })

  test('a name that first leads outside and then to the host is connected where it was checked, and refused the next time', async () => {
    const before = victim.seen()
    const names: NameServer = await serveNames(() => names.asked.length <= 1 ? [OUTSIDE] : [VICTIM])
    await using server = names
    // the same port on both: what a proxy reached that looks twice
    await using trap = await listen(echo, VICTIM, outside.port)
    await using proxied = await openProxy({ allow: [`rebind.example.org:${outside.port}`], seams: { resolve: resolveByDns([server.address]), allowAddress: (address) => address === OUTSIDE || mayReach(address) } })
    const { stdout } = await runScript(`${CONNECT}ask first rebind.example.org:${outside.port}; ask second rebind.example.org:${outside.port}`, proxied)
    assert.is(stdout, 'first HTTP/1.1 200 Connection established\nsecond X-Hearth-Code: E_NET_ADDRESS\n')
    assert.equal([trap.seen(), victim.seen() - before], [0, 0])
  })

  test('a job that kills its relay loses its own network and nothing else; the socket\'s folder cannot be changed', async () => {
    await using proxied = await openProxy({ allow: [`good.example.org:${outside.port}`], seams: { resolve: async () => [OUTSIDE], allowAddress: (address) => address === OUTSIDE } })
    const script = `${CONNECT}
      ask before good.example.org:${outside.port}
      touch /run/hearth/x 2>/dev/null && echo wrote
      rm -f /run/hearth/proxy.sock 2>/dev/null && echo removed
      kill -TERM -1 2>/dev/null; kill -HUP 0 2>/dev/null
      ask terminated good.example.org:${outside.port}
      for p in /proc/[0-9]*; do case "$(tr '\\000' ' ' < $p/cmdline)" in '${TOOLS_DIR}/relay '*) pid=\${p#/proc/};; esac; done
      read -r line < /proc/$pid/stat; set -- \${line#*) }; echo "parent $2"
      kill -KILL $pid
      while kill -0 $pid 2>/dev/null; do :; done
      ask killed good.example.org:${outside.port} 2>/dev/null
      exit 5`
    const { stdout, stderr, outcome } = await runScript(`trap '' TERM HUP;${script}`, proxied)
    assert.equal(stdout.split('\n').map((line) => line.trim()), ['before HTTP/1.1 200 Connection established', 'terminated HTTP/1.1 200 Connection established', 'parent 1', 'killed nothing', ''], stderr)
    assert.is(outcome, 'exited 5')
  })

  test('at the byte limit the tunnel of a running job ends, and its requester is told', async () => {
    await using proxied = await openProxy({ maxBytes: 300_000, allow: [`good.example.org:${outside.port}`], seams: { resolve: async () => [OUTSIDE], allowAddress: (address) => address === OUTSIDE } })
    const { stdout } = await runScript(`${CONNECT}{ printf 'CONNECT good.example.org:${outside.port} HTTP/1.1\\r\\n\\r\\n'; head -c 5000000 /dev/zero; } 2>/dev/null | nc 127.0.0.1 3128 >/dev/null; ask after good.example.org:${outside.port}`, proxied)
    assert.is(stdout, 'after X-Hearth-Code: E_NET_BYTES\n')
    const usage = proxied.proxy.usage()
    assert.is(usage.sentBytes + usage.receivedBytes, 300_000)
    assert.equal(proxied.refusals.map(({ code }) => code), ['E_NET_BYTES', 'E_NET_BYTES'])
  })

  test('exit codes, missing programs and signals of a job with a network are those of a job without', async () => {
    await using proxied = await openProxy()
    await Promise.all([['sh', '-c', 'exit 7'], ['sh', '-c', 'kill -TERM $$'], ['none'], ['/bin']].map(async (command) => {
      const [bare, networked] = await Promise.all([runScript('', undefined, command), runScript('', proxied, command)])
      assert.is(networked.outcome, bare.outcome, command.join(' '))
      assert.match(bare.outcome, /^exited [1-9]/)
    }))
  })
}

test.run()

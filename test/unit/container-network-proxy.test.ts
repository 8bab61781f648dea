/** The proxy of a container over its socket, as a hostile job would use it: what is not a CONNECT to a declared domain's public address is refused, counted and told. */
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { lstat, mkdir, readdir } from 'node:fs/promises'
import type { Socket } from 'node:net'
import { dirname } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { CONNECTIONS_BURST, MAX_CONNECTIONS, MAX_HEADER_BYTES, MAX_REFUSALS } from '../../node/containers/network/limits.ts'
import { ContainerProxy } from '../../node/containers/network/proxy.ts'
import { resolveByDns } from '../../node/containers/network/resolve.ts'
import { answerOf, ask, connectTo, echo, listen, openProxy, RawClient, REACHABLE, serveNames } from '../helpers/container-proxy.ts'

const ESTABLISHED = 'HTTP/1.1 200 Connection established\r\n\r\n'
const allowPort = (port: number): string[] => [REACHABLE, `${REACHABLE}:${port}`]

test('a declared domain is reached, and both ways are counted', async () => {
  await using server = await listen(echo)
  await using world = await openProxy({ allow: allowPort(server.port) })
  const client = new RawClient(world.proxy.socketPath)
  client.socket.write(connectTo(`${REACHABLE.toUpperCase()}.:${server.port}`))
  await client.until(ESTABLISHED)
  client.socket.write('over the wall')
  assert.is(await client.until('wall'), `${ESTABLISHED}over the wall`)
  client.socket.end()
  await client.closed()
  assert.equal(world.proxy.usage(), { sentBytes: 13, receivedBytes: 13, tunnels: 1, refused: 0, isSpent: false })
})

test('bytes sent along with the CONNECT reach the server, once and first', async () => {
  await using server = await listen(echo)
  await using world = await openProxy({ allow: allowPort(server.port) })
  const client = new RawClient(world.proxy.socketPath)
  client.socket.end(`${connectTo(`${REACHABLE}:${server.port}`)}GET / HTTP/1.1\r\n\r\nCONNECT x:1 HTTP/1.1\r\n\r\n`)
  assert.is(await client.closed(), `${ESTABLISHED}GET / HTTP/1.1\r\n\r\nCONNECT x:1 HTTP/1.1\r\n\r\n`)
  assert.is(world.proxy.usage().sentBytes, 42)
  assert.equal(world.refusals, [])
})

test('a half that is closed leaves the other open', async () => {
  await using server = await listen((socket) => {
    let got = ''
    socket.on('data', (chunk: Buffer) => { got += chunk.toString() })
    // answers only when the job has said all: a proxy that closes both halves at once never shows it
    socket.on('end', () => { socket.end(`heard ${got}`) })
  })
  await using world = await openProxy({ allow: allowPort(server.port) })
  const client = new RawClient(world.proxy.socketPath)
  client.socket.write(connectTo(`${REACHABLE}:${server.port}`))
  await client.until(ESTABLISHED)
  client.socket.end('all of it')
  assert.is(await client.closed(), `${ESTABLISHED}heard all of it`)
})

test('a server that has said all still hears the job', async () => {
  const { promise: heard, resolve: onHeard } = Promise.withResolvers<string>()
  await using server = await listen((socket) => {
    let got = ''
    socket.on('data', (chunk: Buffer) => { got += chunk.toString() })
    socket.on('end', () => { onHeard(got) })
    socket.end('that is all')
  })
  await using world = await openProxy({ allow: allowPort(server.port) })
  const client = new RawClient(world.proxy.socketPath, true)
  client.socket.write(connectTo(`${REACHABLE}:${server.port}`))
  await client.until('that is all')
  if (!client.socket.readableEnded) await once(client.socket, 'end')
  client.socket.end('thank you')
  assert.is(await heard, 'thank you')
})

test('what a server sends goes no faster than the job reads it', async () => {
  let accepted = 0
  const { promise: stalled, resolve: onStalled } = Promise.withResolvers<void>()
  const block = Buffer.alloc(65_536)
  await using server = await listen((socket: Socket) => {
    // until nothing was taken for a whole round of the loop after the queue filled; bounded far below what it would send
    const fill = (): void => {
      while (accepted < 2 ** 28) {
        accepted += block.length
        if (!socket.write(block)) { onStalled(); return }
      }
    }
    socket.on('drain', fill)
    fill()
  })
  await using world = await openProxy({ allow: allowPort(server.port) })
  const client = new RawClient(world.proxy.socketPath)
  client.socket.write(connectTo(`${REACHABLE}:${server.port}`))
  await client.until(ESTABLISHED)
  client.socket.pause()
  await stalled
  // as many bytes as pass while nobody reads: what both kernels and the streams hold
  let before = -1
  while (before !== world.proxy.usage().receivedBytes) {
    before = world.proxy.usage().receivedBytes
    for (let n = 0; n < 50; n++) await new Promise((resolve) => { setImmediate(resolve) })
  }
  assert.ok(before < 16 * 2 ** 20, `${before} bytes passed to a job that does not read`)
  assert.ok(accepted < 2 ** 28)
})

/** Request as it is sent, and the code of its answer. */
const REFUSED: [string, string, string][] = [
  ['a plain GET through the proxy', `GET http://${REACHABLE}/ HTTP/1.1\r\nHost: ${REACHABLE}\r\n\r\n`, 'E_NET_METHOD'],
  ['a GET of a path', 'GET / HTTP/1.1\r\nHost: x\r\n\r\n', 'E_NET_METHOD'],
  ['a POST with a body', 'POST http://x/ HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello', 'E_NET_METHOD'],
  ['a POST that waits to be asked on', 'POST http://x/ HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n', 'E_NET_METHOD'],
  ['a POST with an odd expectation', 'POST http://x/ HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nExpect: tea\r\n\r\n', 'E_NET_METHOD'],
  ['an upgrade to a web socket', 'GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n', 'E_NET_METHOD'],
  ['HTTP/2 by prior knowledge', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'E_NET_REQUEST'],
  ['TLS to the proxy itself', '\u0016\u0003\u0001\u0002\u0000\u0001\u0000', 'E_NET_REQUEST'],
  ['SOCKS', '\u0005\u0001\u0000', 'E_NET_REQUEST'],
  ['an undeclared domain', connectTo('other.example:443'), 'E_NET_DOMAIN'],
  ['an undeclared port', connectTo(`${REACHABLE}:22`), 'E_NET_PORT'],
  ['an address', connectTo('127.0.0.1:443'), 'E_NET_LITERAL'],
  ['an address in decimal', connectTo('2130706433:443'), 'E_NET_LITERAL'],
  ['an address in octal', connectTo('0177.0.0.1:443'), 'E_NET_LITERAL'],
  ['a mapped address', connectTo('[::ffff:127.0.0.1]:443'), 'E_NET_LITERAL'],
  ['a CONNECT to a page', connectTo(`http://${REACHABLE}/`), 'E_NET_REQUEST'],
  ['a CONNECT without a port', connectTo(REACHABLE), 'E_NET_REQUEST'],
  ['a CONNECT with a body', `CONNECT ${REACHABLE}:443 HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello`, 'E_NET_REQUEST'],
  ['a CONNECT with a chunked body', `CONNECT ${REACHABLE}:443 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`, 'E_NET_REQUEST'],
  ['a header that is too long', `CONNECT ${REACHABLE}:443 HTTP/1.1\r\nX: ${'x'.repeat(MAX_HEADER_BYTES)}\r\n\r\n`, 'E_NET_REQUEST'],
  ['a header line without end', `CONNECT ${REACHABLE}:443 HTTP/1.1\r\nX: ${'x'.repeat(MAX_HEADER_BYTES * 4)}`, 'E_NET_REQUEST'],
  ['a target that is too long', `CONNECT ${'x'.repeat(MAX_HEADER_BYTES)}:443 HTTP/1.1\r\n\r\n`, 'E_NET_REQUEST'],
  ['a NUL in the target', `CONNECT ${REACHABLE}\u0000.evil.net:443 HTTP/1.1\r\n\r\n`, 'E_NET_REQUEST'],
  ['a folded header', `CONNECT ${REACHABLE}:443 HTTP/1.1\r\nX: a\r\n b\r\nHost : x\r\n\r\n`, 'E_NET_REQUEST']
]

for (const [what, bytes, code] of REFUSED) {
  test(`${what} is refused as ${code}`, async () => {
    await using world = await openProxy({ seams: { resolve: async () => { throw new Error('a name was asked for') } } })
    const answer = await ask(world.proxy, Buffer.from(bytes, 'latin1'))
    assert.is(answerOf(answer), code)
    assert.match(answer, /^HTTP\/1\.1 4\d\d .*\r\n[^]*Connection: close\r\n[^]*hearth: /)
    assert.equal(world.refusals.map((refusal) => refusal.code), [code])
    assert.is(world.proxy.usage().refused, 1)
  })
}

test('a declared name without a public address is refused, whatever the kind of address', async () => {
  const inside = ['127.0.0.1', '10.1.2.3', '172.17.0.1', '192.168.1.1', '100.64.0.1', '169.254.169.254', '224.0.0.251', '255.255.255.255', '0.0.0.0', '::1', 'fd00::2', 'fe80::1', '::ffff:127.0.0.1', '64:ff9b::7f00:1', '2002:7f00:1::', '2001:0:1::', 'ff02::1']
  await using server = await listen(echo)
  for (const address of inside) {
    await using world = await openProxy({ allow: allowPort(server.port), seams: { resolve: async () => [address], allowAddress: undefined as never } })
    assert.is(answerOf(await ask(world.proxy, connectTo(`${REACHABLE}:${server.port}`))), 'E_NET_ADDRESS', address)
    const [refusal] = world.refusals
    assert.not.match(JSON.stringify(refusal), address, 'what the owner\'s name servers answer is not the requester\'s affair')
  }
  assert.is(server.seen(), 0)
})

test('without the check of addresses the same name reaches a server of the host: the check is what holds', async () => {
  await using server = await listen(echo)
  const seams = { resolve: async () => ['127.0.0.1'] }
  await using safe = await openProxy({ allow: allowPort(server.port), seams: { ...seams, allowAddress: undefined as never } })
  await using open = await openProxy({ allow: allowPort(server.port), seams: { ...seams, allowAddress: () => true } })
  assert.is(answerOf(await ask(safe.proxy, connectTo(`${REACHABLE}:${server.port}`))), 'E_NET_ADDRESS')
  assert.is(server.seen(), 0)
  const client = new RawClient(open.proxy.socketPath)
  client.socket.end(`${connectTo(`${REACHABLE}:${server.port}`)}stolen`)
  assert.is(await client.closed(), `${ESTABLISHED}stolen`)
  assert.is(server.seen(), 1)
})

test('a name that changes its address after the check is connected to where it was checked', async () => {
  await using good = await listen((socket) => { socket.end('good') })
  // what a second look at the name would give
  await using bad = await listen((socket) => { socket.end('bad') }, '127.0.0.2', good.port)
  await using names = await serveNames((name) => name !== REACHABLE ? [] : names.asked.length <= 1 ? ['127.0.0.1'] : ['127.0.0.2'])
  await using world = await openProxy({ allow: allowPort(good.port), seams: { resolve: resolveByDns([names.address]) } })
  assert.is(await ask(world.proxy, connectTo(`${REACHABLE}:${good.port}`)), `${ESTABLISHED}good`)
  assert.equal(names.asked, [REACHABLE])
  assert.is(answerOf(await ask(world.proxy, connectTo(`${REACHABLE}:${good.port}`))), 'E_NET_ADDRESS')
  assert.is(bad.seen(), 0)
})

test('of several addresses only those that pass the check are tried', async () => {
  await using server = await listen((socket) => { socket.end('good') })
  await using bad = await listen((socket) => { socket.end('bad') }, '127.0.0.2')
  await using world = await openProxy({ allow: [`${REACHABLE}:${server.port}`, `bad.example.org:${bad.port}`], seams: { resolve: async () => ['127.0.0.2', '::1', '127.0.0.1'] } })
  assert.is(await ask(world.proxy, connectTo(`${REACHABLE}:${server.port}`)), `${ESTABLISHED}good`)
  assert.is(answerOf(await ask(world.proxy, connectTo(`bad.example.org:${bad.port}`))), 'E_NET_CONNECT')
  assert.is(bad.seen(), 0)
})

test('names are asked of name servers, never of the hosts file, and as they stand', async () => {
  await using names = await serveNames((name) => name === 'localhost' || name === 'two.example.org' ? ['81.2.69.142', '81.2.69.143'] : [])
  const resolve = resolveByDns([names.address])
  const { signal } = new AbortController()
  assert.equal(await resolve('localhost', signal), ['81.2.69.142', '81.2.69.143'])
  assert.equal(await resolve('two.example.org', signal), ['81.2.69.142', '81.2.69.143'])
  assert.equal(await resolve('two', signal), [])
  assert.equal(names.asked, ['localhost', 'two.example.org', 'two'])
})

test('name servers that do not answer are not waited for when the run ends', async () => {
  const { promise: isAsked, resolve: onAsked } = Promise.withResolvers<void>()
  await using names = await serveNames(() => { onAsked(); return undefined })
  const ending = new AbortController()
  const found = resolveByDns([names.address])('slow.example.org', ending.signal)
  await isAsked
  ending.abort()
  assert.equal(await found, [])
  assert.equal(names.asked, ['slow.example.org'], 'it was asked again after the run had ended')
})

test('a name without an answer and a server that refuses are told apart', async () => {
  await using gone = await listen(echo)
  const { port } = gone
  await gone[Symbol.asyncDispose]()
  await using world = await openProxy({ allow: [`${REACHABLE}:${port}`, 'none.example.org'], seams: { resolve: async (host) => host === REACHABLE ? ['127.0.0.1'] : [] } })
  assert.is(answerOf(await ask(world.proxy, connectTo('none.example.org:443'))), 'E_NET_RESOLVE')
  assert.is(answerOf(await ask(world.proxy, connectTo(`${REACHABLE}:${port}`))), 'E_NET_CONNECT')
})

test('a resolver that throws ends the connection and nothing else', async () => {
  await using server = await listen(echo)
  let fails = true
  await using world = await openProxy({ allow: allowPort(server.port), seams: { resolve: async () => { if (fails) throw new Error('broken'); return ['127.0.0.1'] } } })
  assert.is(await ask(world.proxy, connectTo(`${REACHABLE}:${server.port}`)), '')
  fails = false
  const client = new RawClient(world.proxy.socketPath)
  client.socket.end(`${connectTo(`${REACHABLE}:${server.port}`)}x`)
  assert.is(await client.closed(), `${ESTABLISHED}x`)
})

test('a request that comes byte by byte, or not at all, is given up', async () => {
  await using world = await openProxy({ seams: { headerTimeoutMs: 60 } })
  const silent = new RawClient(world.proxy.socketPath)
  const slow = new RawClient(world.proxy.socketPath)
  const drip = setInterval(() => { slow.socket.write('x') }, 5)
  slow.socket.write(`CONNECT ${REACHABLE}:443 HTTP/1.1\r\nX: `)
  const answers = await Promise.all([silent.closed(), slow.closed()])
  clearInterval(drip)
  assert.equal(answers.map(answerOf), ['E_NET_SLOW', 'E_NET_SLOW'])
  assert.is(world.proxy.usage().refused, 2)
})

test('a tunnel that nobody uses is ended and told; one in use is not', async () => {
  await using server = await listen(echo)
  await using world = await openProxy({ allow: allowPort(server.port), seams: { idleTimeoutMs: 150 } })
  const used = new RawClient(world.proxy.socketPath)
  used.socket.write(connectTo(`${REACHABLE}:${server.port}`))
  await used.until(ESTABLISHED)
  const keep = setInterval(() => { used.socket.write('.') }, 10)
  const idle = new RawClient(world.proxy.socketPath)
  idle.socket.write(connectTo(`${REACHABLE}:${server.port}`))
  assert.is(await idle.closed(), ESTABLISHED)
  assert.is((await world.told('E_NET_IDLE')).target, `${REACHABLE}:${server.port}`)
  assert.not.ok(used.socket.destroyed)
  clearInterval(keep)
  used.socket.destroy()
})

test('at the byte limit every tunnel ends, the run is told once, and no byte more has passed', async () => {
  await using server = await listen(echo)
  const maxBytes = 100_000
  await using world = await openProxy({ allow: allowPort(server.port), maxBytes })
  const bystander = new RawClient(world.proxy.socketPath)
  bystander.socket.write(connectTo(`${REACHABLE}:${server.port}`))
  await bystander.until(ESTABLISHED)
  const greedy = new RawClient(world.proxy.socketPath)
  greedy.socket.write(connectTo(`${REACHABLE}:${server.port}`))
  await greedy.until(ESTABLISHED)
  greedy.socket.write(randomBytes(maxBytes))
  await Promise.all([greedy.closed(), bystander.closed()])
  const usage = world.proxy.usage()
  assert.is(usage.sentBytes + usage.receivedBytes, maxBytes)
  assert.ok(usage.isSpent)
  assert.ok(greedy.text.length - ESTABLISHED.length <= maxBytes / 2)
  assert.is(answerOf(await ask(world.proxy, connectTo(`${REACHABLE}:${server.port}`))), 'E_NET_BYTES')
  assert.equal(world.refusals.filter(({ target }) => target === '').map(({ code }) => code), ['E_NET_BYTES'])
  assert.is(server.seen(), 2)
})

test('a download ends at the limit, and an upload sends the server no byte beyond it', async () => {
  const maxBytes = 100_000
  let got = 0
  const { promise: ended, resolve: onEnded } = Promise.withResolvers<void>()
  await using source = await listen((socket) => { socket.resume().write(Buffer.alloc(4 * maxBytes)) })
  await using sink = await listen((socket) => { socket.on('data', (chunk: Buffer) => { got += chunk.length }).on('end', () => { socket.end() }).on('close', () => { onEnded() }) })
  for (const { port } of [source, sink]) {
    await using world = await openProxy({ allow: allowPort(port), maxBytes })
    const client = new RawClient(world.proxy.socketPath)
    client.socket.write(`${connectTo(`${REACHABLE}:${port}`)}some`)
    if (port === sink.port) client.socket.write(randomBytes(4 * maxBytes))
    await client.closed()
    assert.ok(client.text.length <= maxBytes + ESTABLISHED.length)
    const { sentBytes, receivedBytes, isSpent } = world.proxy.usage()
    assert.equal([sentBytes + receivedBytes, isSpent], [maxBytes, true])
  }
  await ended
  assert.ok(got > 0 && got <= maxBytes, `${got} bytes came`)
})

test('exactly the agreed bytes pass', async () => {
  await using server = await listen(echo)
  await using world = await openProxy({ allow: allowPort(server.port), maxBytes: 20 })
  const client = new RawClient(world.proxy.socketPath)
  client.socket.end(`${connectTo(`${REACHABLE}:${server.port}`)}0123456789`)
  assert.is(await client.closed(), `${ESTABLISHED}0123456789`)
  assert.not.ok(world.proxy.usage().isSpent)
})

test('1000 connections at once: as many as the bound are served, the rest is refused, and the next is served again', async () => {
  await using server = await listen(echo)
  await using world = await openProxy({ allow: allowPort(server.port) })
  const clients = Array.from({ length: 1_000 }, () => new RawClient(world.proxy.socketPath))
  for (const client of clients.slice(0, MAX_CONNECTIONS / 2)) client.socket.write(connectTo(`${REACHABLE}:${server.port}`))
  // beyond the listener's queue the kernel refuses by itself
  const answers = await Promise.all(clients.slice(MAX_CONNECTIONS).map(async (client) => {
    const answer = answerOf(await client.closed())
    return client.errorCode ?? answer
  }))
  assert.equal([...new Set(answers.filter((answer) => answer !== 'EAGAIN'))], ['E_NET_BUSY'])
  assert.is(world.refusals.length, 1)
  for (const client of clients.slice(0, MAX_CONNECTIONS / 2)) await client.until(ESTABLISHED)
  const kept = clients.slice(0, MAX_CONNECTIONS)
  for (const client of kept) client.socket.destroy()
  await Promise.all(kept.map((client) => client.closed()))
  let last = ''
  // the proxy hears of the closed connections in its own time
  while (!last.startsWith(ESTABLISHED)) {
    const client = new RawClient(world.proxy.socketPath)
    client.socket.end(`${connectTo(`${REACHABLE}:${server.port}`)}again`)
    last = await client.closed()
  }
  assert.is(last, `${ESTABLISHED}again`)
})

test('a job that opens connections without end loses its network, and the node stops hearing of it', async () => {
  await using server = await listen(echo)
  await using world = await openProxy({ allow: allowPort(server.port) })
  const tunnel = new RawClient(world.proxy.socketPath)
  tunnel.socket.write(connectTo(`${REACHABLE}:${server.port}`))
  await tunnel.until(ESTABLISHED)
  let isOpen = true
  const flood = async (): Promise<void> => {
    for (let n = 0; n < CONNECTIONS_BURST && isOpen; n++) {
      const client = new RawClient(world.proxy.socketPath)
      client.socket.once('error', (err: NodeJS.ErrnoException) => { if (err.code === 'ECONNREFUSED' || err.code === 'ENOENT') isOpen = false })
      client.socket.end('x')
      await client.closed()
    }
  }
  await Promise.all(Array.from({ length: 20 }, flood))
  assert.not.ok(isOpen)
  await tunnel.closed()
  assert.ok(world.refusals.some(({ code }) => code === 'E_NET_FLOOD'))
})

test('refusals are told once each and never without end, and all are counted', async () => {
  await using world = await openProxy()
  for (let n = 0; n < 3; n++) await ask(world.proxy, connectTo('other.example:443'))
  assert.is(world.refusals.length, 1)
  for (let n = 0; n < MAX_REFUSALS + 5; n++) await ask(world.proxy, connectTo(`d${n}.example:443`))
  assert.is(world.refusals.length, MAX_REFUSALS)
  assert.is(world.proxy.usage().refused, MAX_REFUSALS + 8)
})

test('a job gone before its server answers leaves no connection behind', async () => {
  const { promise: isAsked, resolve: onAsked } = Promise.withResolvers<void>()
  const { promise: mayAnswer, resolve: answer } = Promise.withResolvers<void>()
  const { promise: isEnded, resolve: onEnded } = Promise.withResolvers<void>()
  await using server = await listen((socket) => { socket.resume(); socket.on('close', () => { onEnded() }); socket.on('end', () => { socket.end() }) })
  await using world = await openProxy({ allow: allowPort(server.port), seams: { resolve: async () => { onAsked(); await mayAnswer; return ['127.0.0.1'] } } })
  const client = new RawClient(world.proxy.socketPath)
  client.socket.write(connectTo(`${REACHABLE}:${server.port}`))
  await isAsked
  client.socket.destroy()
  answer()
  await isEnded
  assert.is(world.proxy.usage().sentBytes, 0)
})

test('closing ends tunnels, names that are looked up and the folder', async () => {
  await using server = await listen(echo)
  const { promise: isAsked, resolve: onAsked } = Promise.withResolvers<void>()
  const { promise: isAborted, resolve: onAborted } = Promise.withResolvers<void>()
  await using world = await openProxy({
    allow: [...allowPort(server.port), 'slow.example.org'],
    seams: { resolve: (host, signal) => host === REACHABLE ? Promise.resolve(['127.0.0.1']) : new Promise((resolve) => { onAsked(); signal.addEventListener('abort', () => { onAborted(); resolve([]) }) }) }
  })
  const tunnel = new RawClient(world.proxy.socketPath)
  tunnel.socket.write(connectTo(`${REACHABLE}:${server.port}`))
  await tunnel.until(ESTABLISHED)
  const waiting = new RawClient(world.proxy.socketPath)
  waiting.socket.write(connectTo('slow.example.org:443'))
  await isAsked
  await world.proxy.close()
  assert.is(await tunnel.closed(), ESTABLISHED)
  assert.is(await waiting.closed(), '')
  await isAborted
  assert.equal(await readdir(world.parentDir), [])
  await world.proxy.close()
})

test('only this user gets to the socket on the host, and any user through the mount', async () => {
  await using world = await openProxy()
  const { socketDir, env } = world.proxy.attachment()
  const mode = async (path: string): Promise<number> => (await lstat(path)).mode & 0o777
  assert.is(await mode(dirname(socketDir)), 0o700)
  assert.is(await mode(socketDir), 0o755)
  assert.is(await mode(world.proxy.socketPath), 0o666)
  assert.equal(await readdir(socketDir), ['proxy.sock'])
  assert.equal(Object.keys(env).sort(), ['HTTPS_PROXY', 'HTTP_PROXY', 'NO_PROXY', 'http_proxy', 'https_proxy', 'no_proxy'])
  assert.is(env['https_proxy'], 'http://127.0.0.1:3128')
})

test('a folder whose path no socket can have, and domains that cannot be meant, are said before anything runs', async () => {
  await using world = await openProxy()
  const refused = (code: string, options: Partial<Parameters<typeof ContainerProxy.open>[0]>): Promise<void> => ContainerProxy.open({ allow: [REACHABLE], maxBytes: 1, parentDir: world.parentDir, ...options })
    .then(() => assert.unreachable(), (err: { code: string }) => { assert.is(err.code, code) })
  const deep = `${world.parentDir}/${'d'.repeat(90)}`
  await mkdir(deep)
  await refused('E_NET_SOCKET', { parentDir: deep })
  assert.equal(await readdir(deep), [])
  await refused('E_NET_ALLOW', { allow: ['10.0.0.1'] })
  await refused('E_NET_ALLOW', { maxBytes: -1 })
})

test.run()

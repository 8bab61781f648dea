import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { HearthError } from '../../src/errors.ts'
import { API_VERSION, MAX_CALLS_A_CLIENT, MAX_CLIENTS, MAX_REQUEST_BYTES } from '../../node/api/limits.ts'
import { PARAMETERS } from '../../node/api/methods.ts'
import { ApiServer } from '../../node/api/server.ts'
import { socketPath } from '../../node/api/socket-path.ts'
import { RemoteApi } from '../../node/client/remote-api.ts'
import { ApiFixture, RawClient } from '../helpers/api-server.ts'
import { FakeApi, JOBS, PEERS } from '../helpers/fake-api.ts'
import type { Timestamped } from '../../node/api/contract.ts'

interface ErrorFrame { id?: number, error?: { code: string, message: string, hint: string } }
interface ResultFrame { id: number, result?: unknown }
interface ItemFrame { id: number, item?: unknown, end?: true }

const test = suite<{ open: ApiFixture }>('local socket')
test.before.each(async (context) => { context.open = await ApiFixture.open() })
test.after.each(async ({ open }) => open.close())

const notice = (i: number): Timestamped => ({ kind: 'bid', job: JOBS[0], peer: PEERS[0], wallMs: i })
const errorOf = (line: ErrorFrame): ErrorFrame['error'] | undefined => line.error

test('only its owner can reach it: mode 0600 in a folder of mode 0700', async ({ open }) => {
  assert.is((await stat(open.path)).mode & 0o777, 0o600)
  assert.is((await stat(dirname(open.path))).mode & 0o777, 0o700)
})

test('a folder that others could open is closed to them', async ({ open }) => {
  const dataDir = join(open.dataDir, 'other')
  await mkdir(join(dataDir, 'run'), { recursive: true, mode: 0o777 })
  const server = await ApiServer.listen({ path: socketPath(dataDir), version: '0.1.0' })
  assert.is((await stat(join(dataDir, 'run'))).mode & 0o777, 0o700)
  await server.close()
})

test('every method of the contract reaches the node, with what it was given', async ({ open }) => {
  const api = open.client()
  assert.is((await api.status()).peer, PEERS[0])
  assert.equal(await api.submit({ spec: { module: 'a.wasm' }, baseDir: '/tmp' }), { job: JOBS[0] })
  assert.is((await api.estimate({ spec: {}, baseDir: '/tmp' })).tasks, 64)
  assert.is((await api.jobs()).length, 3)
  assert.is((await api.job(JOBS[1])).tasks, 64)
  assert.is((await api.why('idle')).subject, 'idle')
  assert.is((await api.results({ job: JOBS[0], to: '/tmp/x', task: 3 })).to, '/tmp/x')
  await api.cancel(JOBS[0])
  await api.rate({ peer: PEERS[0], stars: 5 })
  assert.is((await api.peers()).length, 3)
  assert.is((await api.ads())[0]?.ad.region, 'eu-west')
  assert.is((await api.share()).slots, 4)
  assert.is((await api.setShare({ cores: 2 })).policy.cores, 2)
  await api.pause()
  await api.resume()
  assert.is((await api.doctor()).length, 2)
  assert.equal(await api.dial('/ip4/1.2.3.4/tcp/1'), { peer: PEERS[1] })
  assert.is((await api.images()).images.length, 1)
  assert.is((await api.removeImages({})).freedBytes, 8 * 2 ** 20)
  assert.match((await api.signImage({ image: `alpine@sha256:${'a1'.repeat(32)}`, baseDir: '/' })).signature, /==$/)
  assert.is((await api.wallet()).chainId, 31_337)
  assert.is((await api.fund({ to: 'deposit', amountWei: '5' })).blockNumber, 43)
  assert.is((await api.withdraw({ from: 'earnings' })).step, 'asked')
  assert.is((await api.claimRefunds()).refunds.length, 1)
  assert.is((await api.tickets()).received.wins, 12)
  assert.is((await api.earnings()).forecast?.basisDays, 3)
  assert.is((await api.price()).unitMs, 1000)
  assert.is((await api.setPrice({ coreHourWei: '7' })).coreHourWei, '7')
  assert.is((await api.caps()).peers.length, 1)
  await api.setCaps({ dayWei: null })
  assert.is((await api.bill(JOBS[0])).total.tickets, 60)
  await api.shutdown({ withinMs: 10 })
  for await (const _ of api.logs({ job: JOBS[0], stream: 'both', follow: false })) assert.unreachable('no logs yet')
  for await (const _ of api.events({ job: JOBS[1] })) assert.unreachable('nothing happened')
  assert.equal([...new Set(open.api.calls)].sort(), Object.keys(PARAMETERS).sort())
  assert.equal(open.api.given['rate'], { peer: PEERS[0], stars: 5 })
  assert.equal(open.api.given['fund'], { to: 'deposit', amountWei: '5' })
  assert.equal(open.api.given['setCaps'], { dayWei: null })
})

test('an error of the node arrives in its one shape', async ({ open }) => {
  open.api.failing.set('jobs', new HearthError('E_TEST_CASE', 'what happened', 'what to do'))
  const err = await open.client().jobs().catch((caught: unknown) => caught)
  assert.instance(err, HearthError)
  assert.equal((err as HearthError).toJSON(), { code: 'E_TEST_CASE', message: 'what happened', hint: 'what to do' })
})

test('a second node on the same folder is refused, and the first goes on', async ({ open }) => {
  const err = await ApiServer.listen({ path: open.path, version: '0.1.0' }).catch((caught: unknown) => caught)
  assert.is((err as HearthError).code, 'E_NODE_RUNNING')
  assert.match((err as HearthError).hint, 'hearth stop')
  assert.is((await open.client().status()).peer, PEERS[0])
})

/** A socket file whose process was killed. */
async function leaveStale(path: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 })
  const child = spawn(process.execPath, ['-e', 'require("net").createServer().listen(process.argv[1], () => console.log("up"))', path], { stdio: ['ignore', 'pipe', 'inherit'] })
  await once(child.stdout, 'data')
  child.kill('SIGKILL')
  await once(child, 'exit')
  await stat(path)
}

test('a socket that a killed node left behind is taken over', async ({ open }) => {
  const path = socketPath(join(open.dataDir, 'killed'))
  await leaveStale(path)
  const server = await ApiServer.listen({ path, version: '0.1.0' })
  server.serve(open.api)
  const client = new RemoteApi(path)
  assert.is((await client.status()).peer, PEERS[0])
  await client.close()
  await server.close()
})

test('of many nodes that start at once over a dead socket exactly one gets it', async ({ open }) => {
  const path = socketPath(join(open.dataDir, 'race'))
  for (let round = 0; round < 5; round++) {
    await leaveStale(path)
    const started = await Promise.allSettled(Array.from({ length: 8 }, () => ApiServer.listen({ path, version: '0.1.0' })))
    const servers = started.flatMap((one) => one.status === 'fulfilled' ? [one.value] : [])
    const codes = started.flatMap((one) => one.status === 'rejected' ? [(one.reason as HearthError).code] : [])
    assert.is(servers.length, 1)
    assert.equal(codes, Array.from({ length: 7 }, () => 'E_NODE_RUNNING'))
    servers[0]!.serve(open.api)
    const client = new RemoteApi(path)
    assert.is((await client.status()).peer, PEERS[0])
    await client.close()
    await servers[0]!.close()
  }
})

test('a lock that a crash left in the middle of starting is broken', async ({ open }) => {
  const path = socketPath(join(open.dataDir, 'locked'))
  await mkdir(`${path}.lock`, { recursive: true })
  const longAgo = new Date(Date.now() - 60_000)
  await utimes(`${path}.lock`, longAgo, longAgo)
  const server = await ApiServer.listen({ path, version: '0.1.0' })
  await server.close()
})

test('a plain file in the socket\'s place is not mistaken for a node', async ({ open }) => {
  const path = socketPath(join(open.dataDir, 'file'))
  await mkdir(dirname(path), { recursive: true, mode: 0o700 })
  await writeFile(path, 'not a socket')
  const server = await ApiServer.listen({ path, version: '0.1.0' })
  await server.close()
})

test('a data folder with a long path gets a short socket in a private folder', async ({ open }) => {
  const dataDir = join(open.dataDir, 'x'.repeat(120))
  const path = socketPath(dataDir)
  assert.ok(Buffer.byteLength(path) <= 100, path)
  assert.is(path, socketPath(dataDir))
  assert.is.not(path, socketPath(`${dataDir}y`))
  const server = await ApiServer.listen({ path, version: '0.1.0' })
  assert.is((await stat(dirname(path))).mode & 0o777, 0o700)
  await server.close()
})

test('garbage is answered once with an error, and only its sender is cut off', async ({ open }) => {
  const pieces = ['GET / HTTP/1.1\r\n\r\n', '{"id":1\n', '[]\n', 'null\n', '{"id":-1,"method":"status"}\n', '{"id":1,"method":"status","extra":1}\n', '{"id":"x","method":"status"}\n', `${'['.repeat(100_000)}\n`, '\u0000\u0001\u0002\n', `${'{"a":'.repeat(50_000)}1${'}'.repeat(50_000)}\n`]
  for (const piece of pieces) {
    const raw = await open.raw()
    raw.socket.write(piece)
    const error = await raw.until(errorOf)
    assert.is(error.code, 'E_API_FRAME', piece.slice(0, 40))
    await raw.untilClosed()
  }
  assert.equal(open.api.calls, [])
  assert.is((await open.client().status()).peer, PEERS[0])
})

test('random bytes never take it down', async ({ open }) => {
  let seed = 7
  const random = (): number => { seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648; return seed }
  for (let i = 0; i < 100; i++) {
    const raw = await open.raw()
    const bytes = Buffer.from(Array.from({ length: random() % 2000 }, () => random() % 256))
    raw.socket.end(Buffer.concat([bytes, Buffer.from('\n')]))
    await raw.untilClosed()
  }
  assert.is((await open.client().status()).peer, PEERS[0])
})

test('an endless line is refused before it is held', async ({ open }) => {
  const raw = await open.raw()
  const chunk = Buffer.alloc(1024 * 1024, 'a')
  const feed = (): void => { while (!raw.closed && raw.socket.writable && raw.socket.write(chunk)); }
  raw.socket.on('drain', feed)
  feed()
  assert.match((await raw.until(errorOf)).message, String(MAX_REQUEST_BYTES))
  await raw.untilClosed()
  assert.is((await open.client().status()).peer, PEERS[0])
})

test('wrong methods and parameters are told, and the node is not called', async ({ open }) => {
  const raw = await open.raw()
  const wrong: [string, unknown][] = [
    ['nothing', undefined], ['constructor', undefined], ['__proto__', undefined], ['toString', undefined], ['close', undefined],
    ['status', {}], ['jobs', 'x'], ['job', undefined], ['job', 7], ['job', ''], ['job', 'x'.repeat(5000)], ['submit', { spec: {} }], ['submit', { spec: {}, baseDir: 'relative' }],
    ['logs', { job: 'x', stream: 'all', follow: true }], ['logs', { job: 'x', stream: 'both' }], ['logs', { job: 'x', stream: 'both', follow: true, task: -1 }],
    ['results', { job: 'x', to: 'relative' }], ['results', { job: 'x', to: '/tmp', unverified: 'yes' }], ['rate', { peer: 'x', stars: 6 }], ['rate', { peer: 'x', stars: 2.5 }], ['rate', { stars: 2 }],
    ['setShare', { cores: -1 }], ['setShare', { unknown: 1 }], ['setShare', { memoryBytes: '8GiB' }], ['setShare', { allow: ['nobody'] }], ['events', { job: 1 }], ['events', undefined], ['dial', null], ['shutdown', { withinMs: -1 }], ['shutdown', undefined]
  ]
  for (const [i, [method, params]] of wrong.entries()) {
    raw.send({ id: i, method, params })
    const { error } = await raw.until((line: ErrorFrame) => line.id === i ? line : false)
    assert.ok(error?.code === 'E_API_PARAMS' || error?.code === 'E_API_METHOD', `${method} ${JSON.stringify(params)}: ${JSON.stringify(error)}`)
    assert.ok(error.message.length > 0 && error.hint.length > 0)
  }
  assert.equal(open.api.calls, [])
})

test('a client that closes its half still gets its answer', async ({ open }) => {
  const raw = await open.raw(true)
  raw.socket.end('{"id":1,"method":"jobs"}\n{"id":2,"method":"status"}')
  await raw.until((line: ResultFrame) => line.id === 1 && line.result !== undefined)
  await raw.until((line: ResultFrame) => line.id === 2 && line.result !== undefined)
})

test('a stream whose client died is given up, though nothing happens on it', async ({ open }) => {
  const raw = await open.raw()
  raw.send({ id: 1, method: 'events', params: {} })
  raw.send({ id: 2, method: 'status' })
  await raw.until((line: ResultFrame) => line.id === 2)
  assert.is(open.api.readers, 1)
  raw.socket.destroy()
  // the answer to a later client comes after the closing was seen
  const client = open.client()
  while (open.api.readers > 0) await client.status()
  assert.equal(open.api.returned, ['all'])
})

test('a stream sends no more than its window, until it is allowed to', async ({ open }) => {
  const raw = await open.raw()
  raw.send({ id: 1, method: 'events', params: {}, window: 8 })
  raw.send({ id: 2, method: 'status' })
  await raw.until((line: ResultFrame) => line.id === 2)
  for (let i = 0; i < 100; i++) open.api.publish(notice(i))
  raw.send({ id: 3, method: 'status' })
  await raw.until((line: ResultFrame) => line.id === 3)
  const items = (): number => raw.lines.filter((line) => (line as ItemFrame).item !== undefined).length
  assert.is(items(), 8)
  raw.send({ id: 1, more: 4 })
  await raw.until(() => items() >= 12)
  raw.send({ id: 4, method: 'status' })
  await raw.until((line: ResultFrame) => line.id === 4)
  assert.is(items(), 12)
  raw.send({ id: 1, cancel: true })
  await raw.until((line: ItemFrame) => line.id === 1 && line.end === true)
  assert.is(open.api.readers, 0)
})

test('a reader that stops reading is told so in the end, and others do not notice', async ({ open }) => {
  const raw = await open.raw()
  raw.send({ id: 1, method: 'events', params: {}, window: 1 })
  raw.send({ id: 2, method: 'status' })
  await raw.until((line: ResultFrame) => line.id === 2)
  for (let i = 0; i < 10_000; i++) open.api.publish(notice(i))
  assert.is(open.api.readers, 0)
  assert.is((await open.client().status()).peer, PEERS[0])
  for (let i = 10; i < 20; i++) {
    raw.send({ id: 1, more: 1000 })
    raw.send({ id: i, method: 'status' })
    await raw.until((line: ResultFrame) => line.id === i)
  }
  assert.is((await raw.until((line: ErrorFrame) => line.id === 1 ? line.error : undefined)).code, 'E_SLOW_READER')
})

test('a client that never reads does not fill the node\'s memory', async ({ open }) => {
  const raw = await open.raw()
  raw.socket.pause()
  open.api.jobList = Array.from({ length: 2000 }, (_, i) => ({ ...open.api.jobList[0]!, id: `${JOBS[0]}${i}` }))
  const client = open.client()
  for (let i = 0; i < 400; i += 10) {
    for (let j = 0; j < 10; j++) raw.send({ id: i + j, method: 'jobs' })
    await client.status()
  }
  // an answer has half a MiB: it is read from only until 16 MiB wait for it
  const made = open.api.calls.filter((name) => name === 'jobs').length
  assert.ok(made > 10 && made < 100, `${made} answers were made`)
})

test('a client with too many calls open is refused those, not the others', async ({ open }) => {
  const raw = await open.raw()
  for (let i = 0; i < MAX_CALLS_A_CLIENT + 5; i++) raw.send({ id: i, method: 'events', params: {} })
  const { error } = await raw.until((line: ErrorFrame) => line.id === MAX_CALLS_A_CLIENT ? line : false)
  assert.is(error?.code, 'E_API_BUSY')
  assert.is(open.api.readers, MAX_CALLS_A_CLIENT)
})

test('a client too many is refused with a reason', async ({ open }) => {
  for (let i = 0; i < MAX_CLIENTS; i++) await (await open.raw()).until((line: { hearth?: string }) => line.hearth)
  const one = await open.raw()
  assert.is((await one.until(errorOf)).code, 'E_API_BUSY')
  const err = await open.client().status().catch((caught: unknown) => caught)
  assert.is((err as HearthError).code, 'E_API_BUSY')
})

test('many clients are served at once', async ({ open }) => {
  const answers = await Promise.all(Array.from({ length: 60 }, async () => {
    const client = open.client()
    const jobs = await Promise.all(Array.from({ length: 20 }, () => client.jobs()))
    await client.close()
    return jobs.length
  }))
  assert.equal(answers, Array.from({ length: 60 }, () => 20))
})

test('calls that come before the node has started wait for it', async ({ open }) => {
  const path = socketPath(join(open.dataDir, 'early'))
  const server = await ApiServer.listen({ path, version: '0.1.0' })
  const client = new RemoteApi(path)
  const early = client.status()
  const api = new FakeApi()
  server.serve(api)
  assert.is((await early).peer, PEERS[0])
  await client.close()
  await server.close()
})

test('calls that wait for a node that fails to start are told why', async ({ open }) => {
  const path = socketPath(join(open.dataDir, 'failed'))
  const server = await ApiServer.listen({ path, version: '0.1.0' })
  const client = new RemoteApi(path)
  const early = client.status().catch((caught: unknown) => caught)
  server.fail(new HearthError('E_STORE_NEWER', 'the store is newer', 'use the newer hearth'))
  assert.is((await early as HearthError).code, 'E_STORE_NEWER')
  await client.close()
  await server.close()
})

test('closing lets the answer under way leave, and takes the socket away', async ({ open }) => {
  const dataDir = await mkdtemp(join(tmpdir(), 'hearth-api-'))
  const path = socketPath(dataDir)
  const server = await ApiServer.listen({ path, version: '0.1.0' })
  const api = new FakeApi()
  const gate = Promise.withResolvers<void>()
  const entered = Promise.withResolvers<void>()
  api.shutdown = async () => { entered.resolve(); await gate.promise }
  server.serve(api)
  const client = new RemoteApi(path)
  const events = client.events({})[Symbol.asyncIterator]()
  const next = events.next()
  const answer = client.shutdown({ withinMs: 1 })
  await entered.promise
  const closing = server.close()
  gate.resolve()
  await answer
  await closing
  assert.is((await next).done, true)
  assert.is(await stat(path).catch(() => 'gone'), 'gone')
  await client.close()
  await rm(dataDir, { recursive: true })
  assert.is(open.server.clients, 0)
})

test('what answers there and is no node is recognised', async ({ open }) => {
  const path = join(open.dataDir, 'other.sock')
  const server = createServer((socket) => { socket.on('error', () => {}); socket.write('220 mail.example ESMTP\r\n') })
  server.listen(path)
  await once(server, 'listening')
  const client = new RemoteApi(path)
  assert.is((await client.status().catch((caught: unknown) => caught) as HearthError).code, 'E_API_FRAME')
  await client.close()
  server.close()
})

test('a node of another version of the protocol is refused with a hint', async ({ open }) => {
  const path = join(open.dataDir, 'newer.sock')
  const server = createServer((socket) => { socket.on('error', () => {}); socket.write('{"hearth":"9.0.0","api":9}\n') })
  server.listen(path)
  await once(server, 'listening')
  const client = new RemoteApi(path)
  const err = await client.status().catch((caught: unknown) => caught) as HearthError
  assert.is(err.code, 'E_API_VERSION')
  assert.match(err.message, '9.0.0')
  await client.close()
  server.close()
})

test('the raw helper sees the greeting first', async ({ open }) => {
  const raw = await RawClient.open(open.path, false)
  open.raws.push(raw)
  assert.equal(await raw.until((line: { hearth?: string }) => line.hearth === undefined ? false : line), { hearth: '0.1.0', api: API_VERSION })
})

test.run()

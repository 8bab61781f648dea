/** Services that answer badly, slowly or not at all: one error code, and never a crash. */
import { createServer } from 'node:http'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { ChainClient, keySigner, memoryStore } from '../../node/chain/index.ts'
import { ChainRpc } from '../../node/chain/rpc.ts'
import { Snapshots } from '../../node/chain/snapshots.ts'
import { HearthError } from '../../src/errors.ts'

type Handler = (body: string, response: ServerResponse) => void

async function served<T>(handler: Handler, use: (url: string, server: Server) => Promise<T>): Promise<T> {
  const server = createServer((incoming: IncomingMessage, response) => {
    const chunks: Buffer[] = []
    incoming.on('data', (chunk: Buffer) => { chunks.push(chunk) })
    incoming.on('end', () => { handler(Buffer.concat(chunks).toString(), response) })
  })
  await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', resolve) })
  try {
    return await use(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, server)
  } finally {
    server.closeAllConnections()
    await new Promise<void>((resolve) => { server.close(() => { resolve() }) })
  }
}

async function opened(rpcUrl: string, timeoutMs?: number): Promise<string> {
  try {
    const client = await ChainClient.open({ rpcUrl, chainId: 1, contract: `0x${'11'.repeat(20)}`, confirmations: 0, signer: keySigner(`0x${'01'.repeat(32)}`), secrets: { rand: () => new Uint8Array(32) }, store: memoryStore(), ...timeoutMs === undefined ? {} : { timeoutMs } })
    await client.close()
    return 'opened'
  } catch (err) {
    assert.ok(err instanceof HearthError, String(err))
    return err.code
  }
}

const answers = (result: unknown): Handler => (body, response) => {
  const calls = JSON.parse(body) as { id: number }[]
  response.end(JSON.stringify(calls.map(({ id }) => ({ jsonrpc: '2.0', id, result }))))
}

test('whatever a service answers that is not what was asked is told as the service\'s fault', async () => {
  const bad: Record<string, Handler> = {
    'a page of HTML': (_, response) => { response.statusCode = 502; response.end('<html>Bad gateway</html>') },
    'nothing': (_, response) => { response.end() },
    'a cut connection': (_, response) => { response.destroy() },
    'a cut answer': (_, response) => { response.write('[{"jsonrpc":'); response.destroy() },
    'a redirect': (_, response) => { response.writeHead(302, { location: 'http://127.0.0.1:1/' }); response.end() },
    'an empty batch': (_, response) => { response.end('[]') },
    'null': (_, response) => { response.end('null') },
    'a refusal of batches': (_, response) => { response.end('{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"no \\u0007 batches"}}') },
    'the wrong ids': (_, response) => { response.end('[{"jsonrpc":"2.0","id":"x","result":"0x1"}]') },
    'text for numbers': answers('hello'),
    'objects for numbers': answers({ a: 1 }),
    'null for numbers': answers(null)
  }
  for (const [name, handler] of Object.entries(bad)) assert.equal([name, await served(handler, (url) => opened(url))], [name, 'E_CHAIN_RPC'])
})

test('a service that never answers is given up', async () => {
  assert.is(await served(() => undefined, (url) => opened(url, 50)), 'E_CHAIN_RPC')
})

test('an answer without an end is cut off', async () => {
  const chunk = Buffer.alloc(1024 * 1024, 0x20)
  const handler: Handler = (_, response) => {
    const pour = (): void => { while (!response.destroyed && response.write(chunk)); }
    response.on('drain', pour)
    response.on('error', () => undefined)
    pour()
  }
  assert.is(await served(handler, (url) => opened(url)), 'E_CHAIN_RPC')
})

test('long lists of calls go out in parts, and each answer finds its call whatever their order', async () => {
  const sizes: number[] = []
  const handler: Handler = (body, response) => {
    const parsed = JSON.parse(body) as { id: number, params: number[] } | { id: number, params: number[] }[]
    const calls = Array.isArray(parsed) ? parsed : [parsed]
    sizes.push(calls.length)
    response.end(JSON.stringify(calls.map(({ id, params }) => ({ jsonrpc: '2.0', id, result: params[0] })).reverse()))
  }
  await served(handler, async (url) => {
    const rpc = new ChainRpc(url)
    const found = await rpc.batch(Array.from({ length: 101 }, (_, i) => ({ method: 'echo', params: [i] })))
    assert.equal(found.map((answer) => answer.ok ? answer.value : undefined), Array.from({ length: 101 }, (_, i) => i))
    rpc.close()
  })
  assert.equal(sizes, [50, 50, 1])
})

test('a user and password in the address are sent as such', async () => {
  let said: string | undefined
  const server = createServer((incoming, response) => {
    said = incoming.headers.authorization
    response.end('{"jsonrpc":"2.0","id":1,"result":"0x1"}')
  })
  await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', resolve) })
  const rpc = new ChainRpc(`http://me:p%40ss@127.0.0.1:${(server.address() as AddressInfo).port}`)
  assert.is(await rpc.ask('eth_chainId'), '0x1')
  assert.is(Buffer.from(said?.replace('Basic ', '') ?? '', 'base64').toString(), 'me:p@ss')
  server.closeAllConnections()
  await new Promise<void>((resolve) => { server.close(() => { resolve() }) })
})

test('accounts that are watched are bounded in number', () => {
  const snapshots = new Snapshots({ rpc: new ChainRpc('http://127.0.0.1:1'), contract: `0x${'11'.repeat(20)}`, confirmations: 0, staleAfterMs: 1, nowMs: () => 0 })
  for (let i = 0; i < 1000; i++) snapshots.add(`0x${i.toString(16).padStart(40, '0')}`)
  assert.is(snapshots.size, 512)
})

test.run()

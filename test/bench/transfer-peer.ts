/** One of the two processes of transfer.bench.ts: a source or a reader, told what to do by messages. */
import { randomFillSync } from 'node:crypto'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { multiaddr } from '@multiformats/multiaddr'
import { ContentStore } from '../../node/content/index.ts'
import { Transfer } from '../../protocols/transfer/index.ts'
import { createTestNode } from '../helpers/libp2p.ts'
import type { PeerId, Stream } from '@libp2p/interface'

export type Command =
  | { kind: 'import', mib: number }
  | { kind: 'dial', address: string }
  | { kind: 'raw', bytes: number }
  | { kind: 'fetch', cid: string, paced: boolean, ping: boolean }
  | { kind: 'ping', count: number }
  | { kind: 'tiny' }
  | { kind: 'usage' }
  | { kind: 'stop' }

export interface Reply {
  address?: string
  cid?: string
  ms?: number
  pingsMs?: number[]
  maxRssMib?: number
  cpuMs?: number
}

const RAW_PROTOCOL = '/hearth/bench-raw/1'
const MIB = 1024 * 1024

const dir = process.argv[2] ?? ''
const node = await createTestNode()
const store = await ContentStore.open({ dir: join(dir, 'store'), quotaBytes: 64 * 1024 ** 3, minFreeDiskBytes: 0 })
const transfer = await Transfer.start({ network: node, store, authorize: () => true, paced: false })
let peer: PeerId | undefined

/** The baseline: as many bytes as asked for over one libp2p stream in sends of 1 MiB, waiting for drain, as fast as it goes. */
async function sendRaw(stream: Stream): Promise<void> {
  const bytes = await new Promise<number>((resolve) => {
    stream.addEventListener('message', (event) => { resolve(Number(new TextDecoder().decode(event.data.subarray()))) }, { once: true })
  })
  const chunk = randomFillSync(new Uint8Array(MIB))
  for (let sent = 0; sent < bytes; sent += MIB) {
    if (!stream.send(chunk)) await new Promise((resolve) => { stream.addEventListener('drain', resolve, { once: true }) })
  }
  await stream.close()
}
await node.handle(RAW_PROTOCOL, (stream) => { void sendRaw(stream) })

async function readRaw(from: PeerId, bytes: number): Promise<number> {
  const stream = await node.dialProtocol(from, RAW_PROTOCOL)
  const startedMs = performance.now()
  const all = new Promise<void>((resolve) => {
    let read = 0
    stream.addEventListener('message', (event) => {
      read += event.data.byteLength
      if (read >= bytes) resolve()
    })
  })
  stream.send(new TextEncoder().encode(String(bytes)))
  await all
  const ms = performance.now() - startedMs
  await stream.close()
  return ms
}

async function pingUntil(from: PeerId, isOver: () => boolean): Promise<number[]> {
  const pingsMs: number[] = []
  while (!isOver()) {
    // the ping before may still be closing its stream, of which there may be one
    await node.services.ping.ping(from).then((ms) => { pingsMs.push(ms) }, () => {})
    await new Promise((resolve) => { setTimeout(resolve, 10) })
  }
  return pingsMs
}

async function fetchFrom(from: PeerId, cid: string, paced: boolean, ping: boolean): Promise<Reply> {
  let over = false
  const startedMs = performance.now()
  const pings = ping ? pingUntil(from, () => over) : Promise.resolve([])
  const outcome = await transfer.fetchContent({ cid, from: [from], maxBytes: 64 * 1024 ** 3, paced })
  const ms = performance.now() - startedMs
  over = true
  if (!outcome.ok) throw new Error(`${outcome.code} ${outcome.message}`)
  return { ms, pingsMs: await pings }
}

async function importRandom(mib: number): Promise<string> {
  const path = join(dir, 'content')
  const handle = await open(path, 'w')
  const chunk = new Uint8Array(MIB)
  for (let i = 0; i < mib; i++) await handle.write(randomFillSync(chunk))
  await handle.close()
  return (await store.importFile(path)).cid
}

async function perform(command: Command): Promise<Reply> {
  switch (command.kind) {
    case 'import': return { cid: await importRandom(command.mib) }
    case 'dial': {
      peer = (await node.dial(multiaddr(command.address))).remotePeer
      return {}
    }
    case 'raw': return peer === undefined ? {} : { ms: await readRaw(peer, command.bytes) }
    case 'fetch': return peer === undefined ? {} : fetchFrom(peer, command.cid, command.paced, command.ping)
    case 'ping': {
      let left = command.count
      return peer === undefined ? {} : { pingsMs: await pingUntil(peer, () => left-- === 0) }
    }
    case 'tiny': return { cid: (await store.importTree([{ path: 'out/a', bytes: randomFillSync(new Uint8Array(300)) }, { path: 'stdout', bytes: new Uint8Array(40) }])).cid }
    case 'usage': {
      const { user, system } = process.cpuUsage()
      return { maxRssMib: process.resourceUsage().maxRSS / 1024, cpuMs: (user + system) / 1000 }
    }
    case 'stop': {
      await transfer.stop()
      await store.close()
      await node.stop()
      return {}
    }
  }
}

process.on('message', (command: Command) => {
  void perform(command).then((reply) => {
    process.send?.(reply, () => { if (command.kind === 'stop') process.disconnect() })
  }, (err: unknown) => {
    console.error(err)
    process.exit(1)
  })
})
process.on('disconnect', () => { process.exit() })
process.send?.({ address: node.getMultiaddrs()[0]?.toString() ?? '' } satisfies Reply)

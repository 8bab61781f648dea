/** `hearth devnet` and `hearth deploy` as a person runs them: processes of their own. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { ChainClient, keySigner, memoryStore } from '../../node/chain/index.ts'
import { devAccounts } from '../../node/chain/devnet.ts'
import { nodeKeys, storeSeed } from '../../node/keys/index.ts'

const PROGRAM = join(import.meta.dirname, '../../bin/hearth.js')
const SEED = new Uint8Array(32).fill(7)
const ETH = 10n ** 18n
const test = suite<{ dir: string }>('devnet and deploy')
test.before(async (context) => { context.dir = await mkdtemp(join(tmpdir(), 'hearth-devnet-')) })
test.after(async ({ dir }) => rm(dir, { recursive: true }))

interface Running { said: { rpcUrl: string, chainId: number, contract: string, config: string, accounts: { privateKey: string }[] }, stop(): Promise<number> }

async function devnet(dir: string, ...words: string[]): Promise<Running> {
  const child = spawn(process.execPath, [PROGRAM, 'devnet', '--dir', join(dir, 'chain'), '--json', ...words], { stdio: ['ignore', 'pipe', 'inherit'] })
  const exited = once(child, 'exit')
  const line = await Promise.race([once(createInterface(child.stdout), 'line'), exited])
  if (typeof line[0] !== 'string') throw new Error(`devnet ended with ${String(line[0])}`)
  return { said: JSON.parse(line[0]) as Running['said'], stop: async () => { child.kill('SIGINT'); return (await exited)[0] as number } }
}

async function hearth(...words: string[]): Promise<{ code: number, text: string, error: string }> {
  const child = spawn(process.execPath, [PROGRAM, ...words], { stdio: ['ignore', 'pipe', 'pipe'] })
  const parts = { out: '', err: '' }
  child.stdout.on('data', (chunk: Buffer) => { parts.out += chunk.toString() })
  child.stderr.on('data', (chunk: Buffer) => { parts.err += chunk.toString() })
  const [code] = await once(child, 'close') as [number]
  return { code, text: parts.out, error: parts.err }
}

async function holds({ rpcUrl, chainId, contract }: Running['said'], address: string): Promise<{ depositWei: bigint, bondWei: bigint, jobBondWei: bigint, delaySec: number }> {
  const client = await ChainClient.open({ rpcUrl, chainId, contract, confirmations: 0, signer: keySigner(devAccounts()[0]?.privateKey ?? ''), secrets: { rand: () => new Uint8Array(32) }, store: memoryStore() })
  try {
    return { ...await client.accounts.balances(address), delaySec: client.facts.terms.delaySec }
  } finally {
    await client.close()
  }
}

test('a local chain gives addresses money, also while it runs, and goes on where it was', async ({ dir }) => {
  const [, one, two] = devAccounts().map(({ address }) => address)
  assert.ok(one !== undefined && two !== undefined)
  const net = await devnet(dir, '--port', '0', '--fund', one)
  const { rpcUrl, contract, config } = net.said
  assert.match(config, contract)
  const funded = await holds(net.said, one)
  assert.equal([funded.depositWei, funded.bondWei, funded.jobBondWei], [10n * ETH, 5n * ETH, 5n * ETH])
  const port = new URL(rpcUrl).port
  const more = await hearth('devnet', '--dir', join(dir, 'chain'), '--port', port, '--fund', two)
  assert.is(more.code, 0, more.error)
  assert.is((await holds(net.said, two)).depositWei, 10n * ETH)
  const again = await hearth('devnet', '--dir', join(dir, 'chain'), '--port', port)
  assert.is(again.code, 1)
  assert.match(again.error, 'E_DEVNET_START')
  await net.stop()
  const next = await devnet(dir, '--port', port)
  try {
    assert.is(next.said.contract, contract)
    assert.is((await holds(next.said, two)).depositWei, 10n * ETH)
  } finally {
    await next.stop()
  }
})

test('a broker is deployed with the node\'s own key, on the terms asked for', async ({ dir }) => {
  const dataDir = join(dir, 'node')
  await storeSeed(SEED, { dataDir, passphrase: undefined })
  const { address } = await nodeKeys(SEED)
  const net = await devnet(dir, '--port', '0')
  try {
    const poor = await hearth('deploy', '--data-dir', dataDir, '--rpc', net.said.rpcUrl)
    assert.is(poor.code, 1)
    assert.match(poor.error, 'E_CHAIN_COIN')
    await hearth('devnet', '--dir', join(dir, 'chain'), '--port', new URL(net.said.rpcUrl).port, '--fund', address)
    const deployed = await hearth('deploy', '--data-dir', dataDir, '--rpc', net.said.rpcUrl, '--delay', '2d', '--json')
    assert.is(deployed.code, 0, deployed.error)
    const { contract, config } = JSON.parse(deployed.text) as { contract: string, config: string }
    assert.match(config, contract)
    assert.is((await holds({ ...net.said, contract }, address)).delaySec, 2 * 86_400)
  } finally {
    await net.stop()
  }
})

test('what no broker can have is refused before anything is asked', async ({ dir }) => {
  for (const words of [['deploy', '--rpc', 'http://127.0.0.1:1', '--delay', '91d'], ['deploy', '--rpc', 'http://127.0.0.1:1', '--delay', '1d', '--grace', '2d'], ['deploy', '--rpc', 'http://127.0.0.1:1', '--fee', '2'], ['deploy', '--rpc', 'http://127.0.0.1:1', '--fee', '6', '--fee-to', `0x${'1'.repeat(40)}`], ['deploy', '--rpc', 'http://127.0.0.1:1', '--token', '0x12'], ['deploy', '--data-dir', join(dir, 'nobody')], ['devnet', '--fund', 'me'], ['devnet', '--port', '70000']]) {
    const ran = await hearth(...words)
    assert.is(ran.code, 2, `${words.join(' ')}: ${ran.error}`)
    assert.match(ran.error, 'hint: ', words.join(' '))
  }
})

test.run()

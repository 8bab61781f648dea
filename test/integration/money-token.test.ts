/** A broker for a token, with a fee, deployed as a person does it; then a job paid through it. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Interface } from 'ethers'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { devAccounts } from '../../node/chain/devnet.ts'
import { nodeKeys, storeSeed } from '../../node/keys/index.ts'
import type { ClusterNode } from '../../node/demo/cluster.ts'
import { attackers } from '../contracts/attackers.ts'
import { ended, LENDS, LENDS_NOTHING, MODULES } from '../helpers/cluster.ts'
import { BrokerReader } from '../helpers/pay-chain.ts'
import { ETHER, PayWorld, SURE_WIN, untilBooks } from '../helpers/pay-world.ts'

const PROGRAM = join(import.meta.dirname, '../../bin/hearth.js')
const SEED = new Uint8Array(32).fill(9)
const FEE_TO = `0x${'fe'.repeat(20)}`
const WORK = { engine: 'wasm', module: './compute.wasm', args: ['4'], outputs: ['values.bin'], resources: { cores: 1, memory: '64 MiB' }, map: { range: [0, 4] } }

async function hearth(...words: string[]): Promise<{ code: number, text: string }> {
  const child = spawn(process.execPath, [PROGRAM, ...words], { stdio: ['ignore', 'pipe', 'inherit'] })
  let text = ''
  child.stdout.on('data', (chunk: Buffer) => { text += chunk.toString() })
  const [code] = await once(child, 'close') as [number]
  return { code, text }
}

/** Of each account, coin for gas and tokens to pay with. */
async function endow({ chain }: PayWorld, token: string, abi: Interface, address: string): Promise<void> {
  await chain.rpc('anvil_setBalance', [address, '0xde0b6b3a7640000'])
  await chain.rpc('eth_sendTransaction', [{ from: devAccounts()[0]!.address, to: token, data: abi.encodeFunctionData('mint', [address, 10n * ETHER]) }])
}

test('a broker of a token with a fee is deployed by command, and pays for a job: the fee and the host\'s share make the winners', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'hearth-token-'))
  const world = await PayWorld.open()
  try {
    const { PlainToken } = attackers('PlainToken')
    const abi = new Interface(PlainToken!.abi)
    const sent = await world.chain.rpc<string>('eth_sendTransaction', [{ from: devAccounts()[0]!.address, data: PlainToken!.bytecode, gas: '0x400000' }])
    const token = (await world.chain.rpc<{ contractAddress: string }>('eth_getTransactionReceipt', [sent])).contractAddress
    const dataDir = join(dir, 'deployer')
    await storeSeed(SEED, { dataDir, passphrase: undefined })
    await endow(world, token, abi, (await nodeKeys(SEED)).address)
    const deployed = await hearth('deploy', '--data-dir', dataDir, '--rpc', world.chain.rpcUrl, '--token', token, '--fee', '1', '--fee-to', FEE_TO, '--json')
    assert.is(deployed.code, 0, deployed.text)
    const { contract } = JSON.parse(deployed.text) as { contract: string }
    const flags = [...world.flags.filter((flag) => !flag.startsWith('--payment.contract=')), `--payment.contract=${contract}`]
    const you = await world.cluster.start({ name: 'you', flags: [...LENDS_NOTHING, ...flags] })
    const host = await world.cluster.start({ name: 'host', flags: [...LENDS, ...flags, ...SURE_WIN], bootstrap: [you.address] })
    const fund = async (node: ClusterNode, buckets: readonly ('deposit' | 'bond' | 'jobs')[]): Promise<string> => {
      const { address } = await node.api.status()
      await endow(world, token, abi, address)
      for (const to of buckets) await node.api.fund({ to, amountWei: ETHER.toString() })
      return address
    }
    await fund(you, ['deposit', 'bond'])
    const earner = await fund(host, ['jobs'])
    assert.equal((await you.api.wallet()).asset, { kind: 'token', symbol: 'PLN', decimals: 18 })
    const { job } = await you.api.submit({ spec: WORK, baseDir: MODULES })
    assert.is((await ended(you, job)).state, 'done')
    const broker = new BrokerReader({ ...world.chain, contract })
    let wonWei = 0n
    await untilBooks(host, 'every winner is redeemed', async ({ recipients }) => {
      wonWei = recipients.reduce((sum, { wins, terms }) => sum + BigInt(wins) * terms.faceValueWei, 0n)
      return wonWei > 0n && recipients.every(({ closed }) => closed) && (await broker.holdings(earner)).creditWei + (await broker.holdings(FEE_TO)).creditWei === wonWei
    })
    const feeWei = (await broker.holdings(FEE_TO)).creditWei
    // rounded down a winner
    assert.ok(feeWei <= wonWei / 100n && feeWei > wonWei / 100n - 100n, `${feeWei} of ${wonWei}`)
  } finally {
    await world.close()
    await rm(dir, { recursive: true, force: true })
  }
})

test.run()

/** A chain on this computer: started, stopped, continued. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { parse } from 'yaml'
import { startDevnet } from '../../node/chain/devnet.ts'
import type { Devnet } from '../../node/chain/devnet.ts'
import { ChainClient, deploy, keySigner, memoryStore } from '../../node/chain/index.ts'
import type { ChainOptions } from '../../node/chain/index.ts'
import { HearthError } from '../../src/errors.ts'
import { ETHER } from '../helpers/chain.ts'

const dir = mkdtempSync(join(tmpdir(), 'hearth-devnet-'))
const HOST = keySigner(`0x${'0a'.repeat(32)}`)

test.after(() => { rmSync(dir, { recursive: true }) })

function clientOf({ rpcUrl, chainId, contract, confirmations }: Devnet, options: Partial<ChainOptions> = {}): Promise<ChainClient> {
  return ChainClient.open({ rpcUrl, chainId, contract, confirmations, signer: HOST, secrets: { rand: () => new Uint8Array(32) }, store: memoryStore(), pollMs: 20, ...options })
}

test('a devnet has its broker, gives accounts what they need, and says what to put into a config', async () => {
  const devnet = await startDevnet({ dir, blockTimeS: 0, accounts: [{ address: HOST.address }] })
  const client = await clientOf(devnet)
  const balances = await client.accounts.balances()
  assert.equal([balances.coinWei, balances.depositWei, balances.bondWei, balances.jobBondWei], [100n * ETHER, 10n * ETHER, 5n * ETHER, 5n * ETHER])
  const { payment } = parse(devnet.config) as { payment: Record<string, unknown> }
  assert.equal(payment, { mode: 'devnet', rpcUrl: devnet.rpcUrl, chainId: devnet.chainId, contract: devnet.contract, confirmations: 0 })
  await client.accounts.act({ kind: 'add', bucket: 'deposit', amountWei: ETHER })
  await client.close()
  await devnet.stop()
})

test('a devnet that is started again has the same broker and the same money, and gives nothing twice', async () => {
  const devnet = await startDevnet({ dir, blockTimeS: 0, accounts: [{ address: HOST.address, coinWei: 0n }] })
  const client = await clientOf(devnet, { confirmations: 1 })
  const { snapshot } = await client.watch(HOST.address)
  assert.equal([snapshot.depositWei, snapshot.bondWei], [10n * ETHER, 5n * ETHER], 'the state of the block before the last can be read')
  assert.is((await client.accounts.balances()).depositWei, 11n * ETHER)
  await client.close()
  await devnet.stop()
})

test('a devnet whose state was lost gets a new broker; damaged facts are told, not guessed at', async () => {
  rmSync(join(dir, 'chain.json'))
  const devnet = await startDevnet({ dir, blockTimeS: 0 })
  const client = await clientOf(devnet)
  assert.is((await client.accounts.balances()).depositWei, 0n)
  await client.close()
  await devnet.stop()
  writeFileSync(join(dir, 'devnet.json'), '{ "chainId": 31337')
  try {
    await startDevnet({ dir, blockTimeS: 0 })
    assert.unreachable()
  } catch (err) {
    assert.ok(err instanceof HearthError)
    assert.is(err.code, 'E_DEVNET_STATE')
  }
})

test('blocks come by themselves, so that confirmations do', async () => {
  rmSync(dir, { recursive: true })
  const devnet = await startDevnet({ dir, blockTimeS: 1, accounts: [{ address: HOST.address }] })
  const client = await clientOf(devnet, { confirmations: 1 })
  const { blockNumber } = await client.accounts.act({ kind: 'add', bucket: 'bond', amountWei: 1n })
  assert.ok(client.status.state === 'down' || client.status.block.number >= blockNumber)
  await client.close()
  await devnet.stop()
})

test('terms that no broker can have are refused before anything is sent', async () => {
  const rpcUrl = 'http://127.0.0.1:1'
  const wrong = [{ delaySec: 0, graceSec: 1 }, { delaySec: 10, graceSec: 11 }, { delaySec: 100 * 86_400, graceSec: 1 }, { delaySec: 10, graceSec: 1, feeBps: 501, feeRecipient: HOST.address }, { delaySec: 10, graceSec: 1, feeBps: 5 }]
  for (const terms of wrong) {
    try {
      await deploy({ rpcUrl, kind: 'native', terms, signer: HOST })
      assert.unreachable()
    } catch (err) {
      assert.ok(err instanceof HearthError)
      assert.is(err.code, 'E_CHAIN_TERMS')
    }
  }
})

test.run()

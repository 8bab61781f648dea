/** What the chain client keeps through restarts, dead services, reorganisations and nonces that went astray. Real anvil, blocks by hand. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { ChainClient, memoryStore } from '../../node/chain/index.ts'
import type { ChainStatus, RedemptionReport } from '../../node/chain/index.ts'
import { RecordStore } from '../../node/store/record-store.ts'
import { HearthError } from '../../src/errors.ts'
import { ChainWorld, ETHER, GWEI, kinds, LossyRpc, OTHER, PAYEE, PAYER, reportsOf } from '../helpers/chain.ts'

let world: ChainWorld
let start: string
const dir = mkdtempSync(join(tmpdir(), 'hearth-chain-'))

test.before(async () => {
  world = await ChainWorld.start({ statePath: join(dir, 'chain.json') })
  start = await world.rpc('evm_snapshot')
})

test.before.each(async () => {
  await world.rpc('evm_revert', [start])
  await world.rpc('anvil_dropAllTransactions')
  start = await world.rpc('evm_snapshot')
  await world.mineAt(GWEI)
})

test.after(async () => {
  await world.stop()
  rmSync(dir, { recursive: true })
})

async function codeOf(opening: Promise<ChainClient>): Promise<string> {
  try {
    await (await opening).close()
    return 'opened'
  } catch (err) {
    assert.ok(err instanceof HearthError)
    assert.ok(err.hint !== '', 'every refusal says what to do')
    return err.code
  }
}

test('a client opens only where its chain and its contract are, and says what is wrong elsewhere', async () => {
  assert.is(await codeOf(world.client()), 'opened')
  assert.is(await codeOf(world.client({ chainId: 1 })), 'E_CHAIN_ID')
  assert.is(await codeOf(world.client({ contract: `0x${'12'.repeat(20)}` })), 'E_CHAIN_CONTRACT')
  assert.is(await codeOf(world.client({ contract: 'hello' })), 'E_CHAIN_ADDRESS')
  assert.is(await codeOf(world.client({ rpcUrl: 'ftp://127.0.0.1' })), 'E_CHAIN_URL')
  assert.is(await codeOf(world.client({ rpcUrl: 'http://127.0.0.1:1' })), 'E_CHAIN_RPC')
  assert.is(await codeOf(world.client({ rpcUrl: 'http://127.0.0.1:1' }, { mayBeDown: true })), 'opened')
  assert.is(await codeOf(world.client({ chainId: 1 }, { mayBeDown: true })), 'E_CHAIN_ID')
  // code, but none of ours
  await world.rpc('anvil_setCode', [`0x${'13'.repeat(20)}`, '0x00'])
  assert.is(await codeOf(world.client({ contract: `0x${'13'.repeat(20)}` })), 'E_CHAIN_CONTRACT')
})

test('an error never repeats the secrets that an RPC address may carry', async () => {
  try {
    await world.client({ rpcUrl: 'http://user:hunter2@127.0.0.1:1/v3/apikey?key=apikey' })
    assert.unreachable()
  } catch (err) {
    assert.ok(err instanceof HearthError)
    assert.not.match(JSON.stringify(err) + err.message, /hunter2|apikey/)
  }
})

test('a redemption goes on where it stood when the node stops between submission and confirmation', async () => {
  const store = memoryStore()
  const first = await world.client({ store })
  await first.redeem(await world.winner())
  await first.poll()
  assert.equal(first.pending, { winners: 1, transactions: 1 })
  await world.close(first)
  await world.mine(4)
  const second = await world.client({ store }, {})
  const reports = reportsOf(second)
  await second.poll()
  // the first look, in open, may have found it already: then handing it over says so again
  assert.equal(second.pending, { winners: 0, transactions: 0 })
  assert.equal((await second.accounts.balances()).creditWei, ETHER / 10n)
  assert.is(await world.nonce(PAYEE.address), 1)
  assert.ok(reports.length <= 1)
  await world.close(second)
})

test('a transaction that was stored and never left is sent by the next run, the same one', async () => {
  const store = memoryStore()
  const proxy = await LossyRpc.start(world.anvil.url)
  proxy.drops = (method) => method === 'eth_sendRawTransaction'
  const first = await world.client({ store, rpcUrl: proxy.url })
  const before = reportsOf(first)
  const winner = await world.winner()
  await first.redeem(winner)
  await first.poll()
  assert.equal(kinds(before), ['submitted'])
  await world.close(first)
  await proxy.stop()
  const second = await world.client({ store, confirmations: 0 })
  const reports = reportsOf(second)
  await second.redeem(winner)
  await world.mine()
  await second.poll()
  assert.equal(kinds(reports), ['submitted', 'redeemed'])
  assert.equal(reports.map((report) => 'tx' in report ? report.tx : ''), before.concat(before).map((report) => 'tx' in report ? report.tx : ''))
  await world.close(second)
})

test('a transaction that the pools dropped is sent again, though the cap allows no higher fee', async () => {
  const client = await world.client({ confirmations: 0, gas: { maxFeePerGasWei: 3n * GWEI } })
  const reports = reportsOf(client)
  await client.redeem(await world.winner())
  await client.poll()
  await world.rpc('anvil_dropAllTransactions')
  for (let i = 0; i < 12; i++) {
    await world.mine()
    await client.poll()
  }
  assert.equal(kinds(reports), ['submitted', 'redeemed'])
  await world.close(client)
})

test('a reorganisation that removes a redemption while the node is off brings it back into the queue, and it is redeemed again', async () => {
  let records = await RecordStore.open(join(dir, 'records'))
  const winner = await world.winner()
  const fork = await world.rpc('evm_snapshot')
  const first = await world.client({ store: records.room('chain') })
  const before = reportsOf(first)
  await first.redeem(winner)
  await first.poll()
  await world.mine(4)
  await first.poll()
  assert.equal(kinds(before), ['submitted', 'redeemed'])
  await world.close(first)
  await records.close()
  records = await RecordStore.open(join(dir, 'records'))
  assert.ok(await world.rpc('evm_revert', [fork]))
  await world.mine(8)
  assert.is(await world.nonce(PAYEE.address), 0, 'the redemption is gone')
  const reports: RedemptionReport[] = []
  const second = await world.client({ store: records.room('chain'), onRedemption: (report) => { reports.push(report) } })
  assert.equal(kinds(reports), ['reorged'])
  assert.equal(second.pending, { winners: 1, transactions: 1 })
  await world.mine(4)
  await second.poll()
  assert.equal(kinds(reports), ['reorged', 'redeemed'])
  assert.is((await second.accounts.balances()).creditWei, winner.ticket.faceValueWei)
  await world.close(second)
  await records.close()
})

test('a race that was lost and reorganised away is run again, and a redemption is forgotten only when final', async () => {
  const store = memoryStore()
  const winner = await world.winner()
  const rival = await world.client({ signer: OTHER, confirmations: 0 })
  const fork = await world.rpc('evm_snapshot')
  await rival.redeem(winner)
  await rival.poll()
  await world.mine()
  await world.close(rival)
  const client = await world.client({ store, confirmations: 1, finalDepth: 6 })
  const reports = reportsOf(client)
  await client.redeem(winner)
  for (let i = 0; i < 3; i++) {
    await client.poll()
    await world.mine()
  }
  assert.equal(kinds(reports), ['lost-race'])
  assert.ok(await world.rpc('evm_revert', [fork]))
  await world.mine(12)
  for (let i = 0; i < 10; i++) {
    await client.poll()
    await world.mine()
  }
  assert.equal(kinds(reports), ['lost-race', 'reorged', 'submitted', 'redeemed'])
  assert.is(store.entries.size, 0, 'final: nothing is kept')
  await world.close(client)
})

test('a dead service makes snapshots stale and nothing worse; what was handed over meanwhile is redeemed afterwards', async () => {
  let nowMs = 0
  const client = await world.client({ confirmations: 0, staleAfterMs: 1000, nowMs: () => nowMs })
  const reports = reportsOf(client)
  const statuses: ChainStatus[] = []
  client.onStatus((status) => { statuses.push(status) })
  const { snapshot } = await client.watch(PAYER.address)
  const winner = await world.winner()
  await world.mine()
  await client.poll()
  await world.halt()
  await client.poll()
  await client.redeem(winner)
  nowMs = 900
  assert.is(client.snapshot(PAYER.address)?.stale, false)
  nowMs = 1100
  await client.poll()
  const seen = client.snapshot(PAYER.address)
  assert.equal([seen?.stale, seen?.ageMs, seen?.snapshot.depositWei], [true, 1100, snapshot.depositWei])
  await world.resume()
  await client.poll()
  assert.equal(statuses.map(({ state }) => state), ['down', 'up'])
  assert.is(client.snapshot(PAYER.address)?.stale, false)
  assert.equal(kinds(reports), ['submitted'])
  await world.mine()
  await client.poll()
  assert.equal(kinds(reports), ['submitted', 'redeemed'])
  await world.close(client)
  start = await world.rpc('evm_snapshot')
})

test('a gap of nonces that nobody remembers is closed, and what waited behind it is mined', async () => {
  const store = memoryStore()
  const proxy = await LossyRpc.start(world.anvil.url)
  const first = await world.client({ store, rpcUrl: proxy.url, confirmations: 0 })
  proxy.drops = (method) => method === 'eth_sendRawTransaction'
  await first.redeem(await world.winner())
  await first.poll()
  proxy.drops = () => false
  const second = await world.winner()
  await first.redeem(second)
  await first.poll()
  await world.close(first)
  await proxy.stop()
  // the disk lost everything but the second transaction and its winner
  for (const [key, value] of store.entries) if (key.startsWith('tx/') ? (value as { nonce: number }).nonce === await world.nonce(PAYEE.address) : !key.endsWith(second.digest)) store.entries.delete(key)
  assert.is([...store.entries.keys()].filter((key) => key.startsWith('tx/')).length, 1)
  const client = await world.client({ store, confirmations: 0 })
  const reports = reportsOf(client)
  for (let i = 0; i < 12; i++) {
    await client.poll()
    await world.mine()
  }
  assert.is(client.pending.transactions, 0)
  assert.is(kinds(reports, second.digest).at(-1), 'redeemed')
  await world.close(client)
})

test('a nonce that another wallet of the same key took costs nothing: the winner goes out under the next', async () => {
  const proxy = await LossyRpc.start(world.anvil.url)
  proxy.drops = (method) => method === 'eth_sendRawTransaction'
  const client = await world.client({ rpcUrl: proxy.url, confirmations: 1 })
  const reports = reportsOf(client)
  await client.redeem(await world.winner())
  await client.poll()
  assert.equal(kinds(reports), ['submitted'])
  const wallet = await world.client({ confirmations: 0 })
  await world.until(wallet, wallet.accounts.act({ kind: 'add', bucket: 'deposit', amountWei: 1n }))
  proxy.drops = () => false
  for (let i = 0; i < 6; i++) {
    await client.poll()
    await world.mine()
  }
  assert.equal(kinds(reports), ['submitted', 'submitted', 'redeemed'])
  await world.close(wallet)
  await world.close(client)
  await proxy.stop()
})

test('snapshots speak of one block hash, under its confirmations, and tell of changes once', async () => {
  const client = await world.client()
  const payer = await world.client({ signer: PAYER, confirmations: 0 })
  const told: string[] = []
  client.onSnapshot(({ address, depositWei }) => { told.push(`${address} ${depositWei}`) })
  await world.mine(3)
  const { snapshot } = await client.watch(PAYER.address.toUpperCase().replace('0X', '0x'), { signers: [OTHER.address] })
  await client.watch(PAYEE.address)
  const { depositWei } = await payer.accounts.balances()
  assert.equal([snapshot.depositWei, snapshot.bondWei, snapshot.signers, snapshot.unlocks], [depositWei, 10n * ETHER, { [OTHER.address]: 0 }, {}])
  assert.is(snapshot.block.number, await world.height() - 2)
  await world.until(payer, payer.accounts.act({ kind: 'request-unlock', bucket: 'deposit', amountWei: ETHER }))
  await world.until(payer, payer.accounts.act({ kind: 'add-signer', signer: OTHER.address }))
  await client.poll()
  const early = client.snapshot(PAYER.address)?.snapshot
  assert.equal([early?.unlocks.deposit?.amountWei, early?.signers[OTHER.address]], [ETHER, 0], 'the signer has one confirmation too few')
  await world.mine(2)
  await client.poll()
  const [late, other] = [client.snapshot(PAYER.address)?.snapshot, client.snapshot(PAYEE.address)?.snapshot]
  assert.ok((late?.signers[OTHER.address] ?? 0) > 0)
  assert.is(late?.block.hash, other?.block.hash)
  await world.mine(5)
  await client.poll()
  assert.is(told.filter((line) => line.startsWith(PAYEE.address)).length, 1)
  await world.close(client)
  await world.close(payer)
})

test('accounts that nobody asks for any more are forgotten', async () => {
  let nowMs = 0
  const client = await world.client({ nowMs: () => nowMs })
  await client.watch(PAYER.address, { forMs: 1000 })
  for (let i = 0; i < 600; i++) client.snapshot(PAYER.address)
  nowMs = 1001
  await world.mine()
  await client.poll()
  assert.is(client.snapshot(PAYER.address), undefined)
  await world.close(client)
})

test.run()

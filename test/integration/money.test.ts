/** Money as people see it: real nodes, a real chain, and the commands themselves over the nodes' sockets. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as after } from 'node:timers/promises'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import type { Bill, TicketsReport, Wallet, Withdrawal } from '../../node/api/money.ts'
import type { Estimate } from '../../node/api/contract.ts'
import { startDevnet } from '../../node/chain/devnet.ts'
import type { Devnet } from '../../node/chain/devnet.ts'
import { ChainRpc } from '../../node/chain/rpc.ts'
import { Cluster } from '../../node/demo/cluster.ts'
import type { ClusterNode } from '../../node/demo/cluster.ts'
import { ended, EXAMPLES, LENDS, restart } from '../helpers/cluster.ts'
import { runCli } from '../helpers/shell.ts'

interface World { cluster: Cluster, net: Devnet, dir: string, rpc: ChainRpc, you: ClusterNode, hosts: ClusterNode[] }
const test = suite<World>('money on nodes')

const ETH = 10n ** 18n
const HOSTS = ['ada', 'ben'] as const
const PATIENCE_MS = 60_000
/** Where one host's earnings go: nobody here has its key. */
const COLD = `0x${'c0'.repeat(20)}`

/** A second of one core costs more than its gas: so every ticket wins, and nothing is left to luck. */
function flags({ rpcUrl, chainId, contract }: Devnet): string[] {
  return ['--payment.mode=devnet', `--payment.rpcUrl=${rpcUrl}`, `--payment.chainId=${chainId}`, `--payment.contract=${contract}`, '--payment.confirmations=0', '--payment.pollInterval=100 ms', '--payment.price.coreHour=4 ether', '--payment.redeemShare=100 %', '--payment.confirmAbove=1 ether']
}

test.before(async (context) => {
  context.dir = await mkdtemp(join(tmpdir(), 'hearth-money-'))
  context.net = await startDevnet({ dir: context.dir, blockTimeS: 0 })
  context.rpc = new ChainRpc(context.net.rpcUrl)
  context.cluster = await Cluster.open()
  const own = flags(context.net)
  context.you = await context.cluster.start({ name: 'you', flags: ['--share.enabled=false', ...own] })
  const { address } = context.you
  context.hosts = await Promise.all(HOSTS.map(async (name) => await context.cluster.start({ name, bootstrap: [address], flags: [...LENDS, ...own, ...name === 'ben' ? [`--payment.payee=${COLD}`] : []] })))
  const wallets = await Promise.all([context.you, ...context.hosts].map(async ({ api }) => await api.wallet()))
  await context.net.give(wallets.map((wallet) => ({ address: wallet.address, coinWei: 5n * ETH, depositWei: ETH, bondWei: ETH, jobBondWei: ETH })))
})
test.after(async ({ cluster, net, rpc, dir }) => {
  rpc.close()
  await cluster.close()
  await net.stop()
  await rm(dir, { recursive: true })
})

/** What a command answers with --json; throws what it refuses. */
async function ask<T>(node: ClusterNode, ...words: string[]): Promise<T> {
  const { code, stdout, stderr } = await runCli([...words, '--json'], { api: node.api, cwd: EXAMPLES })
  if (code !== 0) throw new Error(`${words.join(' ')}: ${stderr}`)
  return JSON.parse(stdout) as T
}

async function refusal(node: ClusterNode, ...words: string[]): Promise<string> {
  const { code, stderr } = await runCli([...words, '--json'], { api: node.api, cwd: EXAMPLES })
  assert.is(code, 1, words.join(' '))
  return (JSON.parse(stderr) as { error: { code: string } }).error.code
}

/** Looks again until it holds: what is awaited comes with blocks. */
async function until<T>(look: () => Promise<T>, holds: (value: T) => boolean): Promise<T> {
  const giveUpMs = performance.now() + PATIENCE_MS
  for (;;) {
    const value = await look()
    if (holds(value)) return value
    if (performance.now() > giveUpMs) throw new Error(`it never held: ${JSON.stringify(value)}`)
    await after(50)
  }
}

const spec = (tasks: number): unknown => ({ engine: 'wasm', module: './hello/hello.wasm', args: ['{index}'], outputs: ['hello.txt'], map: { range: [0, tasks] }, limits: { run: '20 s' } })

test('a job that may cost more than the limit is not sent without a word', async ({ you }) => {
  const jobs = (await you.api.jobs()).length
  const err = await you.api.submit({ spec: { ...(spec(1000) as object), limits: { run: '1 h' } }, baseDir: EXAMPLES }).catch((caught: unknown) => caught)
  assert.is((err as { code?: string }).code, 'E_PAYMENT_CONFIRM')
  assert.is((await you.api.jobs()).length, jobs)
})

test('a job costs what its estimate said, its bill agrees with the chain, and hosts see what they earned', async ({ you, hosts }) => {
  const submit = { spec: spec(8), baseDir: EXAMPLES }
  const before = await ask<Wallet>(you, 'wallet')
  const estimate: Estimate = await you.api.estimate(submit)
  assert.is(estimate.costBasis?.prices, 'bids')
  assert.is(estimate.costBasis?.providers, HOSTS.length)
  const { job, costWei } = await you.api.submit(submit)
  assert.ok(costWei !== undefined && BigInt(costWei.high) > 0n)
  assert.is((await ended(you, job)).state, 'done')

  const settled = await until(async () => await ask<Bill>(you, 'bill', job), ({ providers, total }) => providers.length > 0 && providers.every(({ state }) => state === 'closed') && total.winners === total.tickets)
  const { total } = settled
  assert.ok(BigInt(total.paidWei) >= BigInt(estimate.costWei.low) && BigInt(total.paidWei) <= BigInt(estimate.costWei.high), `${total.paidWei} is outside of ${JSON.stringify(estimate.costWei)}`)
  assert.is(total.workedMs, total.acceptedMs)
  assert.is(total.heldBackWei, '0')
  const now = await ask<Wallet>(you, 'wallet')
  assert.is(BigInt(before.balances?.deposit ?? 0) - BigInt(now.balances?.deposit ?? 0), BigInt(total.winnersWei), 'the bill and the chain differ')

  const reports = await Promise.all(hosts.map(async (host) => await until(async () => await ask<TicketsReport>(host, 'tickets'), ({ received }) => received.pending === 0 && received.redeemed === received.wins)))
  const sum = (of: (report: TicketsReport) => string | number): bigint => reports.reduce((all, report) => all + BigInt(of(report)), 0n)
  assert.is(sum(({ received }) => received.tickets), BigInt(total.tickets))
  assert.is(sum(({ received }) => received.redeemedWei), BigInt(total.winnersWei))
  const credits = await Promise.all(hosts.map(async (host) => BigInt((await ask<Wallet>(host, 'wallet')).balances?.credit ?? 0)))
  assert.is(credits.reduce((a, b) => a + b), BigInt(total.winnersWei), 'what hosts may withdraw is not what was drawn')
  const { issued } = await ask<TicketsReport>(you, 'tickets')
  assert.is(issued.tickets, total.tickets)
  assert.is(issued.redeemedWei, total.winnersWei)
})

test('what was earned is known after a restart, and is paid out', async (world) => {
  const [ada] = world.hosts
  assert.ok(ada)
  const before = await ask<TicketsReport>(ada, 'tickets')
  await ada.kill('SIGKILL')
  const again = await restart(world.cluster, ada, { flags: [...LENDS, ...flags(world.net)], bootstrap: [world.you.address] })
  world.hosts[0] = again
  const after = await ask<TicketsReport>(again, 'tickets')
  assert.equal({ ...after.received, off: 0 }, { ...before.received, off: 0 })
  assert.equal(after.winners.map(({ digest, state }) => [digest, state]), before.winners.map(({ digest, state }) => [digest, state]))
  const { balances } = await ask<Wallet>(again, 'wallet')
  const paid = await ask<Withdrawal>(again, 'withdraw')
  assert.equal([paid.step, paid.amountWei], ['withdrawn', balances?.credit])
  assert.is((await ask<Wallet>(again, 'wallet')).balances?.credit, '0')
  assert.is(await refusal(again, 'withdraw'), 'E_CHAIN_INSUFFICIENT')
})

test('what was earned for a cold address is paid out to it, and the node pays the gas', async ({ hosts: [, ben], rpc }) => {
  assert.ok(ben)
  const { address, payee, balances } = await ask<Wallet>(ben, 'wallet')
  assert.is(payee, COLD)
  assert.is(await refusal(ben, 'withdraw', '--to', address), 'E_CHAIN_AMOUNT')
  const paid = await ask<Withdrawal>(ben, 'withdraw')
  assert.equal([paid.step, paid.amountWei], ['withdrawn', balances?.credit])
  assert.is(BigInt(String(await rpc.ask('eth_getBalance', [COLD, 'latest']))), BigInt(paid.amountWei))
  const after = await ask<Wallet>(ben, 'wallet')
  assert.is(after.balances?.credit, '0')
  assert.ok(BigInt(after.balances?.coin ?? 0) < BigInt(balances?.coin ?? 0))
  assert.is(await refusal(ben, 'withdraw'), 'E_CHAIN_INSUFFICIENT')
})

test('a deposit grows at once and comes back in two steps', async ({ you, rpc }) => {
  const before = await ask<Wallet>(you, 'wallet')
  await ask(you, 'fund', '0.25', 'eth')
  assert.is(BigInt((await ask<Wallet>(you, 'wallet')).balances?.deposit ?? 0), BigInt(before.balances?.deposit ?? 0) + ETH / 4n)
  assert.is(await refusal(you, 'fund', '1.5', 'eth'), 'E_PAYMENT_CONFIRM')
  assert.is(await refusal(you, 'fund', '100', 'eth', '--yes'), 'E_CHAIN_COIN')
  const asked = await ask<Withdrawal>(you, 'withdraw', 'deposit', '0.25', 'eth')
  assert.is(asked.step, 'asked')
  assert.is((await ask<Withdrawal>(you, 'withdraw', 'deposit')).step, 'waits')
  const { unlocks } = await ask<Wallet>(you, 'wallet')
  assert.equal(unlocks.map(({ from, amountWei, due }) => [from, amountWei, due]), [['deposit', (ETH / 4n).toString(), false]])
  await rpc.ask('evm_increaseTime', [3 * 3600])
  await rpc.ask('evm_mine')
  assert.is((await ask<Wallet>(you, 'wallet')).unlocks[0]?.due, true)
  const got = await ask<Withdrawal>(you, 'withdraw', 'deposit')
  assert.equal([got.step, got.amountWei], ['withdrawn', (ETH / 4n).toString()])
  assert.equal((await ask<Wallet>(you, 'wallet')).unlocks, [])
})

test('a cap set while the node runs ends a job that would cost more, and says so', async ({ you }) => {
  await ask(you, 'caps', 'job=1', 'gwei')
  const { job } = await you.api.submit({ spec: spec(2), baseDir: EXAMPLES })
  const detail = await ended(you, job)
  assert.is(detail.state, 'failed')
  assert.is(detail.error?.code, 'E_BUDGET_JOB')
  assert.is((await ask<Bill>(you, 'bill', job)).total.paidWei, '0')
  await ask(you, 'caps', 'job=none')
})

test('a price changed while the node runs is what the next bid asks', async ({ you, hosts }) => {
  const submit = { spec: spec(1), baseDir: EXAMPLES }
  const before = await you.api.estimate(submit)
  for (const host of hosts) await ask(host, 'price', 'coreHour=400', 'eth')
  const after = await you.api.estimate(submit)
  assert.is(after.costBasis?.prices, 'bids')
  assert.ok(BigInt(after.costWei.high) > 50n * BigInt(before.costWei.high), `${before.costWei.high} -> ${after.costWei.high}`)
})

test.run()

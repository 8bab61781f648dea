/**
 * Everything at once, by seed: reorganisations, restarts, lost requests, emptied pools, dear gas. Afterwards every winner
 * is paid exactly once and the last word on each is that it was redeemed. `CHAIN_SEEDS=7,8 node …` replays seeds.
 */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { memoryStore } from '../../node/chain/index.ts'
import type { ChainClient, RedemptionReport, Winner } from '../../node/chain/index.ts'
import { ChainWorld, ETHER, GWEI, LossyRpc, PAYEE } from '../helpers/chain.ts'
import { seededRandom } from '../helpers/seeded.ts'

const SEEDS = (process.env['CHAIN_SEEDS'] ?? '1,2,3,4').split(',').map(Number)
const STEPS = 60
/** Deep enough to undo what was confirmed, and never what is final. */
const MAX_FORKS = 3

class Chaos {
  readonly world: ChainWorld
  readonly proxy: LossyRpc
  readonly store = memoryStore()
  readonly winners: Winner[] = []
  readonly last = new Map<string, RedemptionReport>()
  readonly counts = { reorgs: 0, undone: 0, restarts: 0, lost: 0 }
  readonly #random: ReturnType<typeof seededRandom>
  #client!: ChainClient
  #forks: { id: string, height: number }[] = []
  #feeWei = GWEI

  constructor(world: ChainWorld, proxy: LossyRpc, seed: number) {
    this.world = world
    this.proxy = proxy
    this.#random = seededRandom(seed)
  }

  get client(): ChainClient {
    return this.#client
  }

  async open(): Promise<void> {
    const onRedemption = (report: RedemptionReport): void => {
      if (report.kind === 'reorged') this.counts.undone++
      this.last.set(report.digest, report)
    }
    this.#client = await this.world.client({ store: this.store, rpcUrl: this.proxy.url, confirmations: 1, gas: { maxFeePerGasWei: 60n * GWEI }, onRedemption }, { mayBeDown: true })
    // as the core does at every start
    for (const winner of this.winners) if (this.last.get(winner.digest)?.kind !== 'redeemed') await this.#client.redeem(winner)
  }

  async mine(blocks: number): Promise<void> {
    for (let i = 0; i < blocks; i++) await this.world.mineAt(this.#feeWei)
  }

  async step(): Promise<void> {
    const { world, proxy, counts } = this
    const dice = this.#random.below(100)
    if (dice < 30) {
      const winner = await world.winner({ faceValueWei: ETHER / 10n + BigInt(this.winners.length) })
      this.winners.push(winner)
      await this.client.redeem(winner)
    } else if (dice < 55) {
      await this.mine(1 + this.#random.below(3))
    } else if (dice < 65) {
      await world.close(this.client)
      counts.restarts++
      await this.open()
    } else if (dice < 72) {
      this.#forks = [...this.#forks, { id: await world.rpc<string>('evm_snapshot'), height: await world.height() }].slice(-MAX_FORKS)
    } else if (dice < 82) {
      await this.#reorg()
    } else if (dice < 86) {
      await world.rpc('anvil_dropAllTransactions')
    } else if (dice < 93) {
      const what = this.#random.below(3)
      counts.lost++
      proxy.drops = what === 0 ? () => true : what === 1 ? (method) => method === 'eth_sendRawTransaction' : () => false
    } else {
      this.#feeWei = BigInt(1 + this.#random.below(80)) * GWEI
    }
    await this.client.poll()
  }

  async #reorg(): Promise<void> {
    const at = this.#random.below(Math.max(1, this.#forks.length))
    const fork = this.#forks[at]
    if (fork === undefined) return
    const height = await this.world.height()
    assert.ok(await this.world.rpc('evm_revert', [fork.id]))
    this.#forks = this.#forks.slice(0, at)
    this.counts.reorgs++
    // the other branch is the longer one
    await this.mine(height - fork.height + 1)
  }

  async calm(): Promise<void> {
    this.proxy.drops = () => false
    this.#feeWei = GWEI
    for (let i = 0; i < 60; i++) {
      await this.client.poll()
      await this.mine(1)
    }
    await this.client.poll()
  }
}

const sum = { reorgs: 0, undone: 0, restarts: 0, lost: 0 }

for (const seed of SEEDS) {
  test(`every winner is paid once in the end, whatever happened (seed ${seed})`, async () => {
    const world = await ChainWorld.start()
    const proxy = await LossyRpc.start(world.anvil.url)
    try {
      const chaos = new Chaos(world, proxy, seed)
      await chaos.open()
      for (let i = 0; i < STEPS; i++) await chaos.step()
      await chaos.calm()
      const ends = chaos.winners.map(({ digest }) => chaos.last.get(digest)?.kind)
      assert.equal(ends, chaos.winners.map(() => 'redeemed'), JSON.stringify(chaos.counts))
      assert.equal(chaos.client.pending, { winners: 0, transactions: 0 })
      const { creditWei } = await chaos.client.accounts.balances(PAYEE.address)
      assert.is(creditWei, chaos.winners.reduce((sum, { ticket }) => sum + ticket.faceValueWei, 0n))
      for (const key of ['reorgs', 'undone', 'restarts', 'lost'] as const) sum[key] += chaos.counts[key]
      if (process.env['CHAIN_SEEDS'] !== undefined) console.log(seed, chaos.winners.length, chaos.counts)
    } finally {
      await world.stop()
      await proxy.stop()
    }
  })
}

test('something did happen', () => {
  for (const [key, count] of Object.entries(sum)) assert.ok(count > 0, key)
})

test.run()

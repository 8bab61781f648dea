/** The journal of money, its sums and forecast, prices and caps kept, and bids asked for without a job. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { MoneyJournal } from '../../node/money/journal.ts'
import type { Books } from '../../node/money/journal.ts'
import { earningsReport, ticketsReport } from '../../node/money/reports.ts'
import { MoneySettingsStore } from '../../node/money/settings-store.ts'
import { addTickets, deviationOf, NO_TICKETS } from '../../node/money/sums.ts'
import { moneyChecks } from '../../node/service/money-checks.ts'
import { Quotes } from '../../node/service/quotes.ts'
import { memoryStore } from '../../node/chain/store.ts'
import type { Bid } from '../../src/documents/bid.ts'
import type { Offer } from '../../src/documents/offer.ts'
import type { PaymentTerms } from '../../src/documents/terms.ts'
import type { Ticket, Winner } from '../../src/documents/ticket.ts'
import { expectedOf } from '../../src/documents/ticket.ts'
import { Winners } from '../../src/payment/winners.ts'
import { relativeDeviation } from '../../src/payment/odds.ts'
import { DAY_MS, HOUR_MS } from '../../src/units.ts'
import { documentOf } from '../../src/sim/documents.ts'
import { FakeApi, PEERS } from '../helpers/fake-api.ts'
import { PLAIN_JOB } from '../helpers/plain-job.ts'

const test = suite<{ dir: string }>('money')
test.before.each(async (context) => { context.dir = await mkdtemp(join(tmpdir(), 'hearth-money-')) })
test.after.each(async ({ dir }) => rm(dir, { recursive: true }))

/** One in four wins 1000 wei. */
const TERMS: PaymentTerms = { mode: 'tickets', unit: { kind: 'resource-ms', size: 1000 }, unitPriceWei: 250n, faceValueWei: 1000n, winProb: (1n << 62n) - 1n, ticketLifeSec: 86_400, openCommits: 8, aheadUnits: 1, holdback: 3000, refund: 5000, prepayCapWei: 0n }
const START_WALL_MS = Date.UTC(2026, 0, 10, 12)

interface Row { id: string, tickets: number, wins: number, job?: string }
class World implements Books {
  received: Row[] = []
  issued: { id: string, issued: number }[] = []
  nowWallMs = START_WALL_MS
  readonly store = memoryStore()

  recipients(): ReturnType<Books['recipients']> { return this.received.map(({ id, tickets, wins, job = 'job' }) => ({ id, tickets, wins, earning: { job, requester: 'somebody', terms: TERMS } })) }
  senders(): ReturnType<Books['senders']> { return this.issued.map(({ id, issued }) => ({ id, issued, payment: { terms: TERMS } })) }
  /** In the order of their keys, as a disk gives them. */
  open(): Promise<MoneyJournal> { return MoneyJournal.open({ load: async () => (await this.store.load()).toSorted(([a], [b]) => a < b ? -1 : 1), write: (entries) => this.store.write(entries) }, this, () => this.nowWallMs) }
}

function winner(digest: string): Winner {
  const ticket: Ticket = { payer: `0x${'1'.repeat(40)}`, payee: `0x${'2'.repeat(40)}`, faceValueWei: 1000n, winProb: 0n, expirySec: 1, commit: `0x${'3'.repeat(64)}`, salt: `0x${'4'.repeat(64)}`, context: `0x${'5'.repeat(64)}` }
  return { v: 1, agreement: 'a', offerId: 'o', index: 0, ticket, signature: '', digest }
}

test('each ticket is counted once, whenever it is looked at and after any restart', async () => {
  const world = new World()
  let journal = await world.open()
  world.received = [{ id: 'a', tickets: 10, wins: 2 }]
  await journal.look()
  await journal.look()
  world.received = [{ id: 'a', tickets: 25, wins: 7 }, { id: 'b', tickets: 1, wins: 0, job: 'other' }]
  world.issued = [{ id: 's', issued: 4 }]
  journal = await world.open()
  await journal.look()
  journal = await world.open()
  world.nowWallMs++
  await journal.look()
  assert.ok(journal.jobs.every(({ lastWallMs }) => lastWallMs === START_WALL_MS), 'a look without news changed a job')
  assert.is(journal.total.received.tickets, 26)
  assert.is(journal.total.received.wins, 7)
  assert.is(journal.total.received.wonWei, 7000n)
  assert.is(journal.total.received.expected, 26n * expectedOf(TERMS))
  assert.is(journal.total.issued.tickets, 4)
  assert.equal(Object.fromEntries(journal.jobs.map(({ job, received }) => [job, received.tickets])), { job: 25, other: 1 })
})

test('a core that a crash set back counts nothing twice when it comes to the same again', async () => {
  const world = new World()
  const journal = await world.open()
  world.received = [{ id: 'a', tickets: 10, wins: 3 }]
  await journal.look()
  world.received = [{ id: 'a', tickets: 8, wins: 2 }]
  await journal.look()
  world.received = [{ id: 'a', tickets: 11, wins: 3 }]
  await journal.look()
  assert.equal([journal.total.received.tickets, journal.total.received.wins], [11, 3])
})

test('an agreement that is forgotten leaves its sums and takes its mark with it', async () => {
  const world = new World()
  const journal = await world.open()
  world.received = [{ id: 'a', tickets: 10, wins: 3 }]
  await journal.look()
  world.received = []
  await journal.look()
  assert.is(journal.total.received.tickets, 10)
  assert.equal([...world.store.entries.keys()].filter((key) => key.startsWith('mark/')), [])
})

test('tickets belong to the day they were seen on, and old days give way', async () => {
  const world = new World()
  const journal = await world.open()
  for (let day = 0; day < 405; day++) {
    world.received = [{ id: 'a', tickets: day + 1, wins: 0 }]
    await journal.look()
    world.nowWallMs += DAY_MS
  }
  assert.is(journal.days.length, 400)
  assert.ok(journal.days.every(({ received }) => received.tickets === 1))
  assert.is(journal.total.received.tickets, 405)
  assert.is([...world.store.entries.keys()].filter((key) => key.startsWith('day/')).length, 400)
})

test('jobs that earned are bounded; the one longest without a ticket goes, also after a restart', async () => {
  const world = new World()
  let journal = await world.open()
  world.received = Array.from({ length: 1000 }, (_, i) => ({ id: `a${i}`, tickets: 1, wins: 0, job: `job${String(999 - i).padStart(3, '0')}` }))
  for (const row of world.received) { world.nowWallMs++; world.received = [row]; await journal.look() }
  journal = await world.open()
  world.nowWallMs++
  world.received = [{ id: 'new', tickets: 1, wins: 0, job: 'new' }]
  await journal.look()
  const jobs = new Set(journal.jobs.map(({ job }) => job))
  assert.is(jobs.size, 1000)
  assert.not.ok(jobs.has('job999'), 'the first one stayed')
  assert.ok(jobs.has('job000') && jobs.has('new'))
})

test('a redemption counts once however often it is told, and a reorganisation takes it back', async () => {
  const world = new World()
  let journal = await world.open()
  const redeemed = { kind: 'redeemed' as const, digest: '0xd', tx: '0x1', blockNumber: 5, paidWei: 990n, gasUsed: 50n, feeWei: 7n }
  journal.won(winner('0xd'), { job: 'job', requester: 'somebody' })
  assert.is((await journal.redemption(redeemed))?.state, 'redeemed')
  assert.is(await journal.redemption(redeemed), undefined)
  journal = await world.open()
  journal.won(winner('0xd'), undefined)
  await journal.redemption(redeemed)
  assert.equal(journal.total.redeemed, { count: 1, wei: 990n, gasWei: 7n })
  await journal.redemption({ kind: 'reorged', digest: '0xd' })
  assert.equal([journal.total.redeemed.count, journal.total.redeemed.wei, journal.winner('0xd')?.state], [0, 0n, 'pending'])
  await journal.redemption({ kind: 'refused', digest: '0xd', reason: 'malformed' })
  assert.equal(journal.total.lost, { count: 1, wei: 1000n })
  assert.is(await journal.redemption({ kind: 'lost-race', digest: '0xunknown' }), undefined)
})

test('a disk that fails once loses nothing of the journal', async () => {
  const world = new World()
  const journal = await world.open()
  await journal.flush()
  const disk = memoryStore()
  let fails = 1
  Object.assign(world.store, { entries: disk.entries, load: () => disk.load(), write: async (entries: Parameters<typeof disk.write>[0]) => { if (fails-- > 0) throw new Error('disk full'); await disk.write(entries) } })
  world.received = [{ id: 'a', tickets: 10, wins: 3 }]
  await journal.look()
  await journal.look()
  assert.is((await world.open()).total.received.tickets, 10)
})

test('winners drawn from the deposit count once, and the blocks looked at are remembered', async () => {
  const world = new World()
  let journal = await world.open()
  const drawn = { digest: '0xd', agreement: 'a', job: 'job', faceWei: 1000n }
  await journal.drawn([drawn, drawn], 10)
  journal = await world.open()
  await journal.drawn([drawn], 12)
  assert.equal([journal.total.spent, journal.scannedBlock, [...journal.spent].length], [{ count: 1, wei: 1000n }, 12, 1])
})

test('the deviation to expect is that of the formula, for tickets of one kind', () => {
  const sum = addTickets(NO_TICKETS, TERMS, 400, 100)
  assert.ok(Math.abs(deviationOf(sum) - relativeDeviation(0.25, 400)) < 1e-12)
  assert.is(deviationOf(NO_TICKETS), 0)
})

test('a forecast needs a whole day, holds what comes, and is wider than luck alone when days differ', async () => {
  const world = new World()
  const journal = await world.open()
  let tickets = 0
  const day = async (more: number): Promise<void> => { tickets += more; world.received = [{ id: 'a', tickets, wins: 0 }]; await journal.look(); world.nowWallMs += DAY_MS }
  await day(100)
  assert.is(earningsReport(journal, world.nowWallMs - DAY_MS + HOUR_MS).forecast, undefined)
  for (const more of [100, 100, 100]) await day(more)
  const even = earningsReport(journal, world.nowWallMs).forecast!
  assert.is(even.basisDays, 3)
  assert.is(even.expectedWei, (7n * 100n * 250n).toString())
  assert.is(even.luckShare, 1)
  // 7 days of 100 draws of one in four for 1000: sd = sqrt(700 * 0.25 * 0.75) * 1000
  const half = 1.645 * Math.sqrt(700 * 0.25 * 0.75) * 1000
  assert.ok(Math.abs(Number(even.highWei) - Number(even.expectedWei) - half) < 1)
  for (const more of [10, 190, 100]) await day(more)
  const uneven = earningsReport(journal, world.nowWallMs).forecast!
  assert.is(uneven.expectedWei, even.expectedWei)
  assert.ok(BigInt(uneven.highWei) > BigInt(even.highWei) && BigInt(uneven.lowWei) < BigInt(even.lowWei))
  assert.ok(uneven.luckShare < 1 && uneven.luckShare > 0)
})

test('luck that is no luck raises the alarm, and luck does not', async () => {
  const world = new World()
  const journal = await world.open()
  const earning = { winners: new Winners() }
  world.received = [{ id: 'a', tickets: 400, wins: 112 }]
  await journal.look()
  assert.is(ticketsReport(journal, { earning } as Parameters<typeof ticketsReport>[1]).received.alarm, 'none')
  world.received = [{ id: 'a', tickets: 800, wins: 112 }]
  await journal.look()
  assert.is(ticketsReport(journal, { earning } as Parameters<typeof ticketsReport>[1]).received.alarm, 'too-few')
})

test('prices and caps survive a restart; a cap can be taken away, and a damaged file is refused', async ({ dir }) => {
  const configured = { prices: { coreHourWei: 1n, gibHourWei: 2n, gpuHourWei: 3n, movedWei: 4n, fuelWei: 5n }, caps: { jobWei: 10n, dayWei: 20n } }
  const store = await MoneySettingsStore.open(dir, configured)
  assert.equal(store.get(), configured)
  await store.set({ coreHourWei: '7', dayWei: null, peerDayWei: '5' })
  const again = await MoneySettingsStore.open(dir, configured)
  assert.equal(again.get(), { prices: { coreHourWei: 7n, gibHourWei: 2n, gpuHourWei: 3n, movedWei: 4n, fuelWei: 5n }, caps: { jobWei: 10n, peerDayWei: 5n } })
  for (const text of ['{', '[]x', '{"coreHourWei":"-1"}', '{"coreHourWei":null}', '{"jobWei":5}', `{"jobWei":"${'9'.repeat(39)}"}`]) {
    await writeFile(join(dir, 'money.json'), text)
    const err = await MoneySettingsStore.open(dir, configured).catch((caught: unknown) => caught)
    assert.is((err as { code?: string }).code, 'E_PAYMENT_FILE', text)
  }
  assert.is(await readFile(join(dir, 'money.json.new'), 'utf8').catch(() => 'gone'), 'gone')
})

/** What asking for bids reads of a job. */
const DOCUMENT = documentOf(PLAIN_JOB, PEERS[0], 0)

test('bids are asked of those who fit, heard once each, and never given to the core', async () => {
  const offers: Offer[] = []
  const quotes: Quotes = new Quotes({
    requester: 'us', asPayer: () => ({}), probe: async (offer, peers) => {
      offers.push(offer)
      const bid = (peer: string, signer = peer): boolean => quotes.hears(peer, { kind: 'bid', bid: { job: offer.job, identity: { peer: signer } } as Bid })
      assert.ok(bid('ada') && bid('ada'), 'a second word of one peer is ours too')
      assert.ok(bid('eve', 'ada'), 'a bid of another in its name')
      assert.ok(quotes.hears('ben', { kind: 'decline', decline: { v: 1, job: offer.job, round: 1, code: 'E_HOST_BUSY', message: '', unmet: [] } }))
      return { recipients: [...peers] }
    }
  })
  const bids = await quotes.ask(DOCUMENT, ['ada', 'ben', 'eve'])
  assert.equal(bids.map(({ identity }) => identity.peer), ['ada'])
  assert.is(quotes.hears('ada', { kind: 'bid', bid: { job: offers[0]?.job, identity: { peer: 'ada' } } as Bid }), false)
  assert.equal(await quotes.ask(DOCUMENT, []), [])
  assert.is(offers.length, 1)
})

test('doctor says what a paying node lacks, and nothing where all is well', () => {
  const wallet = new FakeApi().wallet_!
  assert.ok(moneyChecks(wallet, { lends: true }).every(({ state, hint }) => state === 'ok' && hint === ''))
  const poor = moneyChecks({ ...wallet, balances: { ...wallet.balances!, deposit: '0', jobs: '0', coin: '0' } }, { lends: true })
  assert.equal(poor.filter(({ state }) => state !== 'ok').map(({ name, hint }) => [name, hint !== '']), [['paying', true], ['earning', true], ['gas', true]])
  assert.equal(moneyChecks({ ...wallet, stale: true, chain: { state: 'down', code: 'E_CHAIN_RPC', message: 'silent' } }, { lends: true }).map(({ state }) => state), ['fail'])
})

test.run()

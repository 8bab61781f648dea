/** Commands of money over an interface in memory: what they read, what they ask, and what they refuse. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { commandsOf } from '../../node/cli/commands/index.ts'
import { amount } from '../../node/cli/views/money.ts'
import { isNews, noticeLine } from '../../node/cli/views/notice.ts'
import { belongsInLog, tellsStory } from '../../node/driver/story.ts'
import { plain } from '../../node/cli/term/paint.ts'
import { completeLine } from '../../node/repl/complete.ts'
import { FakeApi, JOBS, NOW_WALL_MS } from '../helpers/fake-api.ts'
import { runCli } from '../helpers/shell.ts'

const test = suite<{ dir: string }>('money commands')
test.before(async (context) => {
  context.dir = await mkdtemp(join(tmpdir(), 'hearth-cli-'))
  await writeFile(join(context.dir, 'job.yaml'), 'module: a.wasm\n')
  await writeFile(join(context.dir, 'a.wasm'), '')
})
test.after(async ({ dir }) => rm(dir, { recursive: true }))

const ETH = 10n ** 18n

/** Words, the method called, and what it is given. */
const MOVES: [string[], string, unknown][] = [
  [['fund', '0.5', 'eth'], 'fund', { to: 'deposit', amountWei: (ETH / 2n).toString() }],
  [['fund', '0.5eth'], 'fund', { to: 'deposit', amountWei: (ETH / 2n).toString() }],
  [['fund', '20000 GWEI'], 'fund', { to: 'deposit', amountWei: '20000000000000' }],
  [['bond', '1', 'wei'], 'fund', { to: 'bond', amountWei: '1' }],
  [['bond', '--jobs', '1', 'wei'], 'fund', { to: 'jobs', amountWei: '1' }],
  [['withdraw'], 'withdraw', { from: 'earnings' }],
  [['withdraw', 'jobs', '3', 'gwei'], 'withdraw', { from: 'jobs', amountWei: '3000000000' }],
  [['withdraw', 'earnings', '--to', `0x${'22'.repeat(20)}`], 'withdraw', { from: 'earnings', to: `0x${'22'.repeat(20)}` }],
  [['price', 'coreHour=20000gwei', 'gpuhour', '0.1', 'eth'], 'setPrice', { coreHourWei: '20000000000000', gpuHourWei: (ETH / 10n).toString() }],
  [['caps', 'day=0.1eth', 'job', 'none', 'peer=5 wei'], 'setCaps', { dayWei: (ETH / 10n).toString(), jobWei: null, peerDayWei: '5' }]
]

test('amounts are read exactly, in one word or two', async () => {
  for (const [words, method, given] of MOVES) {
    const api = new FakeApi()
    const ran = await runCli(words, { api })
    assert.is(ran.code, 0, `${words.join(' ')}: ${ran.stderr}`)
    assert.equal(api.given[method], given, words.join(' '))
  }
})

test('a wrong amount or name is said before the node is asked anything', async () => {
  for (const words of [['fund'], ['fund', '0.5'], ['fund', 'lots'], ['fund', '-1', 'eth'], ['fund', '1.2.3 eth'], ['bond', 'eth'], ['withdraw', 'everything'], ['withdraw', 'refunds', '1', 'eth'], ['withdraw', 'earnings', '1', 'eth'], ['withdraw', 'deposit', '--to', '0x12'], ['price', 'core=1gwei'], ['price', 'coreHour'], ['price', 'coreHour=5'], ['price', 'coreHour=1gwei', 'corehour=2gwei'], ['caps', 'month=1eth'], ['caps', 'day=much'], ['earnings', '--by', 'year'], ['bill']]) {
    const api = new FakeApi()
    const ran = await runCli(words, { api })
    assert.is(ran.code, 2, `${words.join(' ')}: ${ran.stdout}${ran.stderr}`)
    assert.match(ran.stderr, /hint: ./, words.join(' '))
    assert.equal(api.calls, [], words.join(' '))
  }
})

test('no amount is rounded: more digits than a coin has are refused', async () => {
  const api = new FakeApi()
  const ran = await runCli(['fund', '0.0000000000000000001', 'eth'], { api })
  assert.is(ran.code, 2)
  assert.not.ok(api.calls.includes('fund'))
})

test('amounts of a token have its digits', async () => {
  const api = new FakeApi()
  api.wallet_ = { ...api.wallet_!, asset: { kind: 'token', symbol: 'USDC', decimals: 6 } }
  assert.is((await runCli(['fund', '12.5', 'usdc'], { api })).code, 0)
  assert.equal(api.given['fund'], { to: 'deposit', amountWei: '12500000' })
  assert.is((await runCli(['fund', '1', 'eth'], { api })).code, 2)
})

test('above the owner\'s limit a person is asked; yes does it, no and silence do nothing', async () => {
  const tries: [string[], string[] | undefined, boolean][] = [
    [['fund', '2', 'eth'], ['y'], true], [['fund', '2', 'eth'], ['n'], false], [['fund', '2', 'eth'], [''], false], [['fund', '2', 'eth'], undefined, false],
    [['fund', '2', 'eth', '--yes'], undefined, true], [['fund', '1', 'eth'], undefined, true], [['fund', '2', 'eth', '--json'], ['y'], false],
    [['withdraw', 'deposit'], undefined, false], [['withdraw', 'deposit', '1', 'eth'], undefined, true], [['withdraw'], undefined, true]
  ]
  for (const [words, typed, done] of tries) {
    const api = new FakeApi()
    const ran = await runCli(words, { api, ...typed === undefined ? {} : { typed, columns: 100 } })
    const label = `${words.join(' ')} ${String(typed)}: ${ran.stderr}`
    assert.is(ran.code, done ? 0 : 1, label)
    assert.is(api.calls.includes('fund') || api.calls.includes('withdraw'), done, label)
    if (!done) assert.match(ran.stderr, 'E_PAYMENT_CONFIRM', label)
  }
})

test('a job that may cost more than the limit is sent only when that is confirmed', async ({ dir }) => {
  for (const [words, typed, sent] of [[['submit', 'job.yaml', '-d'], undefined, false], [['submit', 'job.yaml', '-d', '--yes'], undefined, true], [['submit', 'job.yaml', '-d'], ['y'], true], [['submit', 'job.yaml', '-d'], ['n'], false], [['run', '-y', 'a.wasm'], undefined, true]] as const) {
    const api = new FakeApi()
    api.confirmCost = true
    const ran = await runCli(words, { api, cwd: dir, ...typed === undefined ? {} : { typed, columns: 100 } })
    assert.is(ran.code === 0, sent, `${words.join(' ')}: ${ran.stderr}`)
    assert.is((api.given['submit'] as { confirmed?: boolean }).confirmed === true, sent, words.join(' '))
  }
})

test('a free node refuses all of money with one code and a hint', async () => {
  for (const words of [['wallet'], ['fund', '1', 'eth'], ['bond', '1', 'eth'], ['withdraw'], ['withdraw', 'refunds'], ['tickets'], ['earnings'], ['price'], ['price', 'coreHour=1wei'], ['caps'], ['caps', 'day=none'], ['bill', 'last']]) {
    const api = new FakeApi()
    api.wallet_ = undefined
    const ran = await runCli(words, { api })
    assert.is(ran.code, 1, words.join(' '))
    assert.match(ran.stderr, 'E_PAYMENT_FREE', words.join(' '))
    assert.match(ran.stderr, 'help money', words.join(' '))
  }
})

test('the wallet says what is not of now, and what was never seen', async () => {
  const api = new FakeApi()
  const wallet = api.wallet_!
  assert.match((await runCli(['wallet'], { api })).stdout, /deposit +10 eth/)
  api.wallet_ = { ...wallet, stale: true, chain: { state: 'down', code: 'E_CHAIN_RPC', message: 'no answer' } }
  assert.match((await runCli(['wallet'], { api })).stdout, 'not the balances of now')
  const { balances: _, ...unseen } = wallet
  api.wallet_ = { ...unseen, stale: true, unlocks: [] }
  assert.match((await runCli(['wallet'], { api })).stdout, 'not known')
})

test('luck that is no luck is said in red words', async () => {
  const api = new FakeApi()
  const { stdout } = await runCli(['tickets'], { api })
  assert.match(stdout, '±31 % is to be expected')
  assert.not.match(stdout, 'alarm')
  api.ticketsReport.received.alarm = 'too-few'
  assert.match((await runCli(['tickets'], { api })).stdout, /alarm +fewer wins than luck explains/)
})

test('a forecast says how sure it is, and before a day there is none', async () => {
  const api = new FakeApi()
  assert.match((await runCli(['earnings'], { api })).stdout.replaceAll(/\s+/g, ' '), 'about 14000 gwei, and nine times in ten between 9000 gwei and 19000 gwei')
  delete api.earningsReport.forecast
  assert.match((await runCli(['earnings'], { api })).stdout, 'No forecast yet')
})

test('amounts are shown in the unit that reads best, cut and never rounded up', () => {
  for (const [wei, text] of [['0', '0 eth'], ['1', '1 wei'], ['999999', '999999 wei'], ['1000000', '0.001 gwei'], ['20000000000000', '20000 gwei'], ['999999999999999999', '0.999999 eth'], [(1234n * ETH + 1n).toString(), '1234 eth'], ['-5', '-5 wei']] as const) assert.is(amount(wei), text)
  assert.is(amount('12345678', { kind: 'token', symbol: 'USDC', decimals: 6 }), '12.3456 USDC')
})

test('notices of money say what happened, with their job where they have one', () => {
  const view = { width: 120, paint: plain, nowWallMs: NOW_WALL_MS }
  assert.match(noticeLine({ kind: 'won', job: JOBS[0], requester: 'x', faceValueWei: '20000000000000', wallMs: NOW_WALL_MS }, view, true), /hq3k5q2m.*won 20000 gwei/)
  assert.match(noticeLine({ kind: 'money', job: '', state: 'chain-down', code: 'E_NONE', message: 'no answer', wallMs: NOW_WALL_MS }, view, true), / {2}! the chain cannot be seen: no answer$/)
  assert.match(noticeLine({ kind: 'money', job: JOBS[0], state: 'cap', code: 'E_BUDGET_DAY', message: 'today is over', wallMs: NOW_WALL_MS }, view, true), 'a spending cap is reached: today is over (E_BUDGET_DAY)')
})

test('the log and the prompt hear of money, and a job\'s own story does not', () => {
  for (const notice of [{ kind: 'won', job: JOBS[0], requester: 'x', faceValueWei: '1' }, { kind: 'money', job: '', state: 'redeemed', code: 'E_NONE', message: '' }] as const) {
    assert.ok(belongsInLog(notice) && isNews(notice))
    assert.not.ok(tellsStory(notice))
  }
})

test('the prompt completes what prices and caps are called', async () => {
  const source = { api: new FakeApi(), commands: commandsOf('repl'), cwd: '/' }
  const words = async (line: string): Promise<string[]> => (await completeLine(line, source))[0].map((word) => word.trim())
  assert.equal(await words('price '), ['coreHour=', 'gibHour=', 'gpuHour=', 'moved=', 'fuel='])
  assert.equal(await words('caps da'), ['day='])
  assert.equal(await words('caps day='), ['day=none'])
  assert.equal(await words('withdraw e'), ['earnings'])
  assert.equal(await words('help mon'), ['money'])
})

test.run()

/** The demo, small: five node processes, a liar, a death, a chain; and sums that agree to the wei, or are told when they do not. */
import { spawnSync } from 'node:child_process'
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { audit } from '../../node/demo/audit.ts'
import type { Evidence } from '../../node/demo/audit.ts'
import { runDemo } from '../../node/demo/demo.ts'
import type { DemoOptions } from '../../node/demo/demo.ts'

/** 8 core-seconds at thirty times the demo's price, a ticket every quarter of one: some fifteen winners, so none at all once in a million runs. */
const SCENE = { tiles: 16, width: 320, height: 200, samples: 8 }
const MOMENT_MS = 10_000
const PRICES = { coreHourGwei: 7_500_000_000, unitMs: 250 }

const test = suite<{ dir: string, outerTmp: string | undefined }>('demo')
test.before.each(async (context) => {
  context.outerTmp = process.env['TMPDIR']
  context.dir = await mkdtemp(join(tmpdir(), 'hearth-test-'))
  // what the demo makes for itself can be told from everything else
  process.env['TMPDIR'] = join(context.dir)
})
test.after.each(async ({ dir, outerTmp }) => {
  if (outerTmp === undefined) delete process.env['TMPDIR']
  else process.env['TMPDIR'] = outerTmp
  await rm(dir, { recursive: true, force: true })
})

function quiet(onText: (text: string) => void = () => {}): Writable {
  return new Writable({ write: (chunk, _encoding, done) => { onText(String(chunk)); done() } })
}

function options(dir: string, over: Partial<DemoOptions>): DemoOptions {
  return { prices: PRICES, png: join(dir, 'demo.png'), scene: SCENE, stdout: quiet(), stderr: quiet(), signal: new AbortController().signal, afterwards: async () => {}, ...over }
}

/** Folders and processes of a demo in this folder. Runs of sandboxes die by themselves when their node does, a moment later. */
async function leftIn(dir: string): Promise<string[]> {
  const folders = (await readdir(dir)).filter((name) => name !== 'demo.png')
  const processes = (): string[] => spawnSync('ps', ['-A', '-o', 'args'], { encoding: 'utf8' }).stdout.split('\n').filter((line) => line.includes(dir))
  const endMonoMs = performance.now() + MOMENT_MS
  for (let left = processes(); ; left = processes()) {
    const nodes = left.filter((line) => !line.includes('run-child'))
    if (left.length === 0 || nodes.length > 0 || performance.now() > endMonoMs) return [...folders, ...left]
  }
}

/** Each is one wei, or one ticket, beside the truth. */
const LIES: Record<string, (evidence: Evidence) => void> = {
  'a deposit that shrank by more': ({ after, payer }) => { oneWeiLess(after, payer.address, 'depositWei') },
  'a credit that grew by less': ({ after, providers }) => { oneWeiLess(after, providers[0]!.address, 'creditWei') },
  'gas that no receipt shows': ({ after, providers }) => { oneWeiLess(after, providers[1]!.address, 'coinWei') },
  'coin that the contract lacks': ({ after }) => { (after as { brokerWei: bigint }).brokerWei -= 1n },
  'a redemption told twice': ({ after }) => { (after.redemptions as unknown[]).push(after.redemptions[0]) },
  'a winner that was not redeemed': ({ providers }) => { providers[0]!.books.earned[0]!.wins++ },
  'a ticket that its provider forgot': ({ providers }) => { providers[0]!.books.earned[0]!.tickets-- },
  'a ticket that its payer forgot': ({ payer }) => { payer.books.paid[0]!.issued-- }
}

function oneWeiLess({ accounts }: Evidence['after'], address: string, field: 'depositWei' | 'creditWei' | 'coinWei'): void {
  const account = accounts.get(address)!
  Object.assign(account, { [field]: account[field] - 1n })
}

test('five nodes paint a picture for money, and both sides\' books agree with the chain to the wei', async ({ dir }) => {
  let text = ''
  const report = await runDemo(options(dir, { stderr: quiet((chunk) => { text += chunk }) }))
  assert.is(report?.job.state, 'done')
  assert.equal(report?.caught, ['cleo'])
  assert.equal(report?.lost, ['dan'])
  assert.ok((await stat(join(dir, 'demo.png'))).size > 10_000)
  assert.equal(report?.money?.waiting, [])
  const { audit: sums, evidence } = report!.money!
  assert.equal(sums.disagreements, [])
  const total = sums.earnings.reduce((all, one) => all + one.redeemedWei, 0n)
  assert.ok(total > 0n, 'nothing was redeemed')
  assert.is(sums.depositBeforeWei - sums.depositAfterWei, total)
  for (const { name, tickets, expected } of sums.earnings) assert.ok(tickets > 0 && expected > 0n, `${name} was not paid`)
  assert.ok(sums.earnings.find(({ name }) => name === 'cleo')!.forfeited > 0n, 'the liar was paid all the same')
  assert.match(text, 'The sums agree with the chain to the wei')
  assert.equal(await leftIn(dir), [])
  for (const [lie, tell] of Object.entries(LIES)) {
    const told = structuredClone(evidence)
    tell(told)
    assert.ok(audit(told).disagreements.length > 0, `nobody saw ${lie}`)
  }
})

test('Ctrl-C in the middle of the job ends it, and leaves no node, chain or folder', async ({ dir }) => {
  const abort = new AbortController()
  let text = ''
  const report = await runDemo(options(dir, { signal: abort.signal, stderr: quiet((chunk) => {
    text += chunk
    if (text.includes('job running')) abort.abort()
  }) }))
  assert.is(report, undefined)
  assert.match(text, 'job running')
  assert.equal(await leftIn(dir), [])
})

test.run()

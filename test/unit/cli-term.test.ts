/** What is drawn: widths, tables, bars, live lines, and the model behind a live job. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { LinePrefixer } from '../../node/cli/line-prefixer.ts'
import { formatHours } from '../../node/cli/hours.ts'
import { bar, percent } from '../../node/cli/term/bar.ts'
import { Live } from '../../node/cli/term/live.ts'
import { paintFor, plain } from '../../node/cli/term/paint.ts'
import { fields, table } from '../../node/cli/term/table.ts'
import { clean, pad, truncate, width, wrap } from '../../node/cli/term/text.ts'
import { duration, relative } from '../../node/cli/term/time.ts'
import { JobModel } from '../../node/cli/views/job-model.ts'
import { jobLiveView } from '../../node/cli/views/job-live.ts'
import { formatWei } from '../../node/cli/views/money.ts'
import { parseHours } from '../../node/config/index.ts'
import { FakeApi, JOBS, NOW_WALL_MS, PEERS } from '../helpers/fake-api.ts'
import { VirtualTerminal } from '../helpers/virtual-terminal.ts'
import type { Column } from '../../node/cli/term/table.ts'
import type { View } from '../../node/cli/term/view.ts'
import type { Timestamped } from '../../node/api/contract.ts'

const view = (columns: number): View => ({ width: columns, paint: plain, nowWallMs: NOW_WALL_MS })
const TEXTS = ['plain', '夜の家', '👩‍👩‍👧‍👦 family', 'e\u0301clair', 'ｆｕｌｌ', '', 'x'.repeat(300), '日'.repeat(120)]

test('wide characters count two columns, combining ones none, colours none', () => {
  assert.equal(['夜の家', 'e\u0301', '👩‍👩‍👧‍👦', '\u001b[31mred\u001b[39m', 'abc'].map(width), [6, 1, 2, 3, 3])
})

test('a text cut to any width takes no more columns, and never half a character', () => {
  for (const text of TEXTS) {
    for (let columns = 0; columns < 40; columns++) {
      for (const at of ['end', 'middle'] as const) {
        const cut = truncate(text, columns, at)
        assert.ok(width(cut) <= columns, `${cut} in ${columns}`)
        assert.ok(cut.isWellFormed())
        if (width(text) <= columns) assert.is(cut, text)
      }
    }
  }
  assert.is(truncate('👩‍👩‍👧‍👦👩‍👩‍👧‍👦', 3), '👩‍👩‍👧‍👦…')
  assert.is(truncate('/ip4/192.168.1.20/tcp/4150', 12, 'middle'), '/ip4/1…/4150')
})

test('wrapped text fits and loses nothing', () => {
  const text = `one two three ${'long'.repeat(20)} 夜の家夜の家夜の家 four`
  for (const columns of [5, 8, 20, 40, 80]) {
    const lines = wrap(text, columns, '  ')
    for (const line of lines) assert.ok(width(line) <= columns, `${line} in ${columns}`)
    assert.is(lines.join('').replaceAll(' ', ''), text.replaceAll(' ', ''))
  }
})

test('text of strangers becomes one harmless line', () => {
  assert.is(clean('a\u001b[2Jb\nc\td\u0007\u202ee\u2028f'), 'ab c de f')
})

const COLUMNS: Column[] = [{ title: 'id' }, { title: 'name', min: 6 }, { title: 'size', align: 'right', keep: 1 }, { title: 'address', min: 8, keep: 0, cut: 'middle' }]

test('tables fit every window, whatever is in them', () => {
  const rows = TEXTS.map((text, i) => [`id${i}`, text, String(10 ** i), `/ip4/10.0.0.${i}/tcp/4150/p2p/${'Q'.repeat(40)}`])
  for (let columns = 10; columns <= 220; columns++) {
    const lines = table(COLUMNS, rows, view(columns))
    assert.is(lines.length, rows.length + 1)
    for (const line of lines) assert.ok(width(line) <= columns, `${width(line)} of ${columns}: ${line}`)
  }
})

test('the least wanted columns go first, and none while all fit', () => {
  const rows = [['a', 'name', '12', 'somewhere far away']]
  const titles = (columns: number): string[] => (table(COLUMNS, rows, view(columns))[0] ?? '').trim().split(/\s+/)
  assert.equal(titles(80), ['id', 'name', 'size', 'address'])
  assert.equal(titles(18), ['id', 'name', 'size'])
  assert.equal(titles(10), ['id', 'name'])
})

test('columns of a table line up with wide characters in them', () => {
  const lines = table([{ title: 'name' }, { title: 'n', align: 'right' }], [['夜の家', '1'], ['ab', '10']], view(40))
  assert.equal(lines, ['name     n', '夜の家   1', 'ab      10'])
})

test('cells are coloured after they are cut', () => {
  const [, line] = table([{ title: 't', min: 4 }], [[{ text: 'x'.repeat(30), style: 'red' }]], { ...view(5), paint: paintFor(8) })
  assert.is(line, '\u001b[31mxxxx…\u001b[39m')
})

test('labels line up and long values are cut', () => {
  assert.equal(fields([['a', 'x'.repeat(30)], ['long', 'y']], view(12)), ['a     xxxxx…', 'long  y'])
})

test('a bar has its width at every fraction, and is full only at the end', () => {
  for (let i = -1; i <= 101; i++) assert.is(width(bar(i / 100, 17, view(80))), 17)
  assert.is(bar(1, 4, view(80)), '████')
  assert.is(bar(0.5, 4, view(80)), '██░░')
  assert.is(bar(Number.NaN, 4, view(80)), '░░░░')
  assert.is(percent(0.9999), '99 %')
  assert.is(percent(1), '100 %')
})

test('times are said as people say them', () => {
  assert.equal([0, 5_000, 65_000, 3 * 3_600_000, 50 * 3_600_000, -5_000].map((ago) => relative(NOW_WALL_MS - ago, NOW_WALL_MS)), ['just now', '5 s ago', '1 m ago', '3 h ago', '2 d ago', 'in 5 s'])
  assert.equal([60_000, 61_000, 3_600_000, 9_000].map(duration), ['1 m', '1 m 1 s', '1 h', '9 s'])
})

test('amounts keep the digits that matter', () => {
  assert.equal(['0', '1', '1500000000000000', '1000000000000000000', '12345678900000000000', '1234567891234567'].map(formatWei), ['0', '0.000000000000000001', '0.0015', '1', '12.345678', '0.00123456'])
})

test('hours read back as they are shown', () => {
  for (const text of ['22:00-08:00', 'mon-fri 18:00-07:30', 'sat+sun 00:00-24:00', 'mon+wed-fri 01:00-02:00', 'sun 10:00-11:00']) {
    const hours = parseHours(text)!
    assert.is(formatHours([hours]), text)
  }
  assert.is(formatHours([]), 'always')
})

test('lines of many tasks are never mixed', () => {
  const prefixer = new LinePrefixer()
  const say = (task: number, text: string): string => prefixer.add(String(task), `[${task}] `, Buffer.from(text)).toString()
  assert.is(say(0, 'a') + say(1, 'b\nc') + say(0, 'd\n') + say(1, '\n\n'), '[1] b\n[0] ad\n[1] c\n[1] \n')
  say(2, 'rest')
  assert.equal(prefixer.rest().map(([, bytes]) => bytes.toString()), ['[2] rest\n'])
  assert.ok(say(3, 'x'.repeat(70_000)).length > 70_000)
})

test('live lines replace themselves; what is printed meanwhile stays above; the last state stays', () => {
  const screen = new VirtualTerminal(40)
  let lines = ['one', 'two']
  const live = new Live(screen, () => lines)
  assert.equal(screen.lines, ['one', 'two'])
  lines = ['three']
  live.draw()
  live.around(() => screen.write('printed\n'))
  lines = ['four', 'five']
  live.draw()
  assert.equal(screen.lines, ['printed', 'four', 'five'])
  live.end(['last'])
  assert.equal(screen.lines, ['printed', 'last'])
})

test('live lines that a narrower window has wrapped are taken away whole', () => {
  const screen = new VirtualTerminal(40)
  screen.write('before\n')
  let lines = ['x'.repeat(30), 'y']
  const live = new Live(screen, () => lines)
  screen.resize(20)
  assert.equal(screen.lines, ['before', 'x'.repeat(20), 'x'.repeat(10), 'y'])
  lines = ['z']
  live.draw()
  assert.equal(screen.lines, ['before', 'z'])
  live.end()
})

async function model(): Promise<JobModel> {
  return new JobModel(await new FakeApi().job(JOBS[0]))
}

const task = (index: number, state: 'leased' | 'running' | 'done' | 'failed' | 'retry', peer: number, wallMs: number, fraction?: number): Timestamped =>
  ({ kind: 'task', job: JOBS[0], task: index, state, peer: PEERS[peer] ?? '', code: 'E_NONE', message: '', wallMs, ...(fraction === undefined ? {} : { fraction }) })

test('a live job begins with what is done, and counts what it hears again only once', async () => {
  const live = await model()
  assert.is(live.done.size, 20)
  const { timeline } = await new FakeApi().job(JOBS[0])
  for (const notice of timeline) live.apply(notice)
  assert.is(live.providers.get(PEERS[2])?.wrong, 1)
  live.apply(task(5, 'done', 0, NOW_WALL_MS - 60_000))
  assert.is(live.done.size, 20)
  assert.is(live.providers.get(PEERS[0])?.done, 8)
  live.apply(task(40, 'done', 0, NOW_WALL_MS))
  assert.is(live.done.size, 21)
  assert.is(live.providers.get(PEERS[0])?.done, 9)
})

test('a live job knows its pace, what is left, and who works on what', async () => {
  const live = await model()
  for (let i = 0; i < 10; i++) live.apply(task(28 + i, 'done', i % 2, NOW_WALL_MS - 5_000 + i * 500))
  assert.is(Math.round((live.rate(NOW_WALL_MS) ?? 0) * 10), 20)
  live.apply(task(50, 'running', 0, NOW_WALL_MS, 0.5))
  const text = jobLiveView(live, ['a line of output'], view(100)).join('\n')
  assert.match(text, /30 of 64 tasks {2}2.0 tasks\/s {2}17 s left/)
  assert.match(text, '50 (50 %)')
  assert.match(text, 'caught')
  assert.match(text, '│ a line of output')
  live.apply({ kind: 'job', job: JOBS[0], state: 'done', code: 'E_NONE', message: '', wallMs: NOW_WALL_MS + 1 })
  assert.is(live.ended, true)
})

test('a live view fits every window', async () => {
  const live = await model()
  for (let i = 0; i < 10; i++) live.apply(task(28 + i, 'done', i % 2, NOW_WALL_MS - 5_000 + i * 500))
  for (let columns = 40; columns <= 200; columns += 5) {
    for (const line of jobLiveView(live, ['夜'.repeat(100), '\u001b[2J\u0007x'], view(columns))) {
      assert.ok(width(line) <= columns, `${width(line)} of ${columns}: ${line}`)
      assert.not.match(line, /\u0007/)
    }
  }
})

test('padding never cuts', () => {
  assert.is(pad('夜の家', 4), '夜の家')
  assert.is(pad('夜', 4, 'right'), '  夜')
})

test.run()

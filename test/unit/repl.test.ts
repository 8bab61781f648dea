/** The prompt, driven by keys through a terminal of our own. */
import { mkdtemp, readFile, rm, stat, writeFile, mkdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { stripVTControlCharacters } from 'node:util'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { commandsOf } from '../../node/cli/commands/index.ts'
import { completeLine } from '../../node/repl/complete.ts'
import { loadHistory, MAX_HISTORY_LINES, saveHistory } from '../../node/repl/history.ts'
import { runRepl } from '../../node/repl/index.ts'
import { quoteWord, splitWords } from '../../node/repl/words.ts'
import { FakeApi, JOBS, PEERS } from '../helpers/fake-api.ts'
import { VirtualTerminal } from '../helpers/virtual-terminal.ts'
import type { OutStream } from '../../node/cli/stream-out.ts'
import type { ReplEnd } from '../../node/repl/index.ts'

const ENTER = '\r'
const CTRL_C = '\u0003'
const CTRL_D = '\u0004'
const UP = '\u001b[A'
const LEFT = '\u001b[D'
const TAB = '\t'

class Screen extends PassThrough implements OutStream {
  readonly isTTY = true
  columns = 80
  rows = 40
  text = ''
  #wake = Promise.withResolvers<void>()

  constructor() {
    super()
    this.on('data', (chunk: Buffer) => { this.text += chunk.toString(); this.#wake.resolve(); this.#wake = Promise.withResolvers<void>() })
  }

  getColorDepth(): number {
    return 8
  }

  /** Waits until `words` were printed after `from`; returns where they end. */
  async until(words: string, from = 0): Promise<number> {
    for (;;) {
      const at = stripVTControlCharacters(this.text.slice(from)).indexOf(words)
      if (at !== -1) return this.text.length
      await this.#wake.promise
    }
  }
}

class Session {
  readonly input = new PassThrough()
  readonly screen = new Screen()
  readonly stop = new AbortController()
  readonly end: Promise<ReplEnd>
  readonly api: FakeApi
  at = 0

  constructor(api: FakeApi, dir: string, env: Record<string, string> = { NO_COLOR: '1' }) {
    this.api = api
    this.end = runRepl({ api, commands: commandsOf('repl'), input: this.input, output: this.screen, env, cwd: dir, historyFile: join(dir, 'history'), colour: true, signal: this.stop.signal })
  }

  /** Keys, one at a time as a person presses them; then waits for what they bring. */
  async type(keys: string, then: string): Promise<void> {
    const from = this.screen.text.length
    for (const key of keys.match(/\u001b\[.|[^]/gu) ?? []) this.input.write(key)
    this.at = await this.screen.until(then, from)
  }

  /** A line, its answer, and the prompt after it. */
  async enter(line: string, answer: string): Promise<void> {
    await this.type(line + ENTER, answer)
    await this.ready()
  }

  async ready(): Promise<void> {
    for (let from = this.screen.text.lastIndexOf('❯'); ; from = this.screen.text.lastIndexOf('❯')) {
      if (from !== -1 && !this.screen.text.slice(from).includes('\n')) return
      await this.screen.until('❯', from + 1)
    }
  }

  plain(): string {
    return stripVTControlCharacters(this.screen.text)
  }
}

const test = suite<{ dir: string, open: (api?: FakeApi) => Promise<Session>, sessions: Session[] }>('prompt')
test.before.each(async (context) => {
  context.dir = await mkdtemp(join(tmpdir(), 'hearth-repl-'))
  context.sessions = []
  context.open = async (api = new FakeApi()) => {
    const session = new Session(api, context.dir)
    context.sessions.push(session)
    await session.ready()
    return session
  }
})
test.after.each(async ({ dir, sessions }) => {
  for (const session of sessions) { session.stop.abort(); await session.end; session.input.destroy() }
  await rm(dir, { recursive: true })
})

test('it says who the node is, what it lends, and what to type', async ({ open }) => {
  const session = await open()
  assert.match(session.plain(), 'this node is QmXf7Tza · 3 peers')
  assert.match(session.plain(), 'lends 4 cores')
  assert.match(session.plain(), 'submit config/examples/hello/job.yaml')
})

test('commands answer as in a shell, with and without "hearth" before them', async ({ open }) => {
  const session = await open()
  await session.enter('jobs', 'word-count')
  await session.enter('hearth status', 'your jobs')
  await session.enter('jobs --json', '"bafyreihq3k')
  await session.enter('jobs --help', 'usage')
  await session.enter('help', 'your jobs')
  assert.not.match(session.plain(), '--data-dir=DIR')
})

test('a wrong line is an error with a hint, and the prompt goes on', async ({ open }) => {
  const session = await open()
  await session.enter('jbos', 'Did you mean "jobs"')
  await session.enter('share core=4', 'Did you mean "cores"')
  await session.enter('up', 'E_COMMAND_PLACE')
  await session.enter('key protect', 'hearth key')
  await session.enter('jobs --data-dir /x', 'E_OPTION_CLASH')
  await session.enter('share hours "22:00', 'A quote (") is not closed')
  await session.enter('', '❯')
  await session.enter('# a remark', '❯')
  await session.enter('jobs', 'word-count')
})

test('quotes keep words together', async ({ open }) => {
  const session = await open()
  await session.enter('share hours "mon-fri 22:00-08:00, sat+sun 00:00-24:00" cores=2', 'Lending')
  assert.equal(session.api.given['setShare'], { hours: [{ days: [1, 2, 3, 4, 5], fromMinute: 1320, toMinute: 480 }, { days: [0, 6], fromMinute: 0, toMinute: 1440 }], cores: 2 })
})

test('Ctrl-C ends the running command and not the node', async ({ open }) => {
  const session = await open()
  await session.type(`watch${ENTER}`, 'watch')
  while (session.api.readers < 2) await session.api.status()
  await session.type(CTRL_C, '❯')
  assert.is(session.api.readers, 1)
  await session.enter('jobs', 'word-count')
  assert.not(session.api.calls.includes('shutdown'))
})

test('Ctrl-C takes back what is typed, and says how to leave when nothing is', async ({ open }) => {
  const session = await open()
  await session.type(`submit something${CTRL_C}`, '^C')
  await session.enter('jobs', 'word-count')
  assert.not(session.api.calls.includes('submit'))
  await session.type(CTRL_C, 'Ctrl-D leaves')
})

test('what happens meanwhile is printed above the line, and the line stays', async ({ open }) => {
  const session = await open()
  await session.type('cancel hq', 'cancel hq')
  session.api.publish({ kind: 'caught', job: JOBS[0], task: 7, peer: PEERS[2], message: 'it differs', wallMs: Date.now() })
  session.at = await session.screen.until('caught bT5pZZZz on task 7')
  await session.ready()
  assert.match(session.plain().slice(-40), '❯ cancel hq')
  await session.enter('3k', 'cancelled hq3k5q2m')
  assert.is(session.api.given['cancel'], JOBS[0])
})

test('a line longer than the window stays whole on the screen when notices come, wherever the cursor is', async ({ open }) => {
  const session = await open()
  session.screen.columns = 30
  session.screen.emit('resize')
  const terminal = new VirtualTerminal(30)
  terminal.write(session.screen.text.slice(session.screen.text.lastIndexOf('\n') + 1))
  session.screen.on('data', (chunk: Buffer) => terminal.write(chunk.toString()))
  const long = Array.from({ length: 12 }, (_, i) => `word${i}`).join(' ')
  await session.type(long, 'word11')
  const rows = `hearth ❯ ${long}`.match(/.{1,30}/g)?.map((row) => row.trimEnd())
  assert.equal(terminal.lines, rows)
  for (const [i, moves] of [0, 25, 40].entries()) {
    for (let left = 0; left < moves; left++) session.input.write(LEFT)
    session.api.publish({ kind: 'job', job: JOBS[i] ?? '', state: 'done', code: 'E_NONE', message: '', wallMs: Date.now() })
    await session.screen.until(`job done`, session.at)
    session.at = session.screen.text.length
    await session.ready()
    assert.equal(terminal.lines.slice(i + 1), rows)
    assert.equal(terminal.lines.slice(0, i + 1).map((line) => line.slice(-8)), Array.from({ length: i + 1 }, () => 'job done'))
  }
  await session.type(CTRL_C, '^C')
})

test('small news are kept back, and a job that a command shows is not announced again', async ({ open }) => {
  const session = await open()
  session.api.publish({ kind: 'bid', job: JOBS[0], peer: PEERS[0], wallMs: Date.now() })
  await session.type(`watch last${ENTER}`, 'path-tracer')
  while (session.api.readers < 2) await session.api.status()
  session.api.publish({ kind: 'job', job: JOBS[1], state: 'failed', code: 'E_NO_PROVIDER', message: 'no provider answered', wallMs: Date.now() })
  session.api.publish({ kind: 'job', job: JOBS[0], state: 'done', code: 'E_NONE', message: '', wallMs: Date.now() })
  await session.screen.until('hq3zzzzm')
  await session.ready()
  const after = session.plain().slice(session.plain().indexOf('hq3zzzzm  ✗'))
  assert.match(after, 'no provider answered')
  assert.not.match(session.plain(), 'hq3k5q2m  ✓ job done')
  assert.not.match(session.plain(), 'bid from')
})

test('what is typed while a command runs is done after it', async ({ open }) => {
  const session = await open()
  await session.type(`watch${ENTER}`, 'watch')
  while (session.api.readers < 2) await session.api.status()
  const from = session.screen.text.length
  for (const key of `peers${ENTER}stat`) session.input.write(key)
  session.input.write(CTRL_C)
  await session.screen.until('latency', from)
  await session.ready()
  await session.screen.until('❯ stat', from)
  await session.enter('us', 'your jobs')
})

test('the prompt is not drawn over output without a line end', async ({ open, dir }) => {
  const api = new FakeApi()
  api.logChunks = [{ task: 0, peer: PEERS[0], stream: 'stdout', bytes: Buffer.from('no line end').toString('base64') }]
  const session = await open(api)
  await writeFile(join(dir, 'a.wasm'), '')
  await session.enter('run a.wasm', 'no line end\n')
})

test('Ctrl-D leaves', async ({ open }) => {
  const session = await open()
  session.input.write(CTRL_D)
  assert.equal(await session.end, { stopWithinMs: 0 })
})

test('exit leaves too, and so does the end of the input', async ({ open }) => {
  const first = await open()
  for (const key of `exit${ENTER}`) first.input.write(key)
  assert.equal(await first.end, { stopWithinMs: 0 })
  const second = await open()
  second.input.end()
  assert.equal(await second.end, { stopWithinMs: 0 })
})

test('leaving asks first when tasks of others run here', async ({ open }) => {
  const api = new FakeApi()
  api.running = 2
  const session = await open(api)
  await session.type(CTRL_D, 'Finish first?')
  await session.type(`s${ENTER}`, '❯')
  await session.enter('jobs', 'word-count')
  await session.type(CTRL_D, '2 tasks of others run here')
  session.input.write('n')
  session.input.write(ENTER)
  assert.equal(await session.end, { stopWithinMs: 0 })
  const other = await open(api)
  await other.type(CTRL_D, 'Finish first?')
  other.input.write(ENTER)
  assert.equal(await other.end, { stopWithinMs: 60_000 })
})

test('Ctrl-D while a command runs does not leave', async ({ open }) => {
  const session = await open()
  await session.type(`watch${ENTER}`, 'watch')
  while (session.api.readers < 2) await session.api.status()
  session.input.write(CTRL_D)
  await session.type(CTRL_C, '❯')
  await session.enter('jobs', 'word-count')
})

test('the node\'s end ends the prompt', async ({ open }) => {
  const session = await open()
  session.stop.abort()
  assert.is(await session.end, undefined)
})

test('history is kept for the next time, owner-only, without answers to questions and lines begun by a space', async ({ open, dir }) => {
  const api = new FakeApi()
  const session = await open(api)
  await session.enter('jobs', 'word-count')
  await session.enter(' peers', 'latency')
  await session.enter('status', 'your jobs')
  api.running = 1
  await session.type(CTRL_D, 'Finish first?')
  await session.type(`s${ENTER}`, '❯')
  await session.type(UP, 'status')
  await session.type(UP, 'jobs')
  assert.is(await readFile(join(dir, 'history'), 'utf8'), 'jobs\nstatus\n')
  assert.is((await stat(join(dir, 'history'))).mode & 0o777, 0o600)
  session.stop.abort()
  await session.end
  const next = await open(new FakeApi())
  await next.type(UP, 'status')
  await next.type(ENTER, 'your jobs')
})

test('history has a bound, and a damaged file is no harm', async ({ dir }) => {
  const path = join(dir, 'h')
  assert.is(saveHistory(path, Array.from({ length: 5000 }, (_, i) => `line ${i}`)), true)
  assert.is(loadHistory(path).length, MAX_HISTORY_LINES)
  assert.is(loadHistory(path)[0], 'line 0')
  assert.equal(loadHistory(join(dir, 'none')), [])
  assert.is(saveHistory(join(dir, 'no', 'folder'), ['x']), false)
  await writeFile(path, Buffer.alloc(5 * 1024 * 1024, 'x'))
  assert.equal(loadHistory(path), [])
})

test('Tab completes commands, options, values, jobs, peers, topics and files', async ({ dir }) => {
  await writeFile(join(dir, 'render.yaml'), '')
  await writeFile(join(dir, 'with space.yaml'), '')
  await writeFile(join(dir, '.hidden'), '')
  await mkdir(join(dir, 'frames'))
  await writeFile(join(dir, 'frames', 'one.wasm'), '')
  const source = { api: new FakeApi(), commands: commandsOf('repl'), cwd: dir }
  const complete = async (line: string): Promise<string[]> => (await completeLine(line, source))[0]
  const cases: [string, string[]][] = [
    ['job', ['jobs ', 'job ']],
    ['hearth sta', ['status ']],
    ['jobs --st', ['--state=']],
    ['jobs --state=f', ['--state=failed ']],
    ['logs last --stream ', ['stdout ', 'stderr ', 'both ']],
    ['job hq3k', ['hq3k5q2m ']],
    ['job bafyreihq3k', [`${JOBS[0]} `]],
    ['why id', ['idle ']],
    ['rate QmX', ['QmXf7Tza ']],
    ['rate QmXf ', []],
    ['help E_FIT', ['E_FIT_']],
    ['help resu', ['results ', 'resume ']],
    ['why ', ['hq3k5q2m ', 'hq3zzzzm ', 'abcdefgm ', 'last ', 'idle ']],
    ['submit ren', ['render.yaml ']],
    ['submit wi', ['with\\ space.yaml ']],
    ['submit f', ['frames/']],
    ['submit frames/', ['frames/one.wasm ']],
    ['submit .h', ['.hidden ']],
    ['run --in f', ['frames/']],
    ['share mem', ['memory=']],
    ['share enabled=', ['enabled=on ', 'enabled=off ']],
    ['share gpus o', ['on ', 'off ']],
    ['submit none/', []],
    ['nonsense x', []],
    ['submit render.yaml --to ', ['frames/', 'render.yaml ', 'with\\ space.yaml ']]
  ]
  for (const [line, expected] of cases) assert.equal((await complete(line)).sort(), expected.sort(), line)
  assert.ok((await complete('')).length > 20)
  assert.ok((await complete('jobs --')).includes('--json '))
  assert.not((await complete('jobs --')).includes('--data-dir='))
})

test('Tab works at the prompt, and a node that does not answer completes nothing', async ({ open }) => {
  const api = new FakeApi()
  const session = await open(api)
  await session.type(`cancel hq3k${TAB}`, 'hq3k5q2m ')
  await session.enter('', 'cancelled hq3k5q2m')
  api.jobs = async () => { throw new Error('no') }
  await session.type(`job h${TAB}x`, 'job hx')
})

test('Tab pressed twice completes once', async ({ open }) => {
  const session = await open(new FakeApi())
  await session.type(`cancel hq3k${TAB}${TAB}`, 'hq3k5q2m ')
  await session.enter('', 'cancelled hq3k5q2m')
})

test('what `watch` has shown is not told again as news', async ({ open }) => {
  const api = new FakeApi()
  const session = await open(api)
  await session.type(`watch${ENTER}`, 'watch')
  while (api.readers < 2) await new Promise(setImmediate)
  const from = session.screen.text.length
  api.publish({ kind: 'job', job: JOBS[0], state: 'done', code: 'E_NONE', message: 'all done', wallMs: 0 })
  await session.screen.until('job done: all done', from)
  await session.type(CTRL_C, 'hearth ❯')
  await session.enter('status', 'your jobs')
  assert.is(session.screen.text.slice(from).split('all done').length, 2)
})

test('words are cut as in a shell, and quoted back', () => {
  const words = (line: string): string[] => splitWords(line, '/home/me').words
  assert.equal(words('a  "b c" \'d "e"\' f\\ g h"i j"k'), ['a', 'b c', 'd "e"', 'f g', 'hi jk'])
  assert.equal(words('say "a \\"b\\" \\\\ c" "" \'\''), ['say', 'a "b" \\ c', '', ''])
  assert.equal(words('C:\\Users\\me\\job.yaml ~/x "~/y" ~ a~'), ['C:\\Users\\me\\job.yaml', '/home/me/x', '~/y', '/home/me', 'a~'])
  assert.is(splitWords('a "b').open, '"')
  assert.is(splitWords('a \'b').open, '\'')
  for (const word of ['plain', 'with space', 'q"uo\'te', 'back\\slash', '夜 の', 'tab\there']) assert.equal(words(`x ${quoteWord(word)} y`), ['x', word, 'y'])
})

test.run()

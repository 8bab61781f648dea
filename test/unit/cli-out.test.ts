/** Where commands say things: how many writes it takes, in which order they leave, and that a stalled reader fills no memory. */
import { once } from 'node:events'
import { Writable } from 'node:stream'
import { setImmediate as tick } from 'node:timers/promises'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { StreamOut } from '../../node/cli/stream-out.ts'
import { FakeApi, JOBS, NOW_WALL_MS, PEERS } from '../helpers/fake-api.ts'
import { runCli } from '../helpers/shell.ts'
import { nodeHost } from '../../node/cli/node-host.ts'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Timestamped } from '../../node/api/contract.ts'

/** A pipe that counts writes; a stalled one takes one and answers when it is let go on. */
class Pipe extends Writable {
  readonly writes: string[] = []
  readonly #log: string[]
  readonly #stalled: Promise<void> | undefined

  constructor(log: string[] = [], stalled?: Promise<void>) {
    super({ highWaterMark: 1024, decodeStrings: false })
    this.#log = log
    this.#stalled = stalled
  }

  override _write(piece: string | Buffer, _encoding: string, done: () => void): void {
    this.writes.push(String(piece))
    this.#log.push(String(piece))
    if (this.#stalled === undefined) done()
    else void this.#stalled.then(done)
  }
}

function outTo(stdout: Writable, stderr: Writable, signal = new AbortController().signal): StreamOut {
  return new StreamOut({ stdout, stderr, json: false, colour: false, env: {}, cwd: '/', signal, ask: async () => undefined })
}

test('lines of one tick leave in one write, in their order', async () => {
  const pipe = new Pipe()
  const out = outTo(pipe, new Pipe())
  for (let i = 0; i < 50; i++) void out.item(i, () => [`line ${i}`])
  await tick()
  assert.is(pipe.writes.length, 1)
  assert.is(pipe.writes[0], Array.from({ length: 50 }, (_, i) => `line ${i}\n`).join(''))
  void out.item(50, () => ['later'])
  await tick()
  assert.is(pipe.writes[1], 'later\n')
})

test('what is said on standard error and what a task prints keeps its place', () => {
  const log: string[] = []
  const out = outTo(new Pipe(log), new Pipe(log))
  out.result(1, () => ['first'])
  out.note(() => ['second'])
  out.result(1, () => ['third'])
  void out.raw('stdout', Buffer.from('fourth\n'))
  out.result(1, () => ['fifth'])
  out.finish()
  assert.equal(log, ['first\n', 'second\n', 'third\n', 'fourth\n', 'fifth\n'])
})

test('a reader that stalls holds the writer back, and the end of a command does not wait for it', async () => {
  const reader = Promise.withResolvers<void>()
  const pipe = new Pipe([], reader.promise)
  const abort = new AbortController()
  const out = outTo(pipe, new Pipe(), abort.signal)
  void out.item(0, () => ['x'.repeat(2_000)])
  await tick()
  let written = 1
  const writing = (async () => {
    while (!abort.signal.aborted && written < 1_000) { await out.item(0, () => ['y'.repeat(2_000)]); written++ }
  })()
  await tick()
  await tick()
  assert.ok(written < 5, `${written} items were taken from the node for a reader that reads none`)
  abort.abort()
  await writing
  reader.resolve()
  out.finish()
  if (pipe.writableLength > 0) await once(pipe, 'drain')
  assert.ok(pipe.writes.join('').length < 20_000)
})

test('a node without a prompt logs how jobs and tasks ended, not each step on the way', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'hearth-log-'))
  const api = new FakeApi()
  const events = api.events.bind(api)
  const task = (index: number, state: Extract<Timestamped, { kind: 'task' }>['state']): Timestamped => ({ kind: 'task', job: JOBS[0], task: index, peer: PEERS[0], state, code: 'E_NONE', message: '', wallMs: NOW_WALL_MS })
  const hosting = (state: Extract<Timestamped, { kind: 'hosting' }>['state']): Timestamped => ({ kind: 'hosting', job: JOBS[1], requester: PEERS[1], task: 9, state, code: 'E_NONE', message: '', wallMs: NOW_WALL_MS })
  api.events = (request, signal) => {
    const stream = events(request, signal)
    api.publish({ kind: 'bid', job: JOBS[0], peer: PEERS[0], wallMs: NOW_WALL_MS })
    for (const state of ['leased', 'running', 'committed', 'revealed', 'done'] as const) api.publish(task(3, state))
    api.publish(task(4, 'failed'))
    for (const state of ['accepted', 'running', 'finished', 'settled'] as const) api.publish(hosting(state))
    api.publish({ kind: 'job', job: JOBS[0], state: 'done', code: 'E_NONE', message: '', wallMs: NOW_WALL_MS })
    setImmediate(() => { api.stopped.resolve() })
    return stream
  }
  try {
    const host = nodeHost({ version: '0.1.0', createNode: async () => ({ api, stopped: api.stopped.promise }) })
    const { code, stdout, stderr } = await runCli(['up', '--headless', '--data-dir', dir], { api, cwd: dir, host })
    assert.is(code, 0, stderr)
    const said = stdout.trim().split('\n').slice(3).map((line) => line.replace(/^\S+\s+\S+\s+\S /, ''))
    assert.is(said.length, 5, stdout)
    assert.match(said[0]!, /^task 3 done by/)
    assert.match(said[1]!, /^task 4 failed on/)
    assert.match(said[2]!, /^task 9 finished here for/)
    assert.match(said[3]!, /^job done/)
  } finally {
    await rm(dir, { recursive: true })
  }
})

test.run()

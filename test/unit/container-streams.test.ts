import { mkdtempSync, readdirSync, readFileSync, rmSync, existsSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import * as fc from 'fast-check'
import { Demultiplexer, KeptLog, ProgressScanner } from '../../node/containers/container-logs.ts'
import { OutputCollector, OutputRefusal } from '../../node/containers/container-outputs.ts'
import { encodeOrders, FrameFault, FrameParser, MARK_BYTES, MarkFinder, type Frame } from '../../node/containers/init-protocol.ts'
import { RunClock } from '../../node/containers/run-clock.ts'
import { readUsage, usedUpMemory, type ContainerUsage } from '../../node/containers/usage.ts'
import { HostFault } from '../../node/sandbox/host-fault.ts'

/** The same bytes, cut anywhere. */
function cut(bytes: Buffer, sizes: number[]): Buffer[] {
  const pieces: Buffer[] = []
  let at = 0
  for (let n = 0; at < bytes.length; n++) {
    const size = Math.max(1, sizes[n % Math.max(1, sizes.length)] ?? 1)
    pieces.push(bytes.subarray(at, at + size))
    at += size
  }
  return pieces
}

function frame(kind: string, name: string | Buffer, value: bigint | number, body = Buffer.alloc(0)): Buffer {
  const bytes = Buffer.from(name)
  const head = Buffer.alloc(11)
  head.write(kind, 'latin1')
  head.writeUInt16LE(bytes.length, 1)
  head.writeBigUInt64LE(BigInt(value), 3)
  return Buffer.concat([head, bytes, body])
}

async function parsed(pieces: Buffer[]): Promise<{ frames: string[], body: string, ended: boolean }> {
  const frames: string[] = []
  let body = ''
  const parser = new FrameParser({ onFrame: ({ kind, name, value }) => { frames.push(`${kind} ${name.toString()} ${value}`) }, onBytes: (bytes) => { body += bytes.toString() } })
  for (const piece of pieces) await parser.push(piece)
  return { frames, body, ended: parser.ended }
}

const SIZES = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 20 })

test('the mark is found wherever the stream is cut, and what merely begins like it is the job\'s', () => {
  const mark = Buffer.alloc(MARK_BYTES, 'm')
  mark[MARK_BYTES - 1] = 33
  fc.assert(fc.property(fc.array(fc.constantFrom(Buffer.from('mmm'), Buffer.from('x'), mark.subarray(0, 20))), SIZES, (parts, sizes) => {
    const before = Buffer.concat(parts)
    const finder = new MarkFinder(mark)
    const got = cut(Buffer.concat([before, mark, Buffer.from('after')]), sizes).map((piece) => finder.push(piece))
    assert.is(Buffer.concat(got.map((each) => each.before)).toString('latin1'), before.toString('latin1'))
    assert.is(Buffer.concat(got.map((each) => each.after)).toString(), 'after')
  }))
  const finder = new MarkFinder(mark)
  finder.push(Buffer.from('mm'))
  assert.is(finder.rest().toString(), 'mm')
})

test('frames are read wherever they are cut', async () => {
  const stream = Buffer.concat([frame('U', '/x', 3, Buffer.from('abc')), frame('D', 'd', 0), frame('F', 'd/f', 5, Buffer.from('hello')), frame('F', 'empty', 0), frame('X', 'l', 0o120777), frame('E', '', 256)])
  await fc.assert(fc.asyncProperty(SIZES, async (sizes) => {
    assert.equal(await parsed(cut(stream, sizes)), { frames: ['U /x 3', 'D d 0', 'F d/f 5', 'F empty 0', 'X l 41471', 'E  256'], body: 'abchello', ended: true })
  }), { numRuns: 50 })
})

test('a stream cut short has no end, and one that breaks the rules is a fault', async () => {
  const stream = Buffer.concat([frame('F', 'f', 5, Buffer.from('hello')), frame('E', '', 0)])
  for (let length = 0; length < stream.length; length++) assert.not((await parsed([stream.subarray(0, length)])).ended)
  const faults = [frame('Z', '', 0), Buffer.concat([frame('E', '', 0), Buffer.from('x')]), frame('F', Buffer.alloc(5000), 0), frame('U', 'x', 2 ** 40)]
  for (const bytes of faults) {
    const fault = await parsed([bytes]).then(() => undefined, (err: unknown) => err)
    assert.instance(fault, FrameFault)
  }
})

test('any bytes at all end in frames or a fault', async () => {
  await fc.assert(fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), SIZES, async (bytes, sizes) => {
    const err = await parsed(cut(Buffer.from(bytes), sizes)).then(() => undefined, (err: unknown) => err)
    assert.ok(err === undefined || err instanceof FrameFault)
  }))
})

test('orders have the layout that process 1 reads', () => {
  const orders = encodeOrders({ mark: Buffer.alloc(MARK_BYTES, 1), workingDir: '/w', secrets: [{ name: 'k', bytes: Buffer.from('xyz') }] })
  assert.is(orders.toString('latin1'), `HRT1${'\u0001'.repeat(32)}\u0002\0\0\0/w\u0001\0\0\0\u0001\0\0\0k\u0003\0\0\0xyz`)
})

test('the engine\'s streams are told apart wherever they are cut', () => {
  const piece = (stream: number, text: string): Buffer => Buffer.concat([Buffer.from([stream, 0, 0, 0, 0, 0, 0, text.length]), Buffer.from(text)])
  const bytes = Buffer.concat([piece(1, 'out'), piece(2, ''), piece(2, 'error'), piece(1, 'put')])
  fc.assert(fc.property(SIZES, (sizes) => {
    const demultiplexer = new Demultiplexer()
    const texts = { 1: '', 2: '' }
    for (const part of cut(bytes, sizes)) for (const { stream, bytes } of demultiplexer.push(part)) texts[stream] += bytes.toString()
    assert.equal(texts, { 1: 'output', 2: 'error' })
  }))
  assert.throws(() => new Demultiplexer().push(Buffer.from('HTTP/1.1 500')), /neither/)
})

test('a log keeps what fits, counts the rest, and says that it was cut', () => {
  let shown = ''
  const log = new KeptLog(5, (bytes) => { shown += Buffer.from(bytes).toString() })
  for (const text of ['abc', 'def', 'ghi']) log.write(Buffer.from(text))
  assert.is(log.writtenBytes, 9)
  assert.match(Buffer.from(log.end()).toString(), /^abcde\n\[hearth: cut here.*\]\n$/)
  assert.match(shown, /^abcde\n\[hearth/)
  const whole = new KeptLog(5, () => undefined)
  whole.write(Buffer.from('12345'))
  assert.is(Buffer.from(whole.end()).toString(), '12345')
})

test('progress is told of well-formed lines only, not too often, and always at the end', () => {
  const told: string[] = []
  let nowMs = 0
  const scanner = new ProgressScanner((fraction, message) => { told.push(`${fraction} ${message}`) }, () => nowMs)
  const write = (text: string): void => { for (const piece of cut(Buffer.from(text), [7])) scanner.write(piece) }
  write('HEARTH_PROGRESS 0.25 one\u001b[2J\nHEARTH_PROGRESS 0.26 too soon\n')
  nowMs = 1000
  write('noise\nHEARTH_PROGRESS 2 no\nHEARTH_PROGRESS -1\nHEARTH_PROGRESS 1e0\n xHEARTH_PROGRESS 0.3\nHEARTH_PROGRESS .5\r\n')
  write(`HEARTH_PROGRESS 0.7 ${'long'.repeat(1000)}\nHEARTH_PROGRESS 1\nHEARTH_PROGRESS 1\n`)
  assert.equal(told, ['0.25 one [2J', '0.5 ', '1 '])
})

test('figures of both versions of control groups are read; what is odd is left out', () => {
  const read = (files: Record<string, string>): ContainerUsage => {
    const usage: ContainerUsage = {}
    for (const [path, text] of Object.entries(files)) readUsage(usage, path, text)
    return usage
  }
  assert.equal(read({ '/c/cpuacct.usage': '1500000000\n', '/m/memory.max_usage_in_bytes': '4096\n', '/m/memory.oom_control': 'oom_kill_disable 0\nunder_oom 0\noom_kill 2\n' }), { cpuMs: 1500, peakBytes: 4096, oomKills: 2 })
  assert.equal(read({ '/c/cpu.stat': 'usage_usec 1500\nuser_usec 1\n', '/m/memory.peak': '4096\n', '/m/memory.events': 'low 0\noom 1\noom_kill 1\noom_group_kill 0\n' }), { cpuMs: 1.5, peakBytes: 4096, oomKills: 1, limitHits: 1 })
  assert.equal(read({ '/c/cpuacct.usage': '-1\n', '/m/memory.peak': 'max\n', '/m/memory.events': '' }), {})
})

test('a kill for want of memory is the job\'s fault only where its own limit was reached', () => {
  assert.is(usedUpMemory({ oomKills: 0, peakBytes: 100 }, 100), undefined)
  assert.is(usedUpMemory({ oomKills: 1, peakBytes: 99 }, 100), 'own')
  assert.is(usedUpMemory({ oomKills: 1, peakBytes: 40 }, 100), 'host')
  assert.is(usedUpMemory({ oomKills: 1, peakBytes: 40, limitHits: 1 }, 100), 'own')
  assert.is(usedUpMemory({ oomKills: 1, limitHits: 0 }, 100), 'host')
  assert.is(usedUpMemory({ oomKills: 1 }, 100), 'own')
})

const LIMITS = { outBytes: 100_000, outFiles: 20 }

async function collect(dir: string, entries: [Frame['kind'], string | Buffer, Buffer?][], limits = LIMITS): Promise<OutputCollector> {
  const outputs = new OutputCollector(join(dir, 'result'), limits)
  for (const [kind, name, body] of entries) {
    await outputs.entry({ kind, name: Buffer.from(name), value: BigInt(body?.length ?? 0) })
    if (body !== undefined && body.length > 0) for (const piece of cut(body, [30_000])) await outputs.data(piece)
  }
  return outputs
}

async function inFolder(act: (dir: string) => Promise<void>): Promise<void> {
  const dir = mkdtempSync(join(tmpdir(), 'hearth-outputs-'))
  try {
    await act(dir)
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
}

test('small outputs stay in memory, large ones are in a folder, with all that came before', async () => {
  await inFolder(async (dir) => {
    const small = await (await collect(dir, [['D', 'd'], ['F', 'd/b', Buffer.from('bb')], ['F', 'a', Buffer.from('a')]])).finish(Buffer.from('o'), Buffer.from('e'))
    assert.equal(small.kind === 'memory' ? small.files.map(({ path, bytes }) => `${path}=${Buffer.from(bytes).toString()}`) : [], ['stdout=o', 'stderr=e', 'out/a=a', 'out/d/b=bb'])
    const big = Buffer.alloc(90_000, 'x')
    const large = await (await collect(dir, [['D', 'd'], ['F', 'd/b', Buffer.from('bb')], ['F', 'big', big], ['D', 'late'], ['F', 'late/empty', Buffer.alloc(0)]])).finish(Buffer.from('o'), Buffer.alloc(0))
    assert.is(large.kind, 'folder')
    assert.equal(readdirSync(join(dir, 'result'), { recursive: true }).map(String).sort(), ['out', 'out/big', 'out/d', 'out/d/b', 'out/late', 'out/late/empty', 'stderr', 'stdout'])
    assert.ok(readFileSync(join(dir, 'result/out/big')).equals(big))
  })
})

test('more files, or larger logs, than memory is for go to a folder too', async () => {
  await inFolder(async (dir) => {
    const many = Array.from({ length: 18 }, (_, n): [Frame['kind'], string, Buffer] => ['F', `f${n}`, Buffer.from('x')])
    assert.is((await (await collect(dir, many)).finish(Buffer.alloc(0), Buffer.alloc(0))).kind, 'folder')
  })
  await inFolder(async (dir) => {
    assert.is((await (await collect(dir, [])).finish(Buffer.alloc(70_000), Buffer.alloc(0))).kind, 'folder')
  })
})

test('C23: a name that leads elsewhere, hides something or does not fit is refused', async () => {
  const names = ['../a', '/etc/passwd', 'a/../../b', 'a//b', '.', '..', '-rf', 'd/-x', 'a\nb', 'a\\b', 'c:x', 'nul', 'x ', 'x.', Buffer.from([0x61, 0xff]), 'd/'.repeat(33) + 'f', 'n'.repeat(256), `${'long/'.repeat(250)}x`, '']
  for (const name of names) {
    for (const kind of ['F', 'D'] as const) {
      const err = await new OutputCollector('/nowhere', LIMITS).entry({ kind, name: Buffer.from(name), value: 0n }).then(() => undefined, (err: unknown) => err)
      assert.instance(err, OutputRefusal, JSON.stringify(name.toString()))
    }
  }
  const err = await new OutputCollector('/nowhere', LIMITS).entry({ kind: 'X', name: Buffer.from('link'), value: 0o120777n }).then(() => undefined, (err: unknown) => err)
  assert.instance(err, OutputRefusal)
})

test('more bytes or files than agreed are refused before they are stored, and nothing stays', async () => {
  await inFolder(async (dir) => {
    const outputs = await collect(dir, [['F', 'a', Buffer.alloc(80_000)]])
    const err = await outputs.entry({ kind: 'F', name: Buffer.from('b'), value: 2n ** 63n }).then(() => undefined, (err: unknown) => err)
    assert.instance(err, OutputRefusal)
    await outputs.discard()
    assert.not(existsSync(join(dir, 'result')))
  })
  const err = await collect('/nowhere', Array.from({ length: 21 }, (_, n): [Frame['kind'], string] => ['D', `d${n}`])).then(() => undefined, (err: unknown) => err)
  assert.instance(err, OutputRefusal)
  const twice = await collect('/nowhere', [['D', 'a'], ['F', 'a', Buffer.alloc(0)]]).then(() => undefined, (err: unknown) => err)
  assert.instance(twice, OutputRefusal)
})

test('a folder that cannot be made, or a file that stands there already, is this host\'s fault', async () => {
  await inFolder(async (dir) => {
    writeFileSync(join(dir, 'result'), 'in the way')
    const err = await collect(dir, [['F', 'a', Buffer.alloc(80_000)]]).then(() => undefined, (err: unknown) => err)
    assert.ok(err instanceof HostFault && err.code === 'E_CONTAINER_DISK')
  })
})

test('a run\'s time stands still while it is held, and holds are asked of the engine one after the other', async () => {
  const asked: boolean[] = []
  const clock = new RunClock({ wallMs: 60_000, suspended: true, onTime: () => undefined, pause: async (paused) => { asked.push(paused) } })
  const abort = new AbortController()
  const released = clock.released(abort.signal)
  clock.hold(true)
  clock.suspend(false)
  clock.hold(false)
  await released
  clock.start(Promise.resolve())
  clock.suspend(true)
  const ranMs = clock.ranMs
  clock.hold(true)
  clock.suspend(false)
  assert.is(clock.ranMs, ranMs)
  clock.hold(false)
  await clock.stop()
  assert.equal(asked, [true, false])
})

test.run()

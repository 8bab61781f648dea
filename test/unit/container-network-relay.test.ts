/** The relay that ships is what its source says, and pipes what it is given. It is built anew here, for a port and a socket of the test's own, where there is a compiler. */
import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { MAX_CONNECTIONS } from '../../node/containers/network/limits.ts'
import { RELAY_BINARIES, RELAY_COMPILERS } from '../../node/containers/network/relay/relay-binaries.ts'

const run = promisify(execFile)
const BUILD = join(import.meta.dirname, '../../node/containers/network/relay/build.sh')
/** Reported as not run, where there is no compiler or no emulator. */
const notRun = test.skip.bind(test)

/** The first line of what it says about itself; undefined where it is not installed. */
async function version(program: string): Promise<string | undefined> {
  return run(program, ['--version']).then(({ stdout }) => stdout.split('\n')[0], () => undefined)
}

interface Kind { arch: 'x64' | 'arm64', compiler: string | undefined, emulator: string[] | undefined }

const KINDS: Kind[] = [
  { arch: 'x64', compiler: await version('x86_64-linux-gnu-gcc'), emulator: process.arch === 'x64' ? [] : undefined },
  { arch: 'arm64', compiler: await version('aarch64-linux-gnu-gcc'), emulator: process.arch === 'arm64' ? [] : await version('qemu-aarch64-static') === undefined ? undefined : ['qemu-aarch64-static'] }
]

/** A relay of this processor whose job is `cat`: it ends when its standard input does. */
interface Running extends AsyncDisposable { port: number, job: ChildProcess, server: Server, dir: string }

/** Processes that were started with this file. */
async function pidsOf(file: string): Promise<number[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name))
  const commands = await Promise.all(pids.map(async (pid) => readFile(`/proc/${pid}/cmdline`, 'latin1').catch(() => '')))
  return pids.filter((_, n) => commands[n]?.split('\0').includes(file)).map(Number)
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  return typeof address === 'object' && address !== null ? address.port : 0
}

async function start(kind: Kind, serve: (socket: Socket) => void, command = ['cat']): Promise<Running> {
  const dir = await mkdtemp(join(tmpdir(), 'hearth-relay-'))
  const port = await freePort()
  await run(BUILD, [kind.arch, join(dir, 'relay'), `-DSOCKET_PATH="${dir}/s"`, `-DLISTEN_PORT=${port}`])
  const server = createServer({ allowHalfOpen: true }, (socket) => { socket.on('error', () => { socket.destroy() }); serve(socket) }).listen(`${dir}/s`)
  await once(server, 'listening')
  const [program = '', ...args] = [...kind.emulator ?? [], join(dir, 'relay'), ...command]
  const job = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'] })
  if (command[0] === 'cat') {
    job.stdin?.write('ready')
    await once(job.stdout ?? job, 'data')
  }
  return {
    port, job, server, dir,
    [Symbol.asyncDispose]: async () => {
      job.kill('SIGKILL')
      // outside a container nothing else ends the relay
      for (const pid of await pidsOf(join(dir, 'relay'))) process.kill(pid, 'SIGKILL')
      server.close()
      await rm(dir, { recursive: true, force: true })
    }
  }
}

const dialRelay = (port: number): Socket => connect({ port, host: '127.0.0.1', allowHalfOpen: true }).on('error', () => undefined)

async function collect(socket: Socket): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of socket) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}

for (const kind of KINDS) {
  const { arch, compiler, emulator } = kind
  const built = compiler === undefined ? notRun : test
  const live = compiler === undefined || emulator === undefined ? notRun : test

  test(`${arch}: the relay that ships is a small static program of that processor`, () => {
    const binary = Buffer.from(RELAY_BINARIES[arch], 'base64')
    assert.is(binary.toString('latin1', 0, 4), '\u007FELF')
    assert.is(binary.readUInt16LE(18), arch === 'x64' ? 62 : 183)
    assert.ok(binary.length < 8_192)
    const headers = Array.from({ length: binary.readUInt16LE(56) }, (_, n) => binary.readUInt32LE(64 + n * 56))
    // 1 load, 0x6474e551 the stack's permissions; an interpreter (3) or a dynamic section (2) would need the image's libraries
    assert.equal([...new Set(headers)].sort((a, b) => a - b), [1, 0x6474e551])
  })

  built(`${arch}: it is built from its source, byte by byte where the compiler is the same`, async () => {
    const dir = await mkdtemp(join(tmpdir(), 'hearth-relay-'))
    try {
      await run(BUILD, [arch, join(dir, 'relay')])
      const made = await readFile(join(dir, 'relay'))
      const shipped = Buffer.from(RELAY_BINARIES[arch], 'base64')
      if (compiler === RELAY_COMPILERS[arch]) assert.ok(made.equals(shipped), 'relay.c or build.sh was changed without running build.sh')
      else assert.ok(made.length < shipped.length * 2)
    } finally {
      await rm(dir, { recursive: true })
    }
  })

  live(`${arch}: megabytes pass both ways unchanged, and each way ends alone`, async () => {
    const sent = randomBytes(3 * 2 ** 20)
    await using relay = await start(kind, (socket) => {
      // answers only after the job has said all
      void collect(socket).then((got) => { socket.end(Buffer.concat([createHash('sha256').update(got).digest(), got])) })
    })
    const sockets = Array.from({ length: 4 }, () => dialRelay(relay.port))
    const answers = await Promise.all(sockets.map((socket) => { socket.end(sent); return collect(socket) }))
    for (const answer of answers) {
      assert.ok(answer.subarray(32).equals(sent))
      assert.ok(answer.subarray(0, 32).equals(createHash('sha256').update(sent).digest()))
    }
  })

  live(`${arch}: a job that does not read stops only its own connection, and loses nothing`, async () => {
    const flood = randomBytes(2 ** 23)
    await using relay = await start(kind, (socket) => { socket.once('data', (chunk: Buffer) => { socket.end(chunk.toString() === 'flood' ? flood : chunk) }) })
    const stuck = dialRelay(relay.port)
    stuck.end('flood')
    await once(stuck, 'readable')
    const other = dialRelay(relay.port)
    other.end('hello')
    assert.is((await collect(other)).toString(), 'hello')
    assert.ok((await collect(stuck)).equals(flood))
  })

  live(`${arch}: an answer to a request that was not read to its end arrives`, async () => {
    await using relay = await start(kind, (socket) => { socket.once('data', () => { socket.end('refused', () => { socket.destroy() }) }) })
    for (let n = 0; n < 20; n++) {
      const socket = dialRelay(relay.port)
      socket.write(Buffer.alloc(2 ** 20))
      assert.is((await collect(socket)).toString(), 'refused')
    }
  })

  live(`${arch}: 1000 connections are served in turn, and none is left over`, async () => {
    let most = 0
    let open = 0
    await using relay = await start(kind, (socket) => {
      most = Math.max(most, ++open)
      socket.once('close', () => { open-- })
      socket.pipe(socket)
    })
    const answers = await Promise.all(Array.from({ length: 1_000 }, async (_, n) => {
      const socket = dialRelay(relay.port)
      socket.end(`number ${n}`)
      return (await collect(socket)).toString() === `number ${n}`
    }))
    assert.is(answers.filter(Boolean).length, 1_000)
    assert.ok(most <= MAX_CONNECTIONS, `${most} at once`)
  })

  live(`${arch}: without a proxy behind it connections end, and the job goes on`, async () => {
    await using relay = await start(kind, () => undefined)
    relay.server.close()
    await rm(`${relay.dir}/s`, { force: true })
    assert.is((await collect(dialRelay(relay.port)).catch(() => Buffer.alloc(0))).length, 0)
    const said = once(relay.job.stdout ?? relay.job, 'data')
    relay.job.stdin?.write('still here')
    assert.is(String((await said)[0]), 'still here')
  })

  live(`${arch}: the job's streams, exit code and death are its own`, async () => {
    const outcome = async (...command: string[]): Promise<[number | null, string | null, string]> => {
      await using relay = await start(kind, () => undefined, command)
      let text = ''
      relay.job.stdout?.on('data', (chunk: Buffer) => { text += chunk.toString() })
      relay.job.stderr?.on('data', (chunk: Buffer) => { text += chunk.toString() })
      // `close` comes when nobody holds the streams any more, the relay neither
      const [code, signal] = await once(relay.job, 'close') as [number | null, string | null]
      return [code, signal, text]
    }
    assert.equal(await outcome('sh', '-c', 'echo out; echo err >&2; exit 7'), [7, null, 'out\nerr\n'])
    assert.equal((await outcome('sh', '-c', 'kill -TERM $$')).slice(0, 2), [null, 'SIGTERM'])
    // the shell's pid is the one that was started; its only child ever was waited for
    assert.equal(await outcome('sh', '-c', 'wait; read -r children < /proc/$$/task/$$/children; echo "[$children]"'), [0, null, '[]\n'])
    assert.equal((await outcome('no-such-program')).slice(0, 1), [127])
    assert.equal((await outcome('/no/such/program')).slice(0, 1), [127])
    assert.equal((await outcome('/')).slice(0, 1), [126])
    assert.match((await outcome('no-such-program'))[2], /hearth relay: cannot run no-such-program: not found/)
  })

  live(`${arch}: a script without a first line goes to the shell`, async () => {
    const dir = await mkdtemp(join(tmpdir(), 'hearth-relay-'))
    await writeFile(join(dir, 'script'), 'echo "$1 from $0"\n', { mode: 0o755 })
    await using relay = await start(kind, () => undefined, [join(dir, 'script'), 'hello'])
    const [chunk] = await once(relay.job.stdout ?? relay.job, 'data') as [Buffer]
    assert.is(chunk.toString(), `hello from ${join(dir, 'script')}\n`)
    await rm(dir, { recursive: true })
  })
}

test.run()

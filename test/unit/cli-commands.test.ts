/** Every command against a node's interface in memory: what a person sees, what a program reads, and its exit code. */
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { HearthError } from '../../src/errors.ts'
import { commandsOf } from '../../node/cli/commands/index.ts'
import { configCommand } from '../../node/cli/commands/config.ts'
import { keyCommand } from '../../node/cli/commands/key.ts'
import { upCommand } from '../../node/cli/commands/up.ts'
import { nodeHost } from '../../node/cli/node-host.ts'
import { width } from '../../node/cli/term/text.ts'
import { TOPICS } from '../../node/cli/topics/index.ts'
import { nodeKeys, readSeed, storeSeed } from '../../node/keys/index.ts'
import { FakeApi, JOBS, PEERS } from '../helpers/fake-api.ts'
import { runCli } from '../helpers/shell.ts'
import type { Shell } from '../../node/cli/shell.ts'
import type { RunOptions, Ran } from '../helpers/shell.ts'

const test = suite<{ dir: string }>('commands')
test.before(async (context) => {
  context.dir = await mkdtemp(join(tmpdir(), 'hearth-cli-'))
  await writeFile(join(context.dir, 'job.yaml'), 'module: a.wasm\n')
  await writeFile(join(context.dir, 'a.wasm'), '')
  await writeFile(join(context.dir, 'notes.txt'), 'text')
})
test.after(async ({ dir }) => rm(dir, { recursive: true }))

const shellOnly = {} as Shell
const commands = commandsOf('shell', [upCommand(shellOnly, () => []), keyCommand(shellOnly), configCommand(shellOnly)])
const chunk = (task: number, stream: 'stdout' | 'stderr', text: string, peer: string = PEERS[0]): FakeApi['logChunks'][number] => ({ task, peer, stream, bytes: Buffer.from(text).toString('base64') })

/** Words of every command that only asks the node. */
const LINES: string[][] = [
  [], ['jobs'], ['jobs', '--all'], ['jobs', '--state=failed'], ['job', 'last'], ['job', 'abcd'], ['why', 'last'], ['why', 'idle'], ['peers'], ['ads'], ['dial', '/ip4/1.2.3.4/tcp/1'], ['rate', 'QmXf', '4'],
  ['share'], ['share', 'cores=2'], ['images'], ['images', 'sign', `alpine@sha256:${'a1'.repeat(32)}`], ['images', 'remove', `sha256:${'a1'.repeat(32)}`], ['images', 'prune'], ['pause'], ['resume'], ['status'], ['doctor'], ['stop'], ['estimate', 'job.yaml'], ['results', 'last'], ['cancel', 'last'], ['submit', 'job.yaml'], ['submit', 'job.yaml', '-d'], ['submit', 'job.yaml', '--to', 'out'], ['run', 'a.wasm'],
  ['wallet'], ['fund', '0.5', 'eth'], ['bond', '0.5eth'], ['bond', '0.5 eth', '--jobs'], ['withdraw'], ['withdraw', 'deposit', '1', 'gwei'], ['withdraw', 'refunds'], ['tickets'], ['earnings'], ['earnings', '--by', 'job'], ['price'], ['price', 'coreHour=1gwei'], ['caps'], ['caps', 'day', '1', 'eth', 'job=none'], ['bill', 'last'],
  ['help'], ['help', 'jobs'], ['help', 'E_FIT_MEMORY'], ['version'], ...TOPICS.map(({ name }) => ['help', name])
]

test('each command answers, and with --json by one document alone', async ({ dir }) => {
  for (const words of LINES) {
    const text = await runCli(words, { api: new FakeApi(), cwd: dir })
    assert.is(text.code, 0, `${words.join(' ')}: ${text.stderr}`)
    if (words[0] !== 'run') assert.ok(text.stdout.trim() !== '', words.join(' '))
    assert.not.match(text.stdout + text.stderr, /\u001b|undefined|\[object|NaN/, words.join(' '))
    const json = await runCli([...words.slice(0, 1), '--json', ...words.slice(1)], { api: new FakeApi(), cwd: dir })
    assert.is(json.code, 0, words.join(' '))
    assert.is(json.stderr, '', words.join(' '))
    assert.not.throws(() => JSON.parse(json.stdout), undefined, words.join(' '))
  }
})

test('streams print one JSON document a line', async ({ dir }) => {
  const api = new FakeApi()
  api.logChunks = [chunk(0, 'stdout', 'a\n'), chunk(1, 'stderr', 'b\n')]
  const logs = await runCli(['logs', 'last', '--json'], { api, cwd: dir })
  assert.equal(logs.stdout.trim().split('\n').map((line) => (JSON.parse(line) as { task: number }).task), [0, 1])
  api.history = [{ kind: 'bid', job: JOBS[1], peer: PEERS[0], wallMs: 5 }]
  const events = await runCli(['watch', 'hq3z', '--json'], { api, cwd: dir })
  assert.equal(events.stdout.trim().split('\n').map((line) => JSON.parse(line) as unknown), [{ kind: 'bid', job: JOBS[1], peer: PEERS[0], wallMs: 5 }])
  assert.is(events.stderr, '')
})

test('every command tells its use, each option and argument, and an example that is right', async ({ dir }) => {
  for (const command of commands) {
    const { code, stdout } = await runCli([command.name, '--help'], { api: new FakeApi(), cwd: dir })
    assert.is(code, 0)
    assert.match(stdout, `hearth ${command.name}`)
    assert.ok(/^[A-Z][^.]*$/.test(command.summary), `${command.name}: "${command.summary}"`)
    for (const [name, spec] of Object.entries(command.options)) {
      assert.match(stdout, `--${name}`)
      assert.ok(spec.help.length > 8, `${command.name} --${name} is not explained`)
    }
    for (const { name, help } of command.positionals) assert.ok(help.length > 8 && stdout.includes(name.toUpperCase()), `${command.name} ${name} is not explained`)
    assert.ok(command.examples.length > 0, `${command.name} has no example`)
    for (const { line, says } of command.examples) {
      assert.ok(line.startsWith(command.name) && says !== '' && stdout.includes(line.slice(0, 20)), line)
      const [name, ...rest] = [...line.replace(/ > .*/, '').matchAll(/"([^"]*)"|(\S+)/g)].map((match) => match[0].replaceAll('"', ''))
      assert.is(name, command.name)
      assert.not.throws(() => command.parse(rest), undefined, `the example "${line}" is wrong`)
    }
  }
})

test('help lists every command and topic, in a narrow window too', async ({ dir }) => {
  for (const columns of [30, 40, 80, 200]) {
    const { stdout } = await runCli(['help'], { api: new FakeApi(), cwd: dir, columns, env: { NO_COLOR: '1' } })
    for (const { name } of commands) assert.match(stdout, new RegExp(`\\b${name}\\b`))
    for (const { name } of TOPICS) assert.match(stdout, `help ${name}`)
    for (const line of stdout.split('\n')) assert.ok(width(line) <= columns, `${width(line)} of ${columns}: ${line}`)
  }
})

test('whatever is printed fits the window, and shows wide characters whole', async ({ dir }) => {
  const api = new FakeApi()
  api.jobList[0]!.name = '夜の家'.repeat(12)
  api.jobList[2]!.name = '👩‍👩‍👧‍👦 family e\u0301 \u001b[31mred\u0007\u202eevil'
  for (const columns of [40, 80, 200]) {
    // a signature is copied, so it stays whole
    for (const words of LINES.filter(([name, action]) => !['help', 'submit', 'run'].includes(name ?? '') && action !== 'sign')) {
      const { stdout } = await runCli(words, { api, cwd: dir, columns, env: { NO_COLOR: '1' } })
      for (const line of stdout.split('\n')) assert.ok(width(line) <= columns || line.includes(dir), `${words.join(' ')}: ${width(line)} of ${columns}: ${line}`)
      assert.not.match(stdout, /[\u0007\u001b\u202e]/)
    }
  }
  assert.match((await runCli(['jobs'], { api, cwd: dir, columns: 200, env: { NO_COLOR: '1' } })).stdout, '夜の家'.repeat(12))
})

test('colours are for terminals that want them', async ({ dir }) => {
  const coloured = async (options: Partial<RunOptions>, ...more: string[]): Promise<boolean> => (await runCli(['jobs', ...more], { api: new FakeApi(), cwd: dir, ...options })).stdout.includes('\u001b[')
  assert.is(await coloured({ columns: 80 }), true)
  assert.is(await coloured({}), false)
  assert.is(await coloured({ columns: 80, env: { NO_COLOR: '1' } }), false)
  assert.is(await coloured({ columns: 80, env: { TERM: 'dumb' } }), false)
  assert.is(await coloured({ columns: 80 }, '--no-color'), false)
  assert.is(await coloured({ columns: 80 }, '--json'), false)
})

test('empty lists say what to do next', async ({ dir }) => {
  const api = new FakeApi()
  api.jobList = []
  api.peers = async () => []
  api.ads = async () => []
  assert.match((await runCli(['jobs'], { api, cwd: dir })).stdout, 'submit config/examples/hello/job.yaml')
  assert.match((await runCli(['peers'], { api, cwd: dir })).stdout, 'dial')
  assert.match((await runCli(['ads'], { api, cwd: dir })).stdout, 'doctor')
  const { code, stderr } = await runCli(['job', 'last'], { api, cwd: dir })
  assert.is(code, 1)
  assert.match(stderr, 'submit')
})

test('the beginning of an id is enough, when only one job has it', async ({ dir }) => {
  const api = new FakeApi()
  for (const typed of ['hq3k', 'bafyreihq3k', JOBS[0]]) {
    await runCli(['cancel', typed], { api, cwd: dir })
    assert.is(api.given['cancel'], JOBS[0])
  }
  const both = await runCli(['cancel', 'hq3'], { api, cwd: dir })
  assert.is(both.code, 1)
  assert.match(both.stderr, /E_ID_AMBIGUOUS.*hq3k5q2m, hq3zzzzm/)
  assert.match((await runCli(['job', 'zzzz'], { api, cwd: dir })).stderr, 'E_JOB_UNKNOWN')
  await runCli(['rate', 'QmXf', '4'], { api, cwd: dir })
  assert.equal(api.given['rate'], { peer: PEERS[0], stars: 4 })
  assert.match((await runCli(['rate', 'bT5p', '4'], { api, cwd: dir })).stderr, 'E_ID_AMBIGUOUS')
  const stranger = `12D3KooW${'A'.repeat(44)}`
  await runCli(['rate', stranger, '1'], { api, cwd: dir })
  assert.equal(api.given['rate'], { peer: stranger, stars: 1 })
})

test('an error of the node is printed once, with its code and hint, and exit code 1', async ({ dir }) => {
  const api = new FakeApi()
  api.failing.set('jobs', new HearthError('E_STORE_FULL', 'the disk is full', 'Free some space'))
  const { code, stdout, stderr } = await runCli(['jobs'], { api, cwd: dir })
  assert.is(code, 1)
  assert.is(stdout, '')
  assert.is(stderr, 'error E_STORE_FULL: the disk is full\nhint: Free some space\n')
})

test('a fault that the node finds in a job file is one of the input: exit code 2', async ({ dir }) => {
  const api = new FakeApi()
  api.failing.set('submit', new HearthError('E_JOB_KEY', 'the job file has no key "modul"', 'Did you mean "module"?'))
  assert.is((await runCli(['submit', 'job.yaml'], { api, cwd: dir })).code, 2)
})

test('what is no error of ours is called a defect', async ({ dir }) => {
  const api = new FakeApi()
  api.jobs = async () => { throw new TypeError('x is not a function') }
  const { code, stderr } = await runCli(['jobs'], { api, cwd: dir })
  assert.is(code, 1)
  assert.match(stderr, /E_INTERNAL.*\n.*report/)
})

test('run prints what the program prints and exits as it does', async ({ dir }) => {
  const api = new FakeApi()
  api.logChunks = [chunk(0, 'stdout', 'hello '), chunk(0, 'stderr', 'oops\n'), chunk(0, 'stdout', 'hello ', PEERS[1]), chunk(0, 'stdout', 'world\n', PEERS[1])]
  api.submitted.exitCode = 7
  const ran = await runCli(['run', '--in', 'notes.txt', '--in', 'x=notes.txt', '-e', 'A=b=c', '--memory', '64MiB', '--time=90s', '--out', 'out', 'a.wasm', 'one'], { api, cwd: dir })
  assert.equal(ran, { code: 7, stdout: 'hello world\n', stderr: `oops\n3 files in ${join(dir, 'out')}\n` } satisfies Ran)
  assert.equal(api.given['submit'], {
    spec: { module: './a.wasm', args: ['one'], env: { A: 'b=c' }, inputs: { 'notes.txt': './notes.txt', x: './notes.txt' }, resources: { memory: `${64 * 1024 * 1024} B` }, limits: { run: '90000 ms' } },
    baseDir: dir
  })
  const json = JSON.parse((await runCli(['run', '--json', 'a.wasm'], { api, cwd: dir })).stdout) as { stdout: string, stderr: string, exitCode: number }
  assert.is(json.stdout, 'hello world\n')
  assert.is(json.exitCode, 7)
})

test('run takes files from anywhere: the job\'s folder holds them all', async ({ dir }) => {
  const api = new FakeApi()
  await mkdir(join(dir, 'deep', 'er'), { recursive: true })
  await writeFile(join(dir, 'deep', 'er', 'b.wasm'), '')
  await symlink(join(dir, 'notes.txt'), join(dir, 'deep', 'link.txt'))
  await runCli(['run', '--in', join('deep', 'link.txt'), '--stdin', 'job.yaml', join('deep', 'er', 'b.wasm')], { api, cwd: dir })
  assert.equal(api.given['submit'], { spec: { module: './deep/er/b.wasm', args: [], inputs: { 'link.txt': './notes.txt' }, stdin: './job.yaml' }, baseDir: dir })
  await runCli(['run', 'b.wasm'], { api, cwd: join(dir, 'deep', 'er') })
  assert.equal(api.given['submit'], { spec: { module: './b.wasm', args: [] }, baseDir: join(dir, 'deep', 'er') })
})

test('a job that fails is an error, whichever command waited for it', async ({ dir }) => {
  const api = new FakeApi()
  api.submitted = { id: JOBS[0], state: 'failed', exitCode: 0 }
  const run = await runCli(['run', 'a.wasm'], { api, cwd: dir })
  assert.is(run.code, 1)
  assert.match(run.stderr, 'error E_JOB_FAILED')
  const submit = await runCli(['submit', 'job.yaml'], { api, cwd: dir })
  assert.is(submit.code, 1)
  assert.match(submit.stdout, 'E_JOB_FAILED')
  const json = await runCli(['submit', 'job.yaml', '--json'], { api, cwd: dir })
  assert.is((JSON.parse(json.stdout) as { state: string }).state, 'failed')
  assert.is((await runCli(['watch', 'abcd'], { api: new FakeApi(), cwd: dir })).code, 1)
})

test('submit -d prints the id alone, so that a script can keep it', async ({ dir }) => {
  const { stdout } = await runCli(['submit', 'job.yaml', '-d'], { api: new FakeApi(), cwd: dir })
  assert.is(stdout, `${JOBS[0]}\n`)
})

test('submit --to fetches the results of a job that is done', async ({ dir }) => {
  const api = new FakeApi()
  await runCli(['submit', 'job.yaml', '--to', 'out'], { api, cwd: dir })
  assert.equal(api.given['results'], { job: JOBS[0], to: join(dir, 'out') })
})

test('Ctrl-C ends the showing of a job, and a run itself', async ({ dir }) => {
  const watched = new FakeApi()
  const watch = await runCli(['watch', 'last'], { api: watched, cwd: dir, signals: (send) => { watched.events = () => { send(); return { [Symbol.asyncIterator]: () => ({ next: () => new Promise(() => {}) }) } } } })
  assert.is(watch.code, 0)
  assert.not(watched.calls.includes('cancel'))
  const started = new FakeApi()
  const run = await runCli(['run', 'a.wasm'], { api: started, cwd: dir, signals: (send) => { started.events = () => { send(); return { [Symbol.asyncIterator]: () => ({ next: () => new Promise(() => {}) }) } } } })
  assert.is(run.code, 130)
  assert.is(started.given['cancel'], JOBS[0])
})

test('a live view ends with its last state on a terminal, and the cursor is given back', async ({ dir }) => {
  const { stderr } = await runCli(['submit', 'job.yaml'], { api: new FakeApi(), cwd: dir, columns: 80 })
  assert.match(stderr, 'path-tracer')
  assert.ok(stderr.lastIndexOf('\u001b[?25h') > stderr.lastIndexOf('\u001b[?25l'))
})

test('logs of many tasks name the task before each line, and print replicas once', async ({ dir }) => {
  const api = new FakeApi()
  api.logChunks = [chunk(0, 'stdout', 'a1\na'), chunk(1, 'stdout', 'b1\n'), chunk(0, 'stdout', 'a1\n', PEERS[1]), chunk(0, 'stdout', '2\nend'), chunk(2, 'stderr', 'c\n')]
  const { stdout, stderr } = await runCli(['logs', 'last'], { api, cwd: dir })
  assert.is(stdout, '[0] a1\n[1] b1\n[0] a2\n[0] end\n')
  assert.is(stderr, '[2] c\n')
  const one = await runCli(['logs', 'last', '--task', '0'], { api, cwd: dir })
  assert.is(one.stdout, 'a1\na2\nend')
})

test('output of a stranger keeps its colours on a terminal and loses what would obey it; elsewhere it is left alone', async ({ dir }) => {
  const api = new FakeApi()
  const evil = 'a\u001b[31mred\u001b[0m\u001b]0;title\u0007\u001b[2J\u001b[1;1H\u0008é\u202e\n'
  const bytes = Buffer.from(evil)
  // cut everywhere, in the middle of sequences and characters
  api.logChunks = [...bytes].map((byte) => ({ task: 0, peer: PEERS[0], stream: 'stdout', bytes: Buffer.from([byte]).toString('base64') }))
  const tty = await runCli(['logs', 'last', '--task=0'], { api, cwd: dir, columns: 80 })
  assert.is(tty.stdout.replace(/\u001b\[0m$/, ''), 'a\u001b[31mred\u001b[0mé\n')
  assert.is((await runCli(['logs', 'last', '--task=0'], { api, cwd: dir })).stdout, evil)
})

test('doctor finds a node that is down, and fails', async ({ dir }) => {
  const api = new FakeApi()
  api.failing.set('doctor', new HearthError('E_NODE_DOWN', 'No node answers', 'Start one with `hearth up`'))
  const { code, stdout } = await runCli(['doctor'], { api, cwd: dir })
  assert.is(code, 1)
  assert.match(stdout, 'hearth up')
})

test('stop does not mind that the node is gone before it answers', async ({ dir }) => {
  const api = new FakeApi()
  api.failing.set('shutdown', new HearthError('E_NODE_GONE', 'gone', ''))
  assert.is((await runCli(['stop'], { api, cwd: dir })).code, 0)
  api.failing.set('shutdown', new HearthError('E_NODE_DOWN', 'down', 'up'))
  assert.is((await runCli(['stop'], { api, cwd: dir })).code, 1)
})

test('share changes exactly what was written', async ({ dir }) => {
  const api = new FakeApi()
  await runCli(['share', 'cores', '2.5', 'memory=4 GiB', 'hours', 'mon-fri 22:00-08:00, sat+sun 00:00-24:00', 'onlyWhenIdle=on', 'busyPrograms=a b,c', 'maxRequesterFaultShare=25%'], { api, cwd: dir })
  assert.equal(api.given['setShare'], { cores: 2.5, memoryBytes: 4 * 1024 ** 3, hours: [{ days: [1, 2, 3, 4, 5], fromMinute: 1320, toMinute: 480 }, { days: [0, 6], fromMinute: 0, toMinute: 1440 }], onlyWhenIdle: true, busyPrograms: ['a b', 'c'], maxRequesterFaultShare: 0.25 })
  const { stdout } = await runCli(['share'], { api, cwd: dir, columns: 200 })
  assert.match(stdout, 'mon-fri 22:00-08:00, sat+sun 00:00-24:00')
  await runCli(['share', 'hours=always', 'busyPrograms=none'], { api, cwd: dir })
  assert.equal(api.given['setShare'], { hours: [], busyPrograms: [] })
})

test('a key is shown, exported and imported again, and never overwritten', async ({ dir }) => {
  const first = join(dir, 'first')
  const second = join(dir, 'second')
  const seed = new Uint8Array(32).fill(7)
  await storeSeed(seed, { dataDir: first })
  const host = nodeHost({ version: '0.1.0', createNode: async () => { throw new Error('a node was started') } })
  const run = (words: string[], stdin?: string): Promise<Ran> => runCli(words, { api: new FakeApi(), cwd: dir, host, ...(stdin === undefined ? {} : { stdin }) })
  const { peerId } = await nodeKeys(seed)
  assert.is((JSON.parse((await run(['key', 'show', '--json', '--data-dir', first])).stdout) as { peer: string }).peer, peerId)
  const exported = await run(['key', 'export', '--data-dir', first])
  assert.match(exported.stdout, /^[0-9a-f]{64}-[0-9a-f]{8}\n$/)
  assert.match(exported.stderr, 'keep it safe')
  await writeFile(join(dir, 'backup.key'), exported.stdout)
  assert.is((await run(['key', 'show', '--data-dir', second])).code, 1)
  assert.is((await run(['key', 'import', 'backup.key', '--data-dir', second])).code, 0)
  assert.equal(await readSeed({ dataDir: second }), seed)
  const again = await run(['key', 'import', '-', '--data-dir', second], exported.stdout)
  assert.is(again.code, 1)
  assert.match(again.stderr, 'E_KEY_EXISTS')
  assert.is((await run(['key', 'import', '-', '--data-dir', join(dir, 'third')], exported.stdout)).code, 0)
})

test('config show tells each setting and where it comes from', async ({ dir }) => {
  const host = nodeHost({ version: '0.1.0', createNode: async () => { throw new Error('a node was started') } })
  await writeFile(join(dir, 'settings.yaml'), 'network: { port: 4001 }\n')
  const { stdout } = await runCli(['config', 'show', '--json', '--config', 'settings.yaml', '--share.cores=2'], { api: new FakeApi(), cwd: dir, host, env: { HEARTH_NETWORK__MDNS: 'false' } })
  const from = new Map((JSON.parse(stdout) as { key: string, value: unknown, from: string }[]).map(({ key, value, from }) => [key, { value, from }]))
  assert.equal(from.get('network.port'), { value: 4001, from: 'settings.yaml' })
  assert.equal(from.get('network.mdns'), { value: false, from: 'HEARTH_NETWORK__MDNS' })
  assert.equal(from.get('share.cores'), { value: 2, from: '--share.cores' })
  assert.equal(from.get('network.upnp'), { value: true, from: 'default' })
})

test('up starts the node behind its socket, says so, and stops on a signal', async ({ dir }) => {
  const api = new FakeApi()
  const dataDir = join(dir, 'up')
  const host = nodeHost({ version: '0.1.0', createNode: async () => ({ api, stopped: api.stopped.promise }) })
  const { code, stdout, stderr } = await runCli(['up', '--headless', '--json', '--data-dir', dataDir], { api, cwd: dir, host, signals: (send) => { const events = api.events.bind(api); api.events = (request, signal) => { send(); return events(request, signal) } } })
  assert.is(code, 0, stderr)
  const lines = stdout.trim().split('\n').map((line) => JSON.parse(line) as { kind: string, peer?: string })
  assert.equal(lines.map(({ kind }) => kind), ['up', 'down'])
  assert.is(lines[0]?.peer, PEERS[0])
  assert.ok((api.given['shutdown'] as { withinMs: number }).withinMs > 0)
})

test('a node that cannot start leaves its socket to the next', async ({ dir }) => {
  const host = nodeHost({ version: '0.1.0', createNode: async () => { throw new HearthError('E_STORE_NEWER', 'the store is newer', 'Use the newer hearth') } })
  for (let i = 0; i < 2; i++) {
    const { code, stderr } = await runCli(['up', '--data-dir', join(dir, 'failing')], { api: new FakeApi(), cwd: dir, host })
    assert.is(code, 1)
    assert.match(stderr, 'E_STORE_NEWER')
  }
})

test.run()

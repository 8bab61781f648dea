/** Wrong command lines: one error with code and hint, exit code 2, and the node never hears of them. */
import { mkdtemp, readdir, rm, writeFile, mkdir } from 'node:fs/promises'
import { readdirSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { nodeHost } from '../../node/cli/node-host.ts'
import { ERROR_FAMILIES } from '../../node/cli/topics/errors.ts'
import { FakeApi } from '../helpers/fake-api.ts'
import { runCli } from '../helpers/shell.ts'

const test = suite<{ dir: string }>('command lines')
test.before(async (context) => {
  context.dir = await mkdtemp(join(tmpdir(), 'hearth-cli-'))
  await writeFile(join(context.dir, 'job.yaml'), 'module: a.wasm\n')
  await writeFile(join(context.dir, 'bad.yaml'), 'module: [a\n')
  await writeFile(join(context.dir, 'twice.yaml'), 'module: a\nmodule: b\n')
  await writeFile(join(context.dir, 'job.txt'), 'module: a.wasm\n')
  await writeFile(join(context.dir, 'bad.json'), '{"module": }')
  await writeFile(join(context.dir, 'config.bad.yaml'), 'network: { prot: 1 }\n')
  await writeFile(join(context.dir, 'wrong.key'), 'not a key\n')
  await writeFile(join(context.dir, 'short.txt'), 'short\n')
  await writeFile(join(context.dir, 'wide.txt'), 'x'.repeat(5_000))
  await writeFile(join(context.dir, 'a.wasm'), '')
  await mkdir(join(context.dir, 'folder'))
  await mkdir(join(context.dir, 'full'))
  await writeFile(join(context.dir, 'full', 'kept'), 'x')
})
test.after(async ({ dir }) => rm(dir, { recursive: true }))

/** Words, then the code, then what message and hint together must say. */
const WRONG: [string[], string, RegExp?][] = [
  [['jbos'], 'E_COMMAND_UNKNOWN', /Did you mean "jobs"/],
  [['sumbit', 'job.yaml'], 'E_COMMAND_UNKNOWN', /Did you mean "submit"/],
  [['xyzzy'], 'E_COMMAND_UNKNOWN', /help/],
  [['JOBS'], 'E_COMMAND_UNKNOWN', /"jobs"/],
  [['\u001b[2J'], 'E_COMMAND_UNKNOWN'],
  [['--bogus'], 'E_OPTION_UNKNOWN'],
  [['--no-color', '--bogus'], 'E_OPTION_UNKNOWN'],
  [['jobs', '--al'], 'E_OPTION_UNKNOWN', /Did you mean --all/],
  [['jobs', '-z'], 'E_OPTION_UNKNOWN', /-z/],
  [['jobs', 'extra'], 'E_ARGUMENT_EXTRA', /extra/],
  [['jobs', '--all=yes'], 'E_OPTION_VALUE', /takes no value/],
  [['jobs', '--state'], 'E_OPTION_VALUE', /needs a value/],
  [['jobs', '--state=runing'], 'E_OPTION_VALUE', /Did you mean "running"/],
  [['jobs', '--state=done', '--state=failed'], 'E_OPTION_TWICE'],
  [['jobs', '--data-dir'], 'E_OPTION_VALUE'],
  [['submit'], 'E_ARGUMENT_MISSING', /job file/],
  [['submit', ''], 'E_ARGUMENT_EMPTY'],
  [['submit', 'job.yaml', 'other.yaml'], 'E_ARGUMENT_EXTRA'],
  [['submit', 'jop.yaml'], 'E_JOB_FILE', /Did you mean "job.yaml"/],
  [['submit', 'folder'], 'E_JOB_FILE', /folder/],
  [['submit', 'job.txt'], 'E_JOB_FILE', /YAML nor JSON/],
  [['submit', 'bad.yaml'], 'E_JOB_SYNTAX', /bad.yaml:\d+:\d+/],
  [['submit', 'bad.json'], 'E_JOB_SYNTAX'],
  [['submit', 'twice.yaml'], 'E_JOB_DUPLICATE', /module/],
  [['submit', 'job.yaml', '-d', '--to', 'out'], 'E_OPTION_CLASH'],
  [['submit', 'job.yaml', '--to', 'a.wasm'], 'E_FILE_KIND'],
  [['submit', 'job.yaml', '--to', '--detach'], 'E_OPTION_VALUE', /needs a value/],
  [['estimate'], 'E_ARGUMENT_MISSING'],
  [['estimate', 'none.yaml'], 'E_JOB_FILE'],
  [['run'], 'E_ARGUMENT_MISSING', /wasm/],
  [['run', 'none.wasm'], 'E_FILE_MISSING'],
  [['run', 'folder'], 'E_FILE_KIND'],
  [['run', '--memory=512', 'a.wasm'], 'E_OPTION_VALUE', /"512 MiB"/],
  [['run', '--time', 'soon', 'a.wasm'], 'E_OPTION_VALUE', /duration/],
  [['run', '--replicas=0', 'a.wasm'], 'E_OPTION_VALUE', /1 to 16/],
  [['run', '--replicas=2.5', 'a.wasm'], 'E_OPTION_VALUE', /whole number/],
  [['run', '--replicas=2', '--quorum=3', 'a.wasm'], 'E_OPTION_CLASH', /replicas/],
  [['run', '--in', 'nothing', 'a.wasm'], 'E_FILE_MISSING'],
  [['run', '--in', 'job.yaml', '--in', 'job.yaml', 'a.wasm'], 'E_OPTION_CLASH', /NAME=PATH/],
  [['run', '--env', 'NOVALUE', 'a.wasm'], 'E_OPTION_VALUE', /KEY=VALUE/],
  [['run', '--stdin', 'none', 'a.wasm'], 'E_FILE_MISSING'],
  [['run', '--replcas=3', 'a.wasm'], 'E_OPTION_UNKNOWN', /--replicas/],
  [['job'], 'E_ARGUMENT_MISSING'],
  [['job', '../etc'], 'E_ID_FORM'],
  [['logs', 'last', '--task', '-1'], 'E_OPTION_VALUE'],
  [['logs', 'last', '--task', 'one'], 'E_OPTION_VALUE'],
  [['logs', 'last', '--stream', 'stdin'], 'E_OPTION_VALUE', /stdout/],
  [['why'], 'E_ARGUMENT_MISSING'],
  [['results', 'last', '--to', 'a.wasm'], 'E_FILE_KIND'],
  [['results', 'last', '--task=10000'], 'E_OPTION_VALUE'],
  [['cancel'], 'E_ARGUMENT_MISSING'],
  [['cancel', 'last', 'no/id'], 'E_ID_FORM'],
  [['rate', 'QmXf'], 'E_ARGUMENT_MISSING', /stars/],
  [['rate', 'QmXf', '6'], 'E_ARGUMENT_VALUE', /1 to 5/],
  [['rate', 'QmXf', 'five'], 'E_ARGUMENT_VALUE'],
  [['dial'], 'E_ARGUMENT_MISSING'],
  [['dial', '192.168.1.20:4150'], 'E_ARGUMENT_VALUE', /\/ip4\//],
  [['share', 'core=4'], 'E_SHARE_KEY', /Did you mean "cores"/],
  [['share', 'cores'], 'E_SHARE_VALUE', /needs a value/],
  [['share', 'cores='], 'E_SHARE_VALUE'],
  [['share', 'cores=many'], 'E_SHARE_VALUE', /number/],
  [['share', 'cores=-1'], 'E_SHARE_VALUE'],
  [['share', 'cores=4', 'cores=5'], 'E_SHARE_KEY', /twice/],
  [['share', 'memory=8'], 'E_SHARE_VALUE', /512 MiB/],
  [['share', 'cores=4', 'memory=1 XiB'], 'E_SHARE_VALUE'],
  [['share', 'hours=25:00-26:00'], 'E_SHARE_VALUE', /22:00-08:00/],
  [['share', 'region=Nowhere!'], 'E_SHARE_VALUE'],
  [['share', 'engines=docker'], 'E_SHARE_VALUE'],
  [['share', 'allow=somebody'], 'E_SHARE_VALUE'],
  [['share', 'enabled=maybe'], 'E_SHARE_VALUE', /on or off/],
  [['stop', '--within=1'], 'E_OPTION_VALUE', /duration/],
  [['up', 'now'], 'E_ARGUMENT_EXTRA'],
  [['up', '--headles'], 'E_OPTION_UNKNOWN', /--headless/],
  [['up', '--network.port'], 'E_OPTION_VALUE', /needs a value/],
  [['up', '--network.prot=1'], 'E_CONFIG_KEY', /network.port/],
  [['up', '--network.port=high'], 'E_CONFIG_TYPE'],
  [['up', '--network.port=99999'], 'E_CONFIG_RANGE'],
  [['up', '--config', 'none.yaml'], 'E_CONFIG_FILE'],
  [['up', '--config', 'config.bad.yaml'], 'E_CONFIG_KEY', /port/],
  [['config', 'shwo'], 'E_ARGUMENT_VALUE', /"show"/],
  [['config', 'show', '--share.cores=-1'], 'E_CONFIG_RANGE'],
  [['key'], 'E_ARGUMENT_MISSING'],
  [['key', 'exprot'], 'E_ARGUMENT_VALUE', /"export"/],
  [['key', 'import'], 'E_ARGUMENT_MISSING'],
  [['key', 'show', 'file'], 'E_ARGUMENT_EXTRA'],
  [['key', 'import', 'wrong.key'], 'E_KEY_TEXT'],
  [['key', 'import', 'none.key'], 'E_FILE_MISSING'],
  [['submit', 'a.wasm'], 'E_FILE_KIND', /`run a\.wasm`/],
  [['estimate', 'a.wasm'], 'E_FILE_KIND', /`run a\.wasm`/],
  [['run', 'job.yaml'], 'E_FILE_KIND', /`submit job\.yaml`/],
  [['submit', 'job.yaml', '--to', 'full'], 'E_FILE_EXISTS', /not exist/],
  [['run', '--out', 'full', 'a.wasm'], 'E_FILE_EXISTS', /not exist/],
  [['key', 'protcet'], 'E_ARGUMENT_VALUE', /"protect"/],
  [['key', 'protect', 'pass.txt'], 'E_ARGUMENT_EXTRA', /--new=FILE/],
  [['key', 'protect', '--new'], 'E_OPTION_VALUE', /FILE/],
  [['key', 'protect', '--new=none.txt'], 'E_FILE_MISSING'],
  [['key', 'protect', '--new=.'], 'E_FILE_KIND'],
  [['key', 'protect', '--new=short.txt'], 'E_ARGUMENT_VALUE', /fewer than 8/],
  [['key', 'protect', '--new=wide.txt'], 'E_FILE_SIZE'],
  [['key', 'unprotect', '--new=short.txt'], 'E_OPTION_CLASH', /key protect/],
  [['key', 'unprotect', 'now'], 'E_ARGUMENT_EXTRA'],
  [['images', 'sgin'], 'E_ARGUMENT_VALUE', /sign/],
  [['images', 'sign'], 'E_ARGUMENT_MISSING', /archive/],
  [['images', 'prune', 'x'], 'E_ARGUMENT_EXTRA'],
  [['help', 'jbo'], 'E_ARGUMENT_VALUE', /"job"/],
  [['help', 'E_NONSENSE'], 'E_ARGUMENT_VALUE']
]

test('there are enough of them', () => {
  assert.ok(WRONG.length >= 40)
})

test('every error code of the program belongs to a family that `help CODE` explains', () => {
  const root = join(import.meta.dirname, '../..')
  const found = ['src', 'node', 'protocols'].flatMap((room) => readdirSync(join(root, room), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts') && !/^(sim|demo|contracts|payment|dispute|chain)\//.test(name))
    .flatMap((name) => [...readFileSync(join(root, room, name), 'utf8').matchAll(/'(E_[A-Z0-9_]+)'/g)].map((match) => match[1] ?? '')))
  assert.ok(found.length > 200)
  assert.equal([...new Set(found)].filter((code) => code !== 'E_NONE' && !ERROR_FAMILIES.some(({ prefix }) => code.startsWith(prefix))), [])
})

/** The real configuration and keys, in a folder that must stay as it was. */
function options(dir: string, api: FakeApi): Parameters<typeof runCli>[1] {
  const host = nodeHost({ version: '0.1.0', createNode: async () => { throw new Error('a node was started') } })
  return { api, cwd: dir, host, env: { HEARTH_DATA_DIR: join(dir, 'data') } }
}

for (const [words, code, says] of WRONG) {
  test(`"${words.join(' ')}" is told as ${code}`, async ({ dir }) => {
    const api = new FakeApi()
    const { code: exit, stdout, stderr } = await runCli(words, options(dir, api))
    assert.is(exit, 2, stderr)
    assert.is(stdout, '')
    assert.match(stderr, new RegExp(`^error ${code}: \\S`))
    assert.is(stderr.match(/^error /gm)?.length, 1)
    assert.is(stderr.match(/^hint: \S/gm)?.length, 1)
    if (says !== undefined) assert.match(stderr.replace(/\s+/g, ' '), says)
    assert.not.match(stderr, /\u001b/)
    assert.equal(api.calls, [], 'the node was asked')
    assert.not((await readdir(dir)).includes('data'), 'something was written')
  })
}

test('with --json the same error is one document on stderr, and stdout stays empty', async ({ dir }) => {
  for (const [words, code] of WRONG) {
    const { code: exit, stdout, stderr } = await runCli([...words.slice(0, 1), '--json', ...words.slice(1)], options(dir, new FakeApi()))
    if (words[0]?.startsWith('--') === true) continue
    assert.is(exit, 2, words.join(' '))
    assert.is(stdout, '')
    const { error } = JSON.parse(stderr) as { error: { code: string, message: string, hint: string } }
    assert.is(error.code, code, words.join(' '))
    assert.ok(error.message !== '' && error.hint !== '')
  }
})

test('options may stand before the command, and be spelt either way', async ({ dir }) => {
  for (const words of [['--json', 'jobs'], ['jobs', '--json'], ['--data-dir', dir, 'jobs', '--json'], ['jobs', `--dataDir=${dir}`, '--json'], ['jobs', '--dataDir', dir, '--json']]) {
    const { code, stdout } = await runCli(words, { api: new FakeApi(), cwd: dir })
    assert.is(code, 0, words.join(' '))
    assert.is((JSON.parse(stdout) as unknown[]).length, 3)
  }
})

test('what follows the file of `run` belongs to the program', async ({ dir }) => {
  const api = new FakeApi()
  const { stdout } = await runCli(['run', '--replicas', '3', 'a.wasm', '--replicas', '7', '--', '-h', '--json'], { api, cwd: dir })
  const { spec } = api.given['submit'] as { spec: { args: string[], replicas: number } }
  assert.equal(spec.args, ['--replicas', '7', '--', '-h', '--json'])
  assert.is(spec.replicas, 3)
  assert.is(stdout, '')
})

test.run()

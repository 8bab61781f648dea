/** The key's passphrase, asked for on a terminal without echo or read from files: by the real commands over the real seed file. */
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { nodeHost } from '../../node/cli/node-host.ts'
import { isSeedProtected, readSeed, storeSeed } from '../../node/keys/index.ts'
import { FakeApi } from '../helpers/fake-api.ts'
import { runCli } from '../helpers/shell.ts'
import type { Ran, RunOptions } from '../helpers/shell.ts'

const SEED = new Uint8Array(32).fill(5)
const WORDS = 'three warm stones'
const OTHER = 'four cold rivers'

const test = suite<{ dir: string, run: (words: string[], options?: Partial<RunOptions>) => Promise<Ran>, dataDir: string }>('key')
let number = 0
test.before(async (context) => {
  context.dir = await mkdtemp(join(tmpdir(), 'hearth-key-'))
  await writeFile(join(context.dir, 'pass.txt'), `${WORDS}\n`, { mode: 0o600 })
  await writeFile(join(context.dir, 'other.txt'), `${OTHER}\n`, { mode: 0o600 })
})
test.before.each(async (context) => {
  const { dir } = context
  context.dataDir = join(dir, `node${number++}`)
  await storeSeed(SEED, { dataDir: context.dataDir })
  const host = nodeHost({ version: '0.1.0', createNode: async () => { throw new Error('a node was started') } })
  context.run = (words, options = {}) => runCli(words, { api: new FakeApi(), cwd: dir, host, env: { HEARTH_DATA_DIR: context.dataDir, NO_COLOR: '1' }, ...options })
})
test.after(async ({ dir }) => { await rm(dir, { recursive: true }) })

test('a passphrase typed twice seals the key, and is never shown', async ({ run, dataDir }) => {
  const { code, stdout, stderr } = await run(['key', 'protect'], { columns: 100, typed: [WORDS, WORDS] })
  assert.is(code, 0, stderr)
  assert.match(stdout, 'sealed')
  assert.match(stderr, /passphraseFile[^]*key export/)
  assert.not.match(stdout + stderr, /stones|three/)
  assert.is(await isSeedProtected(dataDir), true)
  assert.equal(await readSeed({ dataDir, passphrase: WORDS }), SEED)
})

test('a short one and a slip are told, and typed again', async ({ run, dataDir }) => {
  const { code, stderr } = await run(['key', 'protect'], { columns: 100, typed: ['short', WORDS, 'three warm stonse', WORDS, WORDS] })
  assert.is(code, 0, stderr)
  assert.match(stderr, /5 characters[^]*The two differ/)
  assert.equal(await readSeed({ dataDir, passphrase: WORDS }), SEED)
})

test('after three tries nothing is changed', async ({ run, dataDir }) => {
  const { code, stderr } = await run(['key', 'protect'], { columns: 100, typed: ['a', 'b', 'c', 'never asked for'] })
  assert.is(code, 2)
  assert.match(stderr, /E_ARGUMENT_VALUE[^]*Nothing was changed/)
  assert.is(await isSeedProtected(dataDir), false)
})

test('Ctrl-C and Ctrl-D end the asking with nothing changed', async ({ run, dataDir }) => {
  assert.is((await run(['key', 'protect'], { columns: 100, typed: ['\u0003'] })).code, 130)
  assert.is((await run(['key', 'protect'], { columns: 100, typed: [WORDS, '\u0003'] })).code, 130)
  assert.is((await run(['key', 'protect'], { columns: 100, typed: ['\u0004'] })).code, 2)
  assert.is(await isSeedProtected(dataDir), false)
})

test('scripts give files: the new passphrase by --new, the present one by passphraseFile', async ({ run, dataDir }) => {
  const first = await run(['key', 'protect', '--new=pass.txt', '--json'])
  assert.is(first.code, 0, first.stderr)
  assert.equal(JSON.parse(first.stdout), { protected: true, changed: false })
  const nobody = await run(['key', 'protect', '--new=other.txt'])
  assert.is(nobody.code, 1)
  assert.match(nobody.stderr, /E_KEY_PASSPHRASE[^]*passphraseFile/)
  const changed = await run(['key', 'protect', '--new=other.txt', '--passphraseFile=pass.txt'])
  assert.is(changed.code, 0, changed.stderr)
  assert.match(changed.stderr, 'another one')
  assert.equal(await readSeed({ dataDir, passphrase: OTHER }), SEED)
  const wrong = await run(['key', 'unprotect', '--passphraseFile=pass.txt'])
  assert.is(wrong.code, 1)
  assert.match(wrong.stderr, /E_KEY_PASSPHRASE[^]*wrong/)
  const plain = await run(['key', 'unprotect', '--passphraseFile=other.txt', '--json'])
  assert.equal(JSON.parse(plain.stdout), { protected: false, changed: true })
  assert.equal(await readSeed({ dataDir }), SEED)
  assert.match((await run(['key', 'unprotect'])).stdout, 'had no passphrase')
})

test('a key without a passphrase takes the one that is configured already', async ({ run, dataDir }) => {
  const started = await run(['key', 'show', '--passphraseFile=pass.txt'])
  assert.is(started.code, 1)
  assert.match(started.stderr, 'hearth key protect')
  assert.is((await run(['key', 'protect', '--passphraseFile=pass.txt'])).code, 0)
  assert.equal(await readSeed({ dataDir, passphrase: WORDS }), SEED)
  assert.match((await run(['key', 'show', '--passphraseFile=pass.txt'])).stdout, 'sealed with a passphrase')
})

test('what needs a sealed key asks for its passphrase, three times at most', async ({ run }) => {
  await run(['key', 'protect', '--new=pass.txt'])
  const shown = await run(['key', 'show'], { columns: 100, typed: ['wrong words', WORDS] })
  assert.is(shown.code, 0, shown.stderr)
  assert.match(shown.stderr, 'That is not it')
  assert.is((await run(['key', 'export'], { columns: 100, typed: [WORDS] })).code, 0)
  const locked = await run(['key', 'unprotect'], { columns: 100, typed: ['one wrong', 'two wrong', 'three wrong'] })
  assert.is(locked.code, 1)
  assert.match(locked.stderr, /E_KEY_PASSPHRASE/)
})

test('a node is started with the passphrase that was typed, and without a terminal it says what is missing', async ({ run, dataDir }) => {
  await run(['key', 'protect', '--new=pass.txt'])
  const given: (string | undefined)[] = []
  const api = new FakeApi()
  const host = nodeHost({ version: '0.1.0', createNode: async (_loaded, passphrase) => { given.push(passphrase); api.stopped.resolve(); return { api, stopped: api.stopped.promise } } })
  const up = await run(['up', '--headless', '--data-dir', dataDir], { api, host, columns: 100, typed: [WORDS] })
  assert.is(up.code, 0, up.stderr)
  assert.equal(given, [WORDS])
  const service = await run(['up', '--headless', '--data-dir', dataDir], { api, host })
  assert.is(service.code, 1)
  assert.match(service.stderr, /E_KEY_PASSPHRASE[^]*passphraseFile/)
  assert.is(given.length, 1)
})

test('a passphrase file that others may read is remarked on, and one of several lines refused', async ({ run, dir }) => {
  await writeFile(join(dir, 'open.txt'), WORDS)
  await chmod(join(dir, 'open.txt'), 0o644)
  assert.match((await run(['key', 'protect', '--new=open.txt'])).stderr, 'chmod 600')
  await writeFile(join(dir, 'lines.txt'), 'first line here\nsecond line\n')
  const lines = await run(['key', 'protect', '--new=lines.txt'])
  assert.is(lines.code, 2)
  assert.match(lines.stderr, /E_ARGUMENT_VALUE[^]*several lines/)
})

test('a folder without a key says how to get one', async ({ run, dir }) => {
  for (const action of ['protect', 'unprotect', 'show', 'export']) {
    const { code, stderr } = await run(['key', action, '--data-dir', join(dir, 'empty')])
    assert.is(code, 1)
    assert.match(stderr, /E_KEY_MISSING[^]*hearth up/)
  }
  await rm(join(dir, 'empty'), { recursive: true, force: true })
})

test('the sealed file holds nothing of the seed', async ({ run, dataDir }) => {
  await run(['key', 'protect', '--new=pass.txt'])
  assert.not.match(await readFile(join(dataDir, 'seed'), 'utf8'), /0505/)
})

test.run()

import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite } from 'uvu'
import * as assert from 'uvu/assert'
import { configReference, loadConfig, parseHours, prepareDataDir } from '../../node/config/index.ts'
import type { ConfigRequest, LoadedConfig } from '../../node/config/index.ts'
import { parseText } from '../../node/jobfile/parse-text.ts'
import { HearthError } from '../../src/errors.ts'
import { referenceTable } from '../../src/job/spec-reference.ts'

const PEER = '12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA'
const root = join(import.meta.dirname, '..', '..')

interface Context { home: string }
const test = suite<Context>('config')
test.before.each((context) => { context.home = mkdtempSync(join(tmpdir(), 'hearth-config-')) })
test.after.each(({ home }) => { rmSync(home, { recursive: true, force: true }) })

function load({ home }: Context, request: Partial<ConfigRequest> = {}, file?: string): Promise<LoadedConfig> {
  if (file !== undefined) writeFileSync(join(home, 'my.yaml'), file)
  return loadConfig({ env: {}, flags: [], machine: { cores: 8, memoryBytes: 16 * 2 ** 30, homeDir: home, cwd: home }, ...(file === undefined ? {} : { file: 'my.yaml' }), ...request })
}

async function refusal(promise: Promise<unknown>): Promise<HearthError> {
  const error = await promise.then(() => undefined, (reason: unknown) => reason)
  assert.instance(error, HearthError, String(error))
  return error as HearthError
}

test('nothing needs to be configured', async (context) => {
  const { config, file, warnings } = await load(context)
  assert.is(file, undefined)
  assert.ok(config.share.images.length > 0, 'a default list ships')
  assert.equal(warnings, [])
  assert.equal(config, {
    dataDir: join(context.home, '.hearth'),
    network: {
      port: 4150, listen: ['/ip4/0.0.0.0/tcp/4150', '/ip6/::/tcp/4150'], announce: [], bootstrap: [], mdns: true, upnp: true, autonat: true,
      relayClient: true, relayServer: false, dht: 'auto', local: false, maxConnections: 200
    },
    share: {
      enabled: true, paused: false, cores: 4, memoryBytes: 4 * 2 ** 30, diskBytes: 10 * 2 ** 30, gpus: false, engines: ['wasm', 'container'], region: 'any', maxRunMs: 3_600_000, maxInputBytes: 4 * 2 ** 30, uploadBytesPerSecond: 0,
      images: config.share.images, imageSigners: [], denyImages: [], anyImage: false, containerNetwork: false, maxImageBytes: 8 * 2 ** 30,
      allow: [], deny: [], hours: [], onlyWhenIdle: false, busyPrograms: [], maxRequesterFaultShare: 0.5
    },
    store: { quotaBytes: 20 * 2 ** 30 },
    containers: { quotaBytes: 20 * 2 ** 30, localRegistries: {} },
    requester: { bidWindowMs: 1000, maxProviders: 64, keepJobsMs: 2_592_000_000, providerSets: {} },
    payment: { mode: 'free', allow: [], quotaCoreMs: 360_000_000 },
    api: {},
    log: { level: 'info' }
  })
  assert.equal(readdirSync(context.home), [], 'loading writes nothing')
})

test('the cap on upload is written as links are sold', async (context) => {
  const { config } = await load(context, { flags: ['share.uploadLimit=20 Mbps'] })
  assert.is(config.share.uploadBytesPerSecond, 2_500_000)
})

test('options win over the environment, it over the file, and that over the defaults', async (context) => {
  const file = 'network: { port: 1, maxConnections: 11, mdns: false }\nlog: { level: error }\n'
  const env = { HEARTH_NETWORK__PORT: '2', HEARTH_NETWORK__MAX_CONNECTIONS: '12', PATH: '/bin', HEARTH_CONFIG: '' }
  const { config, entries } = await load(context, { env, flags: ['network.port=3'] }, file)
  assert.equal([config.network.port, config.network.maxConnections, config.network.mdns, config.network.upnp, config.log.level], [3, 12, false, true, 'error'])
  const source = (key: string): string | undefined => entries.find((entry) => entry.key === key)?.source
  assert.equal(['network.port', 'network.maxConnections', 'network.mdns', 'network.upnp'].map(source), ['--network.port', 'HEARTH_NETWORK__MAX_CONNECTIONS', 'my.yaml', 'default'])
  assert.equal(config.network.listen, ['/ip4/0.0.0.0/tcp/3', '/ip6/::/tcp/3'])
})

test('one key in a section leaves its neighbours alone, and false, 0 and empty lists are values', async (context) => {
  const { config } = await load(context, { flags: ['network.upnp=false', 'network.port=0'] }, 'network: { mdns: false, listen: [] }\nshare: { cores: 2 }\n')
  assert.equal([config.network.mdns, config.network.upnp, config.network.autonat, config.network.port, config.network.listen.length], [false, false, true, 0, 0])
  assert.equal([config.share.cores, config.share.diskBytes], [2, 10 * 2 ** 30])
})

test('null takes a setting back to not being set, and one entry out of many', async (context) => {
  const file = `passphraseFile: pass\nnetwork: { announce: [/ip4/1.2.3.4/tcp/1] }\nrequester: { providerSets: { friends: [${PEER}], work: [${PEER}] } }\n`
  const { config } = await load(context, { env: { HEARTH_NETWORK__ANNOUNCE: 'null' }, flags: ['passphraseFile=null', 'requester.providerSets.work=null'] }, file)
  assert.is(config.passphraseFile, undefined)
  assert.equal(config.network.announce, [])
  assert.equal(config.requester.providerSets, { friends: [PEER] })
})

test('lists and keys may be written in every way that people write them', async (context) => {
  const { config } = await load(context, {
    env: { HEARTH_NETWORK__LISTEN: '/ip4/127.0.0.1/tcp/1, /ip4/127.0.0.1/tcp/{port}', HEARTH_REQUESTER__PROVIDER_SETS__FRIENDS: PEER, HEARTH_SHARE__REGION: '7' },
    flags: ['--share.busy-programs=["a, b", c]', 'SHARE.ONLYWHENIDLE=true', 'share.hours=mon-fri 22:00-07:00,sat+sun 00:00-24:00', 'share.memory=2 GiB', 'share={gpus: true}']
  })
  assert.equal(config.network.listen, ['/ip4/127.0.0.1/tcp/1', '/ip4/127.0.0.1/tcp/4150'])
  assert.equal(config.requester.providerSets, { friends: [PEER] })
  assert.equal([config.share.region, config.share.busyPrograms, config.share.onlyWhenIdle, config.share.memoryBytes, config.share.gpus], ['7', ['a, b', 'c'], true, 2 * 2 ** 30, true])
  assert.equal(config.share.hours, [{ days: [1, 2, 3, 4, 5], fromMinute: 1320, toMinute: 420 }, { days: [0, 6], fromMinute: 0, toMinute: 1440 }])
})

test('a path begins where it was written', async (context) => {
  mkdirSync(join(context.home, 'etc'))
  writeFileSync(join(context.home, 'etc', 'hearth.json'), '{ "dataDir": "data", "passphraseFile": "~/pass" }')
  const { config } = await load(context, { file: 'etc/hearth.json', flags: ['api.socket=run/api.sock'] })
  assert.equal([config.dataDir, config.passphraseFile, config.api.socket], [join(context.home, 'etc', 'data'), join(context.home, 'pass'), join(context.home, 'run', 'api.sock')])
})

test('without a named file the one in the data folder counts', async (context) => {
  mkdirSync(join(context.home, 'node'))
  writeFileSync(join(context.home, 'node', 'config.yml'), 'log: { level: debug }\n')
  const { config, file } = await load(context, { flags: ['dataDir=node'] })
  assert.is(config.log.level, 'debug')
  assert.is(file, join(context.home, 'node', 'config.yml'))
  assert.is((await load(context, { env: { HEARTH_CONFIG: 'node/config.yml' } })).config.log.level, 'debug')
  assert.is((await load(context)).config.log.level, 'info')
})

test('what is loaded can not be changed, however deep', async (context) => {
  const { config } = await load(context)
  assert.throws(() => { (config.network as { port: number }).port = 1 }, /read only/)
  assert.throws(() => { (config.share.allow).push(PEER) }, /not extensible/)
})

test('auto is half of the cores and a quarter of the memory, but enough for one default task', async (context) => {
  const share = async (cores: number, memoryBytes: number): Promise<number[]> => { const { config } = await load(context, { machine: { cores, memoryBytes, homeDir: context.home, cwd: context.home } }); return [config.share.cores, config.share.memoryBytes / 2 ** 20] }
  assert.equal([await share(1, 2 ** 28), await share(3, 2 ** 31), await share(16, 2 ** 36)], [[1, 256], [1, 512], [8, 16_384]])
})

test('lending more than there is is allowed, with a warning', async (context) => {
  const { warnings } = await load(context, { flags: ['share.cores=9', 'share.memory=17 GiB'] })
  assert.equal(warnings.map((warning) => warning.split(' ')[0]), ['share.cores', 'share.memory'])
})

test('hours are read with days and without, over midnight too', () => {
  assert.equal(parseHours('fri-mon 8:00-9:30'), { days: [0, 1, 5, 6], fromMinute: 480, toMinute: 570 })
  for (const wrong of ['', 'mon', '8-9', '24:00-01:00', '08:60-09:00', 'mo-fr 08:00-09:00', 'mon-tue-wed 08:00-09:00', '08:00-25:00', '08:00-09:00-10:00', 'mon 08:00 - 09:00']) assert.is(parseHours(wrong), undefined, wrong)
})

/** What is written where, the code, what the message names, what the hint proposes. */
type Bad = readonly [where: Partial<ConfigRequest> & { text?: string }, code: string, message: RegExp, hint: RegExp]
const BAD: readonly Bad[] = [
  [{ text: 'netwrok: { port: 1 }' }, 'E_CONFIG_KEY', /my\.yaml: "netwrok"/, /"network"/],
  [{ text: 'network: { prot: 1 }' }, 'E_CONFIG_KEY', /my\.yaml: "network\.prot"/, /"network\.port"/],
  [{ text: 'port: 4150' }, 'E_CONFIG_KEY', /"port"/, /"network\.port"/],
  [{ text: 'share: { ram: 1 GiB }' }, 'E_CONFIG_KEY', /"share\.ram"/, /"share\.memory"/],
  [{ text: 'share: { schedule: [] }' }, 'E_CONFIG_KEY', /"share\.schedule"/, /"share\.hours"/],
  [{ flags: ['network.prot=1'] }, 'E_CONFIG_KEY', /--network\.prot is not a setting/, /--network\.port/],
  [{ flags: ['prot=1'] }, 'E_CONFIG_KEY', /--prot/, /hearth help config|--network\.port/],
  [{ flags: ['network.__proto__.x=1'] }, 'E_CONFIG_KEY', /__proto__/, /./],
  [{ flags: ['requester.providerSets.__proto__=a'] }, 'E_CONFIG_KEY', /__proto__/, /./],
  [{ env: { HEARTH_NETWORK_PORT: '1' } }, 'E_CONFIG_KEY', /HEARTH_NETWORK_PORT is not a setting/, /HEARTH_NETWORK__PORT/],
  [{ env: { HEARTH_SHARE__CORE: '1' } }, 'E_CONFIG_KEY', /HEARTH_SHARE__CORE is not/, /HEARTH_SHARE__CORES/],
  [{ env: { HEARTH_LOGLEVEL: 'debug' } }, 'E_CONFIG_KEY', /HEARTH_LOGLEVEL/, /HEARTH_LOG__LEVEL/],
  [{ flags: ['network.port'] }, 'E_CONFIG_VALUE', /--network\.port needs a value/, /--network\.port=VALUE/],
  [{ flags: ['network.port='] }, 'E_CONFIG_VALUE', /needs a value/, /VALUE/],
  [{ flags: ['network.port=1', '--network.port=2'] }, 'E_CONFIG_DUPLICATE', /--network\.port twice/, /Keep one/],
  [{ env: { HEARTH_DATA_DIR: 'a', HEARTH_DATADIR: 'b' } }, 'E_CONFIG_DUPLICATE', /both HEARTH_DATADIR and HEARTH_DATA_DIR/, /Keep one/],
  [{ flags: ['network.port=65536'] }, 'E_CONFIG_RANGE', /65536 is not between 0 and 65535 \(--network\.port\)/, /from 0/],
  [{ flags: ['network.port=4150tcp'] }, 'E_CONFIG_TYPE', /network\.port must be a whole number/, /from 0/],
  [{ flags: ['network.port=null'] }, 'E_CONFIG_MISSING', /--network\.port deletes it/, /default/],
  [{ text: 'network: null' }, 'E_CONFIG_MISSING', /network is missing \(my\.yaml\)/, /null deletes/],
  [{ text: 'network: 5' }, 'E_CONFIG_TYPE', /network must be keys and values \(my\.yaml\)/, /key: value/],
  [{ text: '- a\n- b\n' }, 'E_CONFIG_TYPE', /my\.yaml holds no keys/, /network/],
  [{ text: 'network: { mdns: yes }' }, 'E_CONFIG_TYPE', /network\.mdns must be true or false, not "yes"/, /without quotes/],
  [{ env: { HEARTH_NETWORK__UPNP: 'off' } }, 'E_CONFIG_TYPE', /\(HEARTH_NETWORK__UPNP\)/, /true or false/],
  [{ text: 'network: { listen: 4150 }' }, 'E_CONFIG_TYPE', /network\.listen must be a list/, /\[a, b\]/],
  [{ flags: ['network.listen=127.0.0.1:4150'] }, 'E_CONFIG_VALUE', /"127\.0\.0\.1:4150" is not an address \(--network\.listen\)/, /"\/ip4\/127\.0\.0\.1\/tcp\/4150"/],
  [{ flags: ['network.listen=/ip4/1.2.3.4/udp/1'] }, 'E_CONFIG_VALUE', /has no TCP port/, /\/tcp\//],
  [{ flags: ['network.listen=/ip4/1.2.3.400/tcp/1'] }, 'E_CONFIG_VALUE', /is not an address/, /multiaddr/],
  [{ flags: ['network.bootstrap=/dns4/example.org/tcp/1'] }, 'E_CONFIG_VALUE', /which peer it is/, /\/p2p\//],
  [{ text: 'network: { dht: clinet }' }, 'E_CONFIG_VALUE', /network\.dht: "clinet"/, /Did you mean "client"/],
  [{ text: 'log: { level: warning }' }, 'E_CONFIG_VALUE', /log\.level: "warning"/, /warn/],
  [{ text: 'payment: { mode: gold }' }, 'E_CONFIG_VALUE', /payment\.mode: "gold" is not one of free, devnet, chain/, /free/],
  [{ text: 'payment: { mode: devnet }' }, 'E_CONFIG_MISSING', /payment\.rpcUrl is not set/, /hearth devnet/],
  [{ text: 'payment: { rpcUrl: "localhost:8545" }' }, 'E_CONFIG_VALUE', /payment\.rpcUrl/, /http/],
  [{ text: 'payment: { contract: 0x5fbdb2315678afecb367f032d93f642f64180aa3 }' }, 'E_CONFIG_VALUE', /payment\.contract/, /quotes/],
  [{ text: 'payment: { price: { coreHour: 5 } }' }, 'E_CONFIG_UNIT', /payment\.price\.coreHour: 5 has no unit/, /gwei/],
  // no bid could carry it: a host that made one would be shunned
  [{ flags: ['payment.ticketLife=19 m'] }, 'E_CONFIG_RANGE', /"19 m"/, /20 m|1200/],
  [{ text: 'store: { quota: 512 }' }, 'E_CONFIG_UNIT', /store\.quota: 512 has no unit \(my\.yaml\)/, /"512 MiB"/],
  [{ text: 'store: { quota: 1 MiB }' }, 'E_CONFIG_RANGE', /less than 64 MiB/, /64 MiB or more/],
  [{ flags: ['requester.bidWindow=500'] }, 'E_CONFIG_UNIT', /requester\.bidWindow: 500 has no unit/, /"90 s"/],
  [{ flags: ['requester.bidWindow=5 min'] }, 'E_CONFIG_UNIT', /"5 min"/, /"5 m"/],
  [{ flags: ['share.cores=half'] }, 'E_CONFIG_TYPE', /share\.cores must be a number, not "half"/, /or auto/],
  [{ flags: ['share.memory=8'] }, 'E_CONFIG_UNIT', /share\.memory: 8 has no unit/, /or auto/],
  [{ flags: ['share.region=EU West'] }, 'E_CONFIG_VALUE', /share\.region: "EU West"/, /eu-west/],
  [{ flags: ['share.engines=wasm,docker'] }, 'E_CONFIG_VALUE', /share\.engines\[1\]: "docker"/, /wasm, container/],
  [{ flags: ['share.hours=always'] }, 'E_CONFIG_VALUE', /"always" are not hours/, /"22:00-07:00"/],
  [{ flags: ['share.uploadLimit=20'] }, 'E_CONFIG_UNIT', /share\.uploadLimit: 20 has no unit/, /"20 Mbps", or none/],
  [{ flags: ['share.uploadLimit=2 MiB'] }, 'E_CONFIG_UNIT', /"2 MiB" is not a speed/, /"20 Mbps"/],
  [{ flags: ['share.uploadLimit=5 kbps'] }, 'E_CONFIG_RANGE', /"5 kbps" is not between 1\.0 Mbps/, /or none/],
  [{ flags: ['share.maxRequesterFaultShare=50'] }, 'E_CONFIG_RANGE', /50 is not between 0 and 1/, /"5 %"/],
  [{ flags: ['share.allow=me'] }, 'E_CONFIG_VALUE', /share\.allow\[0\]: "me" is not a PeerId/, /12D3KooW/],
  [{ flags: [`share.allow=${PEER}`, `share.deny=${PEER}`] }, 'E_CONFIG_CONFLICT', /share allows and denies/, /Remove it/],
  [{ flags: ['network.relayServer=true', 'network.listen=[]'] }, 'E_CONFIG_CONFLICT', /network\.listen is empty/, /switch it off/],
  [{ text: `requester: { providerSets: { "my friends": [${PEER}] } }` }, 'E_CONFIG_VALUE', /"my friends" is not a name/, /letters/],
  [{ flags: ['dataDir='] }, 'E_CONFIG_VALUE', /--dataDir needs a value/, /VALUE/],
  [{ text: 'dataDir: 5' }, 'E_CONFIG_TYPE', /dataDir must be a path, not 5/, /~\/\.hearth/],
  [{ text: 'log: { level: info }\nlog: { level: debug }' }, 'E_CONFIG_DUPLICATE', /my\.yaml:2:1: the key "log"/, /Keep one/],
  [{ text: 'log: [' }, 'E_CONFIG_SYNTAX', /my\.yaml:1:/, /./],
  [{ text: '' }, 'E_CONFIG_SYNTAX', /my\.yaml is empty/, /keys and values/],
  [{ file: 'none.yaml' }, 'E_CONFIG_FILE', /there is no configuration none\.yaml/, /./],
  [{ env: { HEARTH_CONFIG: 'none.yaml' } }, 'E_CONFIG_FILE', /none\.yaml/, /./]
]

for (const [{ text, ...request }, code, message, hint] of BAD) {
  test(`refuses with ${code} naming ${message.source}`, async (context) => {
    const error = await refusal(load(context, request, text))
    assert.is(error.code, code, error.message)
    assert.match(error.message, message)
    assert.match(error.hint, hint)
    assert.equal(readdirSync(context.home), text === undefined ? [] : ['my.yaml'], 'nothing is written')
  })
}

test('two files in the data folder are one too many', async (context) => {
  mkdirSync(join(context.home, '.hearth'))
  for (const name of ['config.yaml', 'config.json']) writeFileSync(join(context.home, '.hearth', name), '{}')
  assert.is((await refusal(load(context))).code, 'E_CONFIG_CONFLICT')
})

test('several faults are one error that tells them all', async (context) => {
  const error = await refusal(load(context, {}, 'network: { port: x }\nstore: { quota: 5 }\n'))
  assert.match(error.message, /network\.port/)
  assert.match(error.hint, /Also: store\.quota: 5 has no unit/)
})

test('every setting has a default in config/defaults.yaml, and nothing else stands there', async () => {
  const defaults = parseText(readFileSync(join(root, 'config', 'defaults.yaml'), 'utf8'), { name: 'defaults.yaml', format: 'yaml', prefix: 'E_CONFIG' })
  const leaves = (value: unknown, path: string): string[] => typeof value === 'object' && value !== null && !Array.isArray(value) && !['requester.providerSets', 'containers.localRegistries'].includes(path)
    ? Object.entries(value).flatMap(([key, child]) => leaves(child, path === '' ? key : `${path}.${key}`))
    : [path]
  assert.equal(leaves(defaults, '').sort(), (await configReference()).map(({ key }) => key).sort())
})

test('the table in config/README.md is the reference, defaults included', async () => {
  assert.ok(readFileSync(join(root, 'config', 'README.md'), 'utf8').includes(referenceTable(await configReference())), 'regenerate the table')
})

test('every example in the reference is accepted where it is said to stand', async (context) => {
  for (const { key, example } of await configReference()) {
    const parts = key.split('.')
    const text = `${parts.map((part, i) => `${'  '.repeat(i)}${part}:`).join('\n')} ${example.replaceAll('12D3KooW…', PEER)}\n`
    assert.ok((await load(context, {}, text)).config, key)
  }
})

test('the example configurations load without warnings', async (context) => {
  const files = readdirSync(join(root, 'config')).filter((name) => /^example.*\.(ya?ml|json)$/.test(name))
  assert.ok(files.length >= 2)
  for (const name of files) assert.equal((await load(context, { file: join(root, 'config', name) })).warnings, [], name)
})

test('the data folder is made for its owner only, and an open one is closed', async ({ home }) => {
  const dir = join(home, 'a', 'b')
  assert.is(await prepareDataDir(dir), true)
  assert.is(statSync(dir).mode & 0o777, 0o700)
  execFileSync('chmod', ['755', dir])
  assert.is(await prepareDataDir(dir), false)
  assert.is(statSync(dir).mode & 0o777, 0o700)
  writeFileSync(join(home, 'file'), '')
  assert.is((await refusal(prepareDataDir(join(home, 'file')))).code, 'E_CONFIG_DATA_DIR')
  assert.is((await refusal(prepareDataDir(join(home, 'file', 'x')))).code, 'E_CONFIG_DATA_DIR')
})

test.run()

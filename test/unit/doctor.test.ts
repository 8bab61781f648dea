/** What a doctor says of clocks and of everything else, and that each finding tells what to do. */
import { tmpdir } from 'node:os'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { AD_AGE_MS, judgeClocks, leastAhead } from '../../node/service/clocks.ts'
import { doctor } from '../../node/service/doctor.ts'
import { PARAMS } from '../../src/params.ts'
import { GIB } from '../../src/units.ts'
import type { Check } from '../../node/api/contract.ts'
import type { EngineStatus } from '../../node/containers/container-sandbox.ts'
import type { DoctorView } from '../../node/service/doctor.ts'

const s = (seconds: number): number => seconds * 1000
const clocks = (...seconds: number[]): { peer: string, ms: number }[] => seconds.map((second, i) => ({ peer: `peer${i}`, ms: s(second) }))

const READY: EngineStatus = { kind: 'ready', name: 'Docker Engine', version: '28.2.2', isRootless: true, socketPath: '', cores: 4, memoryBytes: 8 * GIB, warnings: [] }
const none: DoctorView['containers'] = { engine: undefined, cards: [], problems: [], images: [] }

function view(change: Partial<DoctorView> = {}): DoctorView {
  return {
    dataDir: tmpdir(), platform: 'linux', addresses: ['/ip4/192.168.1.20/tcp/4150'], publicAddress: true, peers: 2,
    look: { aheadMs: clocks(0, 0), asked: 2, lending: 2, open: 1 },
    sharing: true, closed: undefined, containers: { engine: READY, cards: [], problems: [], images: [] },
    memoryBytes: { lent: GIB, free: 4 * GIB }, storeUsage: { bytes: 0, quotaBytes: GIB }, ...change
  }
}
async function find(name: string, change: Partial<DoctorView> = {}): Promise<Check> {
  const found = (await doctor(view(change))).find((check) => check.name === name)
  assert.ok(found, `no check ${name}`)
  return found
}
const clock = (aheadMs: DoctorView['look']['aheadMs'], platform: NodeJS.Platform = 'linux'): Promise<Check> => find('clock', { platform, look: { aheadMs, asked: 3, lending: 3, open: 3 } })

test('what an ad\'s age can explain is no difference of clocks', () => {
  const now = Date.UTC(2026, 0, 1)
  assert.is(leastAhead(now, now), 0)
  assert.is(leastAhead(now - AD_AGE_MS, now), 0)
  assert.is(leastAhead(now - AD_AGE_MS - s(50), now), -s(50))
  assert.is(leastAhead(now + s(40), now), s(40))
})

test('our clock is wrong when most peers agree against it, and only then', () => {
  assert.equal(judgeClocks(clocks()), { state: 'ok', whose: 'theirs', oursMs: 0, compared: 0, off: 0 })
  assert.equal(judgeClocks(clocks(0, 10, -29)), { state: 'ok', whose: 'theirs', oursMs: 0, compared: 3, off: 0 })
  assert.equal(judgeClocks(clocks(0, 0, 500)), { state: 'ok', whose: 'theirs', oursMs: 0, compared: 3, off: 1 })
  assert.equal(judgeClocks(clocks(45, 50, 0)), { state: 'warn', whose: 'ours', oursMs: -s(45), compared: 3, off: 2 })
  assert.equal(judgeClocks(clocks(-300, -200, -130)), { state: 'fail', whose: 'ours', oursMs: s(200), compared: 3, off: 3 })
  assert.equal(judgeClocks(clocks(PARAMS.clockSkewMs / 1000)), { state: 'fail', whose: 'unknown', oursMs: -PARAMS.clockSkewMs, compared: 1, off: 1 })
  assert.is(judgeClocks(clocks(200, 0)).whose, 'theirs', 'one of two is no majority')
  assert.equal(judgeClocks(clocks(200, -200)), { state: 'warn', whose: 'unknown', oursMs: 0, compared: 2, off: 2 })
})

test('a clock that is off is told with its size, its direction and how to set it', async () => {
  const slow = await clock(clocks(45, 50, 48))
  assert.is(slow.state, 'warn')
  assert.match(slow.message, /48 s or more behind those of 3 of 3 peers/)
  assert.match(slow.hint, 'timedatectl')
  const fast = await clock(clocks(-200, -200, 0), 'win32')
  assert.is(fast.state, 'fail')
  assert.match(fast.message, /3 m 20 s or more ahead of those of 2 of 3 peers.*no job/)
  assert.match(fast.hint, 'Sync now')
  const pair = await clock(clocks(150))
  assert.is(pair.state, 'fail')
  assert.match(pair.message, /only peer.*2 m 30 s or more apart/)
  assert.match((await clock(clocks(0, 0, 900))).message, /agrees with 2 of 3 peers/)
  assert.match((await clock([])).message, /no peer/)
})

test('a node that is well has nothing to look at; one that chose to lend nothing neither', async () => {
  for (const change of [{}, { sharing: false, closed: { code: 'E_HOST_NOT_SHARING', message: 'lends nothing' }, memoryBytes: { lent: 8 * GIB, free: GIB } }]) {
    assert.equal((await doctor(view(change))).filter(({ state }) => state !== 'ok'), [])
  }
})

test('every finding says what to do', async () => {
  const sick: Partial<DoctorView>[] = [
    { addresses: [] }, { peers: 0 }, { publicAddress: false }, { memoryBytes: { lent: 8 * GIB, free: GIB } }, { storeUsage: { bytes: GIB, quotaBytes: GIB } },
    { look: { aheadMs: [], asked: 2, lending: 0, open: 0 } }, { look: { aheadMs: [], asked: 2, lending: 2, open: 0 } },
    { closed: { code: 'E_HOST_PAUSED', message: 'is paused by its owner' } }, { closed: { code: 'E_HOST_HOURS', message: 'is outside its hours' } },
    { containers: { ...none, engine: { kind: 'none', reason: 'no container engine answers on this host', hint: 'Install Docker and start it' } } },
    { containers: { ...none, engine: { kind: 'unfit', name: 'Docker Engine', version: '17.03', socketPath: '', faults: ['no seccomp'], hint: 'A current engine has all of it' } } },
    { containers: { ...none, engine: { ...READY, warnings: ['runc 1.1.5 has a known hole'] } } },
    { containers: { ...none, engine: READY, problems: [{ code: 'E_GPU_TOOLKIT', vendor: 'nvidia', message: 'RTX 3060 is there, but the toolkit is missing', hint: 'Install nvidia-container-toolkit' }] } }
  ]
  for (const change of sick) {
    const bad = (await doctor(view(change))).filter(({ state }) => state !== 'ok')
    assert.is(bad.length, 1, JSON.stringify({ change, bad }))
    assert.ok(bad[0]!.hint.length > 15, JSON.stringify(bad))
  }
  assert.match((await find('sharing', { closed: { code: 'E_HOST_PAUSED', message: 'is paused by its owner' } })).hint, 'resume')
})


test.run()

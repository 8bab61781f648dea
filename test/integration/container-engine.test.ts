/** Nodes and engines that die, stall and run full, on an engine of the test's own. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { ContainerSandbox } from '../../node/containers/container-sandbox.ts'
import { EngineClient, EngineError } from '../../node/containers/engine-client.ts'
import type { RunResult } from '../../node/sandbox/run-spec.ts'
import { ContainerEngine } from '../../node/work/container-engine.ts'
import { NO_CONTAINERS } from '../../src/documents/share.ts'
import type { SharePolicy } from '../../src/documents/share.ts'
import { makeImage, openContainers, printed, specOf, testEngine } from '../helpers/engine.ts'
import { lacksOwnEngine, OwnEngine } from '../helpers/own-engine.ts'

const MIB = 1024 ** 2
const WASM_AND_CONTAINERS: SharePolicy = {
  enabled: true, paused: false, cores: 1, memoryBytes: 64 * MIB, diskBytes: MIB, gpus: false, engines: ['wasm', 'container'], region: 'any', maxRunMs: 1000, maxInputBytes: MIB,
  allow: [], deny: [], hours: [], onlyWhenIdle: false, ...NO_CONTAINERS, busyPrograms: [], maxRequesterFaultShare: 1
}
const DISK_MIB = 128
const TAG = 'engine'
const lacks = await testEngine(import.meta.filename) === undefined ? '' : lacksOwnEngine()
if (lacks !== undefined && lacks !== '') console.log(`NOT RUN: container tests that kill an engine: ${lacks}`)

let own: OwnEngine
let imageId: string
const nodes: { process: ChildProcess, dir: string }[] = []

function codeOf({ outcome }: RunResult): string {
  return outcome.kind === 'exited' ? `exited ${outcome.exitCode}` : outcome.kind === 'trapped' ? outcome.trap : outcome.code
}

/** A node in a process of its own, whose job is up. */
async function startNode(node: string, script: string): Promise<{ process: ChildProcess, dir: string }> {
  const dir = mkdtempSync(join(tmpdir(), 'hearth-node-'))
  const child = spawn(process.execPath, [join(import.meta.dirname, '../fixtures/containers/node.ts'), dir, node, own.client.socketPath, imageId, script], { stdio: ['ignore', 'pipe', 'inherit'] })
  nodes.push({ process: child, dir })
  await once(child.stdout, 'data')
  return { process: child, dir }
}

async function endNode({ process: child, dir }: { process: ChildProcess, dir: string }): Promise<void> {
  if (child.signalCode !== null || child.exitCode !== null) return
  const gone = once(child, 'exit')
  child.kill('SIGKILL')
  await gone
  rmSync(dir, { recursive: true, force: true })
}

const namesBy = async (node: string): Promise<string[]> => (await own.client.containersBy(`hearth.node=${node}`)).map(({ Id }) => Id)

if (lacks === undefined) {
  test.before(async () => {
    own = await OwnEngine.start(DISK_MIB)
    imageId = await makeImage(own.client, TAG)
  })
  test.after(async () => {
    for (const node of nodes) await endNode(node)
    await own.close()
  })

  test('a host whose engine goes away offers no containers, and offers them again when it is back', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'hearth-host-'))
    const offers: boolean[] = []
    const host = await ContainerEngine.open({
      dir, node: 'host-test', settings: { socketPath: own.client.socketPath, quotaBytes: MIB, localRegistries: {} }, policy: () => ({ ...WASM_AND_CONTAINERS }),
      askSecrets: async () => [], cardsOf: () => [], ownAddresses: () => [], onChange: ({ isReady }) => { offers.push(isReady) }
    })
    assert.equal([host.isReady, offers], [true, [true]])
    await own.kill()
    await host.look()
    assert.equal([host.isReady, offers], [false, [true, false]])
    await own.start()
    await host.look()
    assert.equal([host.isReady, offers], [true, [true, false, true]])
    await host.close()
    rmSync(dir, { recursive: true, force: true })
  })

  test('C26: what a killed node left is removed when it starts again; another node\'s is not touched', async () => {
    const [killed, other] = await Promise.all([startNode('killed', 'echo up; sleep 1000'), startNode('other', 'echo up; sleep 1000')])
    await endNode(killed)
    const [container = ''] = await namesBy('killed')
    assert.ok((await own.client.inspect(container)).State.Running)
    const sandbox = await ContainerSandbox.open({ dir: killed.dir, node: 'killed', socketPath: own.client.socketPath })
    assert.equal(await namesBy('killed'), [])
    assert.is((await namesBy('other')).length, 1)
    assert.is(codeOf(await sandbox.run(specOf(imageId))), 'exited 0')
    await sandbox.close()
    assert.equal(await own.client.volumesBy('hearth.node=killed'), [])
    rmSync(killed.dir, { recursive: true, force: true })
    const [theirs = ''] = await namesBy('other')
    assert.ok((await own.client.inspect(theirs)).State.Running)
    await endNode(other)
  })

  test('C19: a reader that stalls holds the job, not the engine\'s memory', async () => {
    const beforeBytes = own.residentBytes
    const node = await startNode('stalled', 'yes 0123456789abcdef0123456789abcdef')
    node.process.kill('SIGSTOP')
    const [container = ''] = await namesBy('stalled')
    const cpu = async (): Promise<number> => (await own.client.stats(container)).cpu_stats?.cpu_usage?.total_usage ?? 0
    // the job has stopped when it uses nothing any more
    let [last, now] = [-1, await cpu()]
    while (last !== now) [last, now] = [now, await new Promise((resolve) => { setTimeout(resolve, 300) }).then(cpu)]
    assert.ok((await own.client.inspect(container)).State.Running)
    assert.ok(own.residentBytes < beforeBytes + 32 * MIB, `${own.residentBytes - beforeBytes} bytes more`)
    node.process.kill('SIGCONT')
    await endNode(node)
    await own.client.remove(container)
  })

  test('a call on an engine that is stuck ends at its deadline', async () => {
    await own.stop()
    try {
      const err = await new EngineClient(own.client.socketPath).ping(200).then(() => undefined, (err: unknown) => err)
      assert.ok(err instanceof EngineError && err.kind === 'gone')
    } finally {
      own.goOn()
    }
  })

  test('inputs that the engine\'s disk cannot hold make the host abstain, and leave nothing', async () => {
    const bench = await openContainers(own.client, imageId)
    const bytes = Buffer.alloc((DISK_MIB + 32) * MIB)
    assert.is(codeOf(await bench.sh('true', { inputs: [{ path: 'big', hostPath: bench.file('big', bytes), sizeBytes: bytes.length }] })), 'E_CONTAINER_DISK')
    await bench.sandbox.settled()
    assert.equal(await namesBy(bench.node), [])
    assert.equal((await own.client.volumesBy(`hearth.node=${bench.node}`)).map(({ Name }) => Name).filter((name) => !name.endsWith('-tools')), [])
    assert.is(printed(await bench.sh('echo room')), 'room\n')
    await bench.close()
  })

  test('C27: an engine killed in mid-job, or away when the job ends, gives no success; when it is back nothing is left and work goes on', async () => {
    const bench = await openContainers(own.client, imageId)
    let isUp: () => void = () => undefined
    const up = new Promise<void>((resolve) => { isUp = resolve })
    const job = bench.sh('echo up; echo result > /out/a; sleep 0.5; echo end; exit 0', { onLog: () => { isUp() } })
    const other = bench.sh('sleep 1000')
    await up
    await own.kill()
    assert.is(codeOf(await job), 'E_CONTAINER_ENGINE')
    assert.is(codeOf(await other), 'E_CONTAINER_ENGINE')
    assert.is(bench.sandbox.status().kind, 'none')
    assert.is(codeOf(await bench.sh('true')), 'E_CONTAINER_NO_ENGINE')
    await own.start()
    assert.is(printed(await bench.sh('echo back')), 'back\n')
    assert.is(bench.sandbox.status().kind, 'ready')
    await bench.sandbox.settled()
    assert.equal(await namesBy(bench.node), [])
    await bench.close()
    assert.equal(await own.client.volumesBy(`hearth.node=${bench.node}`), [])
  })
}

test.run()

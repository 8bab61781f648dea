/** Jobs in containers through whole nodes and a real engine: from the job file to the result, and what becomes of them when something dies. */
import { execFileSync, spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { Cluster } from '../../node/demo/cluster.ts'
import type { ClusterNode } from '../../node/demo/cluster.ts'
import type { JobDetail, Timestamped } from '../../node/api/contract.ts'
import { ended, happens, LENDS_NOTHING, restart, startProvider, taskNotice } from '../helpers/cluster.ts'
import { testEngine } from '../helpers/engine.ts'
import { dropNodeImages } from '../helpers/images.ts'

const CONTAINERS = ['--share.engines=[container]']
const ANY_IMAGE = '--share.anyImage=true'
const LIMITS = { resources: { cores: 0.5, memory: '64 MiB', disk: '8 MiB' } }
const SECRET = 'the secret of this test'

const engine = await testEngine(import.meta.filename)

/** A folder with an image archive and what jobs name beside it. */
function jobFolder(): string {
  const dir = mkdtempSync(join(tmpdir(), 'hearth-job-'))
  const bin = join(dir, 'root', 'bin')
  mkdirSync(bin, { recursive: true })
  cpSync('/bin/busybox', join(bin, 'busybox'))
  for (const name of ['sh', 'cat', 'echo', 'sleep', 'wc', 'wget']) symlinkSync('busybox', join(bin, name))
  execFileSync('tar', ['-C', join(dir, 'root'), '-cf', join(dir, 'image.tar'), '.'])
  writeFileSync(join(dir, 'words.txt'), 'one two three\n')
  writeFileSync(join(dir, 'token.txt'), SECRET)
  return dir
}

const script = (text: string, more: Record<string, unknown> = {}): Record<string, unknown> => ({ image: 'image.tar', entrypoint: ['/bin/sh', '-c'], args: [text], ...LIMITS, ...more })

if (engine !== undefined) {
  let cluster: Cluster
  let dir: string
  let you: ClusterNode

  test.before.each(async () => {
    dir = jobFolder()
    cluster = await Cluster.open()
    you = await cluster.start({ name: 'you', flags: LENDS_NOTHING })
  })
  test.after.each(async () => {
    const peers = cluster.nodes.map(({ peer }) => peer)
    await cluster.close()
    for (const peer of peers) await dropNodeImages(engine, peer)
    rmSync(dir, { recursive: true })
  })

  const provider = async (name: string, flags: string[] = [ANY_IMAGE]): Promise<ClusterNode> => await startProvider(cluster, you, name, { flags: [...CONTAINERS, ...flags] })
  const submit = async (spec: Record<string, unknown>): Promise<string> => (await you.api.submit({ spec, baseDir: dir })).job
  const run = async (spec: Record<string, unknown>, on?: (notice: Timestamped) => void): Promise<{ id: string, detail: JobDetail }> => {
    const id = await submit(spec)
    return { id, detail: await ended(you, id, on) }
  }
  const printed = async (job: string, stream: 'stdout' | 'stderr'): Promise<string> => {
    const parts: Buffer[] = []
    for await (const { bytes } of you.api.logs({ job, stream, follow: false })) parts.push(Buffer.from(bytes, 'base64'))
    return Buffer.concat(parts).toString()
  }
  /** The program has printed something. */
  const isUp = async (job: string): Promise<void> => {
    for await (const { bytes } of you.api.logs({ job, stream: 'stdout', follow: true })) if (bytes !== '') break
  }
  /** Containers on the engine of this node. */
  const left = async (node: ClusterNode): Promise<number> => (await engine.containersBy(`hearth.node=${node.peer}`)).length

  test('a job gets its image, inputs and secrets, says how far it is, and its results come back; two hosts agree on them', async () => {
    const [ada, ben] = [await provider('ada'), await provider('ben')]
    const seen: number[] = []
    const { id, detail } = await run(script('wc -w < /in/words.txt; wc -c < /run/secrets/token; echo HEARTH_PROGRESS 0.25 a quarter >&2; cat /in/words.txt > /out/copy.txt', {
      inputs: { 'words.txt': 'words.txt' }, secrets: { token: 'token.txt' }, outputs: ['copy.txt'], replicas: 2, quorum: 2
    }), (notice) => { if (notice.kind === 'task' && notice.fraction !== undefined) seen.push(notice.fraction) })
    assert.is(detail.state, 'done', JSON.stringify(detail.error))
    assert.equal((await printed(id, 'stdout')).split('\n'), ['3', String(SECRET.length), ''])
    assert.match(await printed(id, 'stderr'), /a quarter/)
    const { usage } = detail.taskList[0]!
    assert.ok(usage !== undefined && usage.wallMs > 0 && usage.peakMemoryBytes > 0, JSON.stringify(usage))
    assert.equal(detail.taskList[0]?.peers.toSorted(), [ada.peer, ben.peer].sort())
    const { to } = await you.api.results({ job: id, to: join(dir, 'results') })
    assert.is(readFileSync(join(to, 'out', 'copy.txt'), 'utf8'), 'one two three\n')
    assert.is(spawnSync('grep', ['-rlF', SECRET, cluster.dir], { encoding: 'utf8' }).stdout, '', 'the secret lies on no disk')
  })

  test('hosts that cannot or will not say why, each in its own words', async () => {
    const ada = await provider('ada', [])
    const ben = await provider('ben', [ANY_IMAGE, '--containers.socket=/nonexistent/engine.sock'])
    const id = await submit(script('true', { limits: { queue: '3 s' } }))
    await ended(you, id)
    const { refusals } = await you.api.why(id)
    assert.equal(refusals.map(({ peer, code }) => [peer === ada.peer, code]), [[true, 'E_IMAGE_UNLISTED']], JSON.stringify(refusals))
    const check = (await ben.api.doctor()).find(({ name }) => name === 'containers')
    assert.is(check?.state, 'warn')
    assert.match(check!.hint, /Docker/)
    await ada.api.setShare({ anyImage: true })
    const gpu = await submit(script('true', { resources: { ...LIMITS.resources, gpu: { vendor: 'nvidia', vram: '8 GiB' } }, limits: { queue: '3 s' }, placement: { allow: [ada.peer] } }))
    await ended(you, gpu)
    assert.equal((await you.api.why(gpu)).refusals.map(({ code, message }) => [code, message]), [['E_FIT_GPU', 'needs 1 GPU (nvidia 8.0 GiB VRAM), has no GPU']])
  })

  test('a program that fails is told as its own fault, one that takes too long as too long, one that writes nothing as that', async () => {
    await provider('ada')
    for (const [text, more, code] of [
      ['echo bad >&2; exit 7', {}, 'E_EXIT'],
      ['sleep 60', { limits: { run: '2 s' } }, 'E_PROGRAM'],
      ['true', { outputs: ['promised.txt'] }, 'E_OUTPUT_MISSING']
    ] as const) {
      const { detail } = await run(script(text, { retries: 0, ...more }))
      assert.is(detail.error?.code, code, JSON.stringify(detail.error))
    }
  })

  test('a job with a network is led to the proxy, which tells its requester what it refused; a host that lends none declines', async () => {
    const ada = await provider('ada')
    const spec = script('wget -q -T 5 -O - http://192.168.0.1/ || echo no; wget -q -T 5 -O - http://undeclared.example/ || echo no', { network: { allow: ['example.org'], max: '1 MiB' }, limits: { queue: '3 s' } })
    const { id: declined } = await run(spec)
    assert.equal((await you.api.why(declined)).refusals.map(({ code }) => code), ['E_FIT_NETWORK'])
    await ada.api.setShare({ containerNetwork: true })
    const { id, detail } = await run(spec)
    assert.is(detail.state, 'done', JSON.stringify(detail.error))
    assert.is(await printed(id, 'stdout'), 'no\nno\n')
    const { usage } = detail.taskList[0]!
    assert.equal([usage?.receivedBytes, usage?.sentBytes], [0, 0])
    assert.is(await submit({ ...spec, network: { allow: ['10.0.0.1'] } }).then(() => 'taken', (err: { code: string }) => err.code), 'E_NET_ALLOW')
  })

  test('an image that its host denies while it runs is stopped there', async () => {
    const ada = await provider('ada')
    const id = await submit(script('echo up; sleep 600', { limits: { run: '10 m', queue: '5 s', total: '20 m' } }))
    await isUp(id)
    const [{ key } = { key: '' }] = (await ada.api.images()).images
    await ada.api.setShare({ denyImages: [key] })
    const notice = await happens(you, id, taskNotice('retry', ada.peer))
    assert.is(notice.kind === 'task' ? notice.code : '', 'E_HOST_DENIES')
    await you.api.cancel(id)
    await ada.kill('SIGTERM')
    assert.is(await left(ada), 0)
  })

  test('a cancelled job leaves no container behind', async () => {
    const ada = await provider('ada')
    const id = await submit(script('echo up; sleep 600', { limits: { run: '10 m' } }))
    await isUp(id)
    assert.is(await left(ada), 1)
    await you.api.cancel(id)
    await ada.kill('SIGTERM')
    assert.is(await left(ada), 0)
  })

  test('a host that is killed while a container runs: the task moves, and its next life leaves nothing of the last', async () => {
    await Promise.all([provider('ada'), provider('ben')])
    const id = await submit(script('echo up; sleep 3; echo done > /out/a', { limits: { run: '10 m' } }))
    await isUp(id)
    const [at] = (await you.api.job(id)).taskList[0]?.peers ?? []
    const host = cluster.nodes.find(({ peer }) => peer === at)
    assert.ok(host !== undefined)
    await host.kill('SIGKILL')
    assert.is(await left(host), 1, 'what a killed node leaves')
    const detail = await ended(you, id)
    assert.is(detail.state, 'done', JSON.stringify(detail.error))
    assert.equal(detail.providers.filter(({ done }) => done > 0).map(({ peer }) => peer === host.peer), [false])
    const again = await restart(cluster, host, { flags: ['--share.cores=2', '--share.memory=1 GiB', ...CONTAINERS], bootstrap: [you.address] })
    assert.is(again.peer, host.peer)
    assert.is(await left(host), 0)
  })
}

test.run()

import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { EngineClient } from '../../node/containers/engine-client.ts'
import { FILLER_IMAGE } from '../../node/containers/engine-volumes.ts'
import { ContainerProxy } from '../../node/containers/network/proxy.ts'
import type { ContainerSettings } from '../../node/containers/settings.ts'
import type { RunResult } from '../../node/sandbox/run-spec.ts'
import { compileStatic, dropImage, makeImage, openContainers, printed, specOf, testEngine, textOf, type ContainerBench, type SpecChanges } from '../helpers/engine.ts'

const MIB = 1024 ** 2
const KIB = 1024
const TAG = `run-${process.pid}`
const engine = await testEngine(import.meta.filename)
const removed = new Map<string, (settings: ContainerSettings) => void>()
let bench: ContainerBench
let runs = 0

/** What became of a run, in a word. */
function verdict({ outcome }: RunResult): string | number {
  return outcome.kind === 'exited' ? outcome.exitCode : outcome.kind === 'trapped' ? outcome.trap : outcome.code
}

async function altered(script: string, alter: (settings: ContainerSettings) => void, changes: SpecChanges = {}): Promise<RunResult> {
  const runId = `altered-${++runs}`
  removed.set(runId, alter)
  return await bench.sh(script, { ...changes, runId })
}

/** All containers and volumes of this test's node. */
async function left(engine: EngineClient): Promise<string[]> {
  const mine = (names: string[]): string[] => names.filter((name) => name !== '')
  const containers = await engine.call<{ Labels: Record<string, string>, Names: string[] }[]>({ method: 'GET', path: '/containers/json', query: { all: true, filters: { label: ['hearth.run'] } } })
  return mine(containers.filter(({ Labels }) => Labels['hearth.node']?.startsWith(`test-${process.pid}-`)).map(({ Names }) => Names[0] ?? ''))
}

/** A job that says when it is up: resolves then. */
function whenUp(script: string, changes: SpecChanges = {}): { up: Promise<void>, result: Promise<RunResult> } {
  const { promise, resolve } = Promise.withResolvers<void>()
  return { up: promise, result: bench.sh(`echo up; ${script}`, { ...changes, onLog: () => { resolve() } }) }
}

if (engine !== undefined) {
  test.before(async () => {
    bench = await openContainers(engine, await makeImage(engine, TAG), { alter: (settings) => removed.get((settings['Labels'] as Record<string, string>)['hearth.run'] ?? '')?.(settings) })
  })
  test.after(async () => {
    await bench.close()
    assert.equal(await left(engine), [])
    await dropImage(engine, TAG)
  })

  test('replicas of a task run as the same user, two runs at one time do not', async () => {
    const userSeed = 'job/3'
    const first = await bench.sh('id -u', { userSeed })
    const again = await bench.sh('id -u', { userSeed })
    assert.is(textOf(first, 'stdout'), textOf(again, 'stdout'))
    const both = await Promise.all([bench.sh('id -u', { userSeed }), bench.sh('id -u', { userSeed })])
    assert.is(new Set(both.map((result) => textOf(result, 'stdout'))).size, 2)
  })

  test('a run gives its exit code, its streams, its outputs and what it used', async () => {
    const result = await bench.sh('echo out; echo err >&2; mkdir -p /out/a/b; echo deep > /out/a/b/c; n=0; while [ $n -lt 30000 ]; do n=$((n+1)); done; exit 3')
    assert.is(verdict(result), 3)
    assert.is(textOf(result, 'stdout'), 'out\n')
    assert.is(textOf(result, 'stderr'), 'err\n')
    assert.is(textOf(result, 'out/a/b/c'), 'deep\n')
    const { usage } = result.outcome
    assert.ok(usage.cpuMs > 5 && usage.residentBytes > 100 * KIB && usage.wallMs > 0, JSON.stringify(usage))
    assert.equal([usage.outBytes, usage.outFiles, usage.stdoutBytes, usage.stderrBytes], [5, 3, 4, 4])
  })

  test('a program ended by a signal exits as a shell would say; one that cannot be run says why', async () => {
    assert.is(verdict(await bench.sh('kill -9 $$')), 137)
    const missing = await bench.sandbox.run(specOf(bench.imageId, { command: ['no-such-program'] }))
    assert.is(verdict(missing), 127)
    assert.match(textOf(missing, 'stderr') ?? '', /cannot run no-such-program: no such program/)
    assert.is(verdict(await bench.sandbox.run(specOf(bench.imageId, { command: ['/etc/passwd'] }))), 126)
  })

  test('inputs, standard input, environment, arguments, directory and secrets reach the program', async () => {
    const inputs = [{ path: 'scene/sky.exr', hostPath: bench.file('sky', 'blue'), sizeBytes: 4 }, { path: 'empty', hostPath: bench.file('none', ''), sizeBytes: 0 }, { path: `${'long/'.repeat(60)}name`, hostPath: bench.file('sky', 'blue'), sizeBytes: 4 }]
    const result = await bench.sandbox.run(specOf(bench.imageId, {
      command: ['sh', '-c', 'cat /in/scene/sky.exr; wc -c < /in/empty; cat /in/long/*/*/*/*/*/*/*/*/*/*/*/*/*/*/*/*/*/*/*/*/*/*/*/*/*/*/*/*/*/*/*/*/*/*/*/*/*/*/*/*/*/*/*/*/*/*/*/*/*/*/*/*/*/*/*/*/*/*/*/name; cat; echo "$GREETING" "$1"; pwd; cat /run/secrets/token', 'sh', 'an argument'],
      inputs, stdinPath: bench.file('stdin', 'from stdin\n'), env: { GREETING: 'grüß dich' }, workingDir: '/tmp', secrets: [{ name: 'token', bytes: Buffer.from('s3cret') }]
    }))
    assert.is(printed(result), 'blue0\nbluefrom stdin\ngrüß dich an argument\n/tmp\ns3cret')
  })

  test('large inputs and outputs come through whole', async () => {
    const bytes = Buffer.alloc(9 * MIB, 'some text or other, ')
    const inputs = [{ path: 'big', hostPath: bench.file('big', bytes), sizeBytes: bytes.length }]
    const result = await bench.sh('cp /in/big /out/one; cp /in/big /out/two; mkdir /out/empty; chmod 000 /out/one', { inputs, limits: { outBytes: 20 * MIB } })
    assert.is(verdict(result), 0)
    const dir = result.files?.kind === 'folder' ? result.files.dir : ''
    assert.equal(readdirSync(join(dir, 'out')).sort(), ['empty', 'one', 'two'])
    for (const name of ['one', 'two']) assert.ok(readFileSync(join(dir, 'out', name)).equals(bytes))
  })

  test('an input that is a link, or not of the size that was said, makes the host abstain', async () => {
    const hostPath = bench.file('four', 'four')
    assert.is(verdict(await bench.sh('true', { inputs: [{ path: 'a', hostPath, sizeBytes: 5 }] })), 'E_CONTAINER_INPUT')
    symlinkSync(hostPath, join(bench.dir, 'link'))
    assert.is(verdict(await bench.sh('true', { inputs: [{ path: 'a', hostPath: join(bench.dir, 'link'), sizeBytes: 4 }] })), 'E_CONTAINER_INPUT')
    assert.is(verdict(await bench.sh('true', { inputs: [{ path: 'a', hostPath: join(bench.dir, 'absent'), sizeBytes: 4 }] })), 'E_CONTAINER_INPUT')
  })

  test('logs and progress are seen while the job runs', async () => {
    const told: string[] = []
    const abort = new AbortController()
    const result = await bench.sh('echo HEARTH_PROGRESS 0.42 frame 3 >&2; while :; do :; done', { onProgress: (fraction, message) => { told.push(`${fraction} ${message}`); abort.abort() }, signal: abort.signal })
    assert.is(verdict(result), 'E_CONTAINER_CANCELLED')
    assert.equal(told, ['0.42 frame 3'])
    assert.is(result.files, undefined)
  })

  test('C19: a flood of output, or of newlines, is cut at the cap, counted, and marked', async () => {
    for (const script of ['yes | head -c 20000000; yes 1 | head -c 3000000 >&2', 'tr "\\0" "\\n" < /dev/zero | head -c 20000000']) {
      let seen = 0
      const result = await bench.sh(script, { onLog: (stream, bytes) => { if (stream === 1) seen += bytes.length } })
      assert.is(verdict(result), 0)
      assert.is(result.outcome.usage.stdoutBytes, 20_000_000)
      const kept = textOf(result, 'stdout') ?? ''
      assert.match(kept, /\[hearth: cut here, the limit for this stream is reached\]\n$/)
      assert.is(seen, kept.length)
      assert.ok(kept.length < 65 * KIB)
    }
  })

  test('C19: nothing of a log is on the engine\'s disk; with its default log all of it would be', async () => {
    const written = async (runId: string): Promise<string> => {
      const [container] = await engine.containersBy(`hearth.run=${runId}`)
      const { LogPath } = await engine.call<{ LogPath: string }>({ method: 'GET', path: `/containers/${container?.Id}/json` })
      return LogPath
    }
    const abort = new AbortController()
    const held = whenUp('sleep 100', { signal: abort.signal, runId: 'log-none' })
    await held.up
    assert.is(await written('log-none'), '')
    abort.abort()
    await held.result
    removed.set('log-file', ({ HostConfig }) => { HostConfig['LogConfig'] = { Type: 'json-file', Config: {} } })
    const again = new AbortController()
    const open = whenUp('sleep 100', { signal: again.signal, runId: 'log-file' })
    await open.up
    assert.match(await written('log-file'), /-json\.log$/)
    again.abort()
    await open.result
  })

  test('C20: a job that ignores every signal ends at its time', async () => {
    const result = await bench.sh('for n in $(seq 64); do trap "" $n 2>/dev/null; done; while :; do :; done', { limits: { wallMs: 500 } })
    assert.is(verdict(result), 'E_CONTAINER_TIME')
    assert.ok(result.outcome.usage.cpuMs > 0)
  })

  test('C20: what a job leaves running ends with it, and its late output is in nobody\'s way', async () => {
    const result = await bench.sh('(setsid sh -c "trap \\"\\" TERM HUP; while :; do echo late; done" > /out/late 2>&1 &) ; (setsid sleep 1000 &); sleep 0.1; echo done', { limits: { outBytes: 64 * MIB } })
    assert.is(printed(result), 'done\n')
  })

  test('what looks like the end mark of a run is plain output', async () => {
    const result = await bench.sh('printf "E\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0"; cat /proc/1/cmdline | tr "\\0" " "; exit 4')
    assert.is(verdict(result), 4)
    assert.match(textOf(result, 'stdout') ?? '', /^E\0+\/\.hearth\/init sh -c/)
  })

  test('a stream that a job makes non-blocking or closes is still read to the end', async () => {
    const result = await bench.sh('head -c 300000 /dev/zero > /out/a; exec 1>&- 2>&-; exit 7')
    assert.is(verdict(result), 7)
    assert.is(textOf(result, 'out/a')?.length, 300_000)
  })

  test('C23: outputs other than files and directories with plain names are refused, the same on every host', async () => {
    const attempts: Record<string, [string, ((settings: ContainerSettings) => void)?]> = {
      'a symbolic link': ['ln -s /etc/passwd /out/a'],
      'a link to a directory': ['mkdir /out/d; ln -s / /out/d/root'],
      'a hard link': ['echo x > /out/a; ln /out/a /out/b'],
      'a name that begins with a dash': ['touch /out/-rf'],
      'a newline in a name': ['touch "/out/a\nb"'],
      'a backslash in a name': ['touch "/out/a\\\\b"'],
      'a name that is no UTF-8': ['touch "$(printf "/out/a\\\\377")"'],
      'a device name of Windows': ['touch /out/aux.txt'],
      'a tree that is too deep': ['cd /out; for n in $(seq 33); do mkdir d; cd d; done'],
      'a path that is too long': ['cd /out; d=$(head -c 200 /dev/zero | tr "\\0" d); for n in 1 2 3 4 5 6; do mkdir $d; cd $d; done; touch f'],
      'a fifo': ['mkfifo /out/a', ({ HostConfig }) => { HostConfig['SecurityOpt'] = ['no-new-privileges:true', 'seccomp=unconfined'] }],
      'a device': ['mknod /out/a c 1 5', (settings) => {
        settings['User'] = '0:0'
        settings.HostConfig['CapDrop'] = []
        settings.HostConfig['SecurityOpt'] = ['seccomp=unconfined']
        settings.HostConfig.Tmpfs['/out'] = 'rw,size=1m'
      }],
      'a socket': ['nc -lU /out/a & sleep 0.3; ls /out/a || nc -h 2>&1 | head -1 > /out/-no']
    }
    const refused = await Promise.all(Object.entries(attempts).map(async ([what, [script, alter]]) => `${what}: ${verdict(await altered(script, alter ?? (() => undefined)))}`))
    assert.equal(refused, Object.keys(attempts).map((what) => `${what}: E_CONTAINER_OUTPUT`))
  })

  test('C24: a secret is in no configuration and on no disk; in the environment it would be', async () => {
    const secret = 'hearth-secret-9f2c71'
    const look = async (runId: string): Promise<boolean[]> => {
      const [container] = await engine.containersBy(`hearth.run=${runId}`)
      const shown = JSON.stringify(await engine.inspect(container?.Id ?? ''))
      const { DockerRootDir } = await engine.info()
      const found = existsSync(join(DockerRootDir ?? '', 'containers')) ? execFileSync('sh', ['-c', `grep -rlaF ${secret} ${DockerRootDir}/containers/${container?.Id} ${DockerRootDir}/volumes ${bench.dir} 2>/dev/null || true`], { encoding: 'utf8' }) : ''
      return [shown.includes(secret), found !== '']
    }
    const abort = new AbortController()
    const held = whenUp('cat /run/secrets/key; sleep 100', { signal: abort.signal, runId: 'secret-held', secrets: [{ name: 'key', bytes: Buffer.from(secret) }] })
    await held.up
    assert.equal(await look('secret-held'), [false, false])
    abort.abort()
    await held.result
    const again = new AbortController()
    const open = whenUp('sleep 100', { signal: again.signal, runId: 'secret-open', env: { KEY: secret } })
    await open.up
    assert.equal(await look('secret-open'), [true, process.getuid?.() === 0])
    again.abort()
    await open.result
  })

  test('C28: a setting that the engine does not know, changes or ignores ends the run before it starts', async () => {
    const alterations: ((settings: ContainerSettings) => void)[] = [
      ({ HostConfig }) => { HostConfig['PidsLimitt'] = 64 },
      (settings) => { settings['StopSignall'] = 'SIGKILL' },
      ({ HostConfig }) => { HostConfig.Mounts = HostConfig.Mounts.map((mount) => ({ ...mount, ReadOnly: false as true })) }
    ]
    for (const alter of alterations) {
      const result = await altered('echo ran', alter)
      assert.is(verdict(result), 'E_CONTAINER_SETTINGS')
      assert.is(result.outcome.usage.stdoutBytes, 0)
    }
  })

  test('C21: images with a VOLUME or without a command are refused; USER, HEALTHCHECK and a wild WORKDIR change nothing', async () => {
    const tags = [`${TAG}-volume`, `${TAG}-wild`]
    try {
      const volume = await makeImage(engine, tags[0] ?? '', { changes: ['VOLUME /data'] })
      assert.is(verdict(await bench.sh('true', { imageId: volume })), 'E_CONTAINER_IMAGE')
      const wild = await makeImage(engine, tags[1] ?? '', { changes: ['USER root', 'HEALTHCHECK --interval=1s CMD touch /tmp/checked', 'WORKDIR /proc/self/fd/7', 'ENTRYPOINT ["echo","entry"]', 'CMD ["own"]', 'ENV A=image'] })
      // there is no such descriptor: the job is told, by its exit code
      assert.is(verdict(await bench.sandbox.run(specOf(wild, { command: [] }))), 126)
      assert.is(printed(await bench.sandbox.run(specOf(wild, { command: [], workingDir: '/' }))), 'entry own\n')
      assert.is(printed(await bench.sandbox.run(specOf(wild, { command: ['given'], workingDir: '/' }))), 'entry given\n')
      assert.match(printed(await bench.sandbox.run(specOf(wild, { entrypoint: ['sh', '-c'], command: ['id -u; echo $A'], workingDir: '/' }))), /^1\d{9}\nimage\n$/)
      assert.is(verdict(await bench.sandbox.run(specOf(bench.imageId, { command: [] }))), 'E_CONTAINER_IMAGE')
      assert.is(verdict(await bench.sandbox.run(specOf(`sha256:${'0'.repeat(64)}`))), 'E_CONTAINER_REFUSED')
    } finally {
      for (const tag of tags) await dropImage(engine, tag)
    }
  })

  test('C21: an image that has links where something is mounted is refused', async () => {
    const tag = `${TAG}-links`
    try {
      for (const [name, linkTo] of [['out', '/proc'], ['.hearth', '/in'], ['run', '/proc/self'], ['tmp', '../../../etc']] as const) {
        assert.is(verdict(await bench.sh('true', { imageId: await makeImage(engine, tag, { files: [{ name, linkTo }] }) })), 'E_CONTAINER_IMAGE', name)
      }
    } finally {
      await dropImage(engine, tag)
    }
  })

  test('a held run stands still, its time too, and goes on', async () => {
    const { up, result } = whenUp('for n in 1 2 3 4 5; do sleep 0.1; done; echo end', { runId: 'held', limits: { wallMs: 2500 } })
    await up
    bench.sandbox.hold('held', true)
    const [container] = await engine.containersBy('hearth.run=held')
    const state = async (): Promise<string> => (await engine.inspect(container?.Id ?? '')).State.Status
    while (await state() !== 'paused') await new Promise(setImmediate)
    // longer than its time
    assert.is(verdict(await bench.sh('sleep 2.6')), 0)
    assert.is(await state(), 'paused')
    bench.sandbox.suspend(true)
    bench.sandbox.hold('held', false)
    assert.is(await state(), 'paused')
    bench.sandbox.suspend(false)
    assert.is(printed(await result), 'up\nend\n')
    assert.ok((await result).outcome.usage.wallMs < 2500)
  })

  test('a suspended sandbox starts nothing; a held run can be cancelled', async () => {
    bench.sandbox.suspend(true)
    const abort = new AbortController()
    const result = bench.sh('true', { runId: 'waiting', signal: abort.signal })
    while ((await engine.containersBy('hearth.run=waiting')).length === 0) await new Promise(setImmediate)
    abort.abort()
    assert.is(verdict(await result), 'E_CONTAINER_CANCELLED')
    bench.sandbox.suspend(false)
    assert.is(printed(await bench.sh('echo on')), 'on\n')
  })

  test('a run cancelled at any moment leaves nothing', async () => {
    const inputs = [{ path: 'a', hostPath: bench.file('a', 'a'), sizeBytes: 1 }]
    const verdicts = await Promise.all([0, 10, 20, 40, 80, 120, 160, 240].map(async (ms) => verdict(await bench.sh('while :; do :; done', { inputs, signal: AbortSignal.timeout(ms) }))))
    assert.equal([...new Set(verdicts)], ['E_CONTAINER_CANCELLED'])
    await bench.sandbox.settled()
    assert.equal(await left(engine), [])
    assert.equal((await engine.volumesBy(`hearth.node=${bench.node}`)).filter(({ Name }) => !Name.endsWith('-tools')), [])
  })

  test('a container that somebody else ends makes the host abstain, whatever its exit code', async () => {
    const { up, result } = whenUp('while :; do :; done', { runId: 'ended' })
    await up
    const [container] = await engine.containersBy('hearth.run=ended')
    await engine.call({ method: 'POST', path: `/containers/${container?.Id}/kill` })
    assert.is(verdict(await result), 'E_CONTAINER_TRUNCATED')
    assert.is((await result).files, undefined)
  })

  test('a closed sandbox ends its runs, removes all of its own, and runs nothing more', async () => {
    const other = await openContainers(engine, bench.imageId)
    const { promise, resolve } = Promise.withResolvers<void>()
    const result = other.sh('echo up; while :; do :; done', { onLog: () => { resolve() } })
    await promise
    await other.sandbox.close()
    assert.is(verdict(await result), 'E_CONTAINER_CLOSED')
    assert.equal(await engine.containersBy(`hearth.node=${other.node}`), [])
    assert.equal(await engine.volumesBy(`hearth.node=${other.node}`), [])
    assert.is(await other.sh('true').then(() => 'ran', (err: unknown) => (err as { code: string }).code), 'E_CONTAINER_CLOSED')
    await other.close()
  })

  test('a job with a network has the relay beside it, and reaches the node\'s proxy alone', async () => {
    const proxy = await ContainerProxy.open({ allow: ['example.org'], maxBytes: MIB, parentDir: bench.dir })
    const ask = 'printf "CONNECT example.com:443 HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n" | nc 127.0.0.1 3128; echo $https_proxy; ls /sys/class/net; exit 5'
    const result = await bench.sh(ask, { network: proxy.attachment(), stdinPath: bench.file('stdin', 'x'), limits: { pids: 2 } })
    await proxy.close()
    assert.is(verdict(result), 5)
    assert.match(textOf(result, 'stdout') ?? '', /^HTTP\/1.1 403 [^]*E_NET_DOMAIN[^]*\nhttp:\/\/127.0.0.1:3128\nlo\n$/)
  })

  test('what the engine lost of ours is made again', async () => {
    await bench.sandbox.settled()
    const [tools] = await engine.volumesBy(`hearth.node=${bench.node}`)
    assert.match(tools?.Name ?? '', /-tools$/)
    await engine.removeVolume(tools?.Name ?? '')
    assert.is(printed(await bench.sh('echo again')), 'again\n')
    // as `docker image prune --all` would
    await engine.call({ method: 'DELETE', path: `/images/${FILLER_IMAGE}`, query: { force: true } })
    assert.is(printed(await bench.sh('cat /in/a', { inputs: [{ path: 'a', hostPath: bench.file('a', 'a'), sizeBytes: 1 }] })), 'a')
  })

  test('a spec that cannot be is an error, not a run; a second run of one id too', async () => {
    const fails = async (changes: SpecChanges): Promise<string> => await bench.sh('true', changes).then(() => 'ran', (err: unknown) => (err as { code: string }).code)
    assert.is(await fails({ runId: '../x' }), 'E_CONTAINER_SPEC')
    assert.is(await fails({ inputs: [{ path: '../x', hostPath: '/etc/passwd', sizeBytes: 1 }] }), 'E_CONTAINER_SPEC')
    assert.is(await fails({ secrets: [{ name: '../x', bytes: Buffer.alloc(1) }] }), 'E_CONTAINER_SPEC')
    assert.is(await fails({ limits: { pids: 0 } }), 'E_CONTAINER_SPEC')
    assert.is(await fails({ workingDir: 'tmp' }), 'E_CONTAINER_SPEC')
    assert.is(verdict(await bench.sh('true', { limits: { memoryBytes: 2 ** 50 } })), 'E_CONTAINER_MEMORY')
  })

  const forger = compileStatic('#include <unistd.h>\n#include <fcntl.h>\nint main() { fcntl(1, F_SETFL, O_NONBLOCK | O_WRONLY); char b[4096] = {0}; for (int n = 0; n < 2000; n++) write(2, b, 4096); return 9; }')
  if (forger !== undefined) {
    test('process 1 waits for a pipe that the job made non-blocking', async () => {
      const tag = `${TAG}-forger`
      try {
        const imageId = await makeImage(engine, tag, { files: [{ name: 'bin/forger', content: forger, mode: 0o755 }] })
        const result = await bench.sh('head -c 3000000 /dev/urandom > /out/a; exec forger', { imageId })
        assert.is(verdict(result), 9)
        assert.is(result.outcome.usage.outBytes, 3_000_000)
      } finally {
        await dropImage(engine, tag)
      }
    })
  }
}

test.run()

/**
 * What a hostile job tries from inside its container, on the real engine. Each attempt is made under the settings as they
 * are, where it must fail, and again with only its defence removed, where it must succeed: else the defence would be
 * untried. node/containers/README.md lists what could not be shown that way.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { ContainerSettings } from '../../node/containers/settings.ts'
import { compileStatic, dropImage, makeImage, openContainers, printed, testEngine, textOf, type ContainerBench, type SpecChanges } from '../helpers/engine.ts'

const MIB = 1024 ** 2
const TAG = `attacks-${process.pid}`
const engine = await testEngine(import.meta.filename)
const probe = engine === undefined ? undefined : compileStatic(readFileSync(join(import.meta.dirname, '../fixtures/containers/probe.c'), 'utf8'))
if (engine !== undefined && probe === undefined) console.log('NOT RUN: container attacks by system calls: gcc and libc6-dev are not installed')

/** By run, the defence that it goes without. */
const removed = new Map<string, (settings: ContainerSettings) => void>()
let bench: ContainerBench
let runs = 0

/** The same attempt with the defence and without it. */
async function both(script: string, defence: (settings: ContainerSettings) => void, changes: SpecChanges = {}): Promise<{ held: string, open: string }> {
  const [held, open] = await Promise.all([bench.sh(script, changes), without(script, defence, changes)])
  return { held: printed(held).trim(), open: printed(open).trim() }
}

async function without(script: string, defence: (settings: ContainerSettings) => void, changes: SpecChanges = {}): ReturnType<ContainerBench['sh']> {
  const runId = `without-${++runs}`
  removed.set(runId, defence)
  return await bench.sh(script, { ...changes, runId })
}

const noProfile = ({ HostConfig }: ContainerSettings): void => { HostConfig['SecurityOpt'] = ['no-new-privileges:true', 'seccomp=unconfined'] }
const asRoot = (settings: ContainerSettings): void => {
  settings['User'] = '0:0'
  for (const [at, options] of Object.entries(settings.HostConfig.Tmpfs)) settings.HostConfig.Tmpfs[at] = options.replace(/id=\d+/g, 'id=0')
}
const withCapabilities = (...names: string[]) => ({ HostConfig }: ContainerSettings): void => { HostConfig['CapDrop'] = []; HostConfig['CapAdd'] = names }
const everything = (settings: ContainerSettings): void => {
  noProfile(settings)
  asRoot(settings)
  withCapabilities('SYS_ADMIN', 'SYS_PTRACE', 'SYS_NICE', 'SYSLOG', 'NET_RAW', 'MKNOD', 'SYS_CHROOT')(settings)
}

if (engine !== undefined) {
  test.before(async () => {
    const files = probe === undefined ? [] : [{ name: 'bin/probe', content: probe, mode: 0o755 }, { name: 'bin/setuid-probe', content: probe, mode: 0o4755 }]
    const imageId = await makeImage(engine, TAG, { files: [...files, { name: 'open', dir: true, mode: 0o777 }], changes: ['ENV NVIDIA_VISIBLE_DEVICES=all', 'ENV NVIDIA_DRIVER_CAPABILITIES=all'] })
    bench = await openContainers(engine, imageId, { alter: (settings) => removed.get((settings['Labels'] as Record<string, string>)['hearth.run'] ?? '')?.(settings) })
  })
  test.after(async () => {
    await bench.close()
    await dropImage(engine, TAG)
  })

  test('C1: a job is not root', async () => {
    const { held, open } = await both('id -u', asRoot)
    assert.ok(Number(held) > 1_000_000_000, held)
    assert.is(open, '0')
  })

  test('two runs have two users, so that nothing of one belongs to the other', async () => {
    const users = await Promise.all([bench.sh('id -u'), bench.sh('id -u')])
    assert.is(new Set(users.map(printed)).size, 2)
  })

  test('C3: no capability is left to gain', async () => {
    const { held, open } = await both('grep CapBnd /proc/self/status', withCapabilities())
    assert.match(held, /^CapBnd:\s+0+$/)
    assert.not.match(open, /^CapBnd:\s+0+$/)
  })

  test('C13: four spinners get no more than the part of a core that was promised', async () => {
    // the job ends when it has been throttled, and after a while where it never is
    const script = 'throttled() { cat /sys/fs/cgroup/cpu/cpu.stat /sys/fs/cgroup/cpu.stat 2>/dev/null | grep nr_throttled | head -1; }; for n in 1 2 3 4; do (while :; do :; done) & done; for n in $(seq "$TRIES"); do sleep 0.05; [ "$(throttled)" = "nr_throttled 0" ] || break; done; throttled'
    const held = printed(await bench.sh(script, { limits: { cores: 0.1 }, env: { TRIES: '600' } })).trim()
    const open = printed(await without(script, ({ HostConfig }) => { HostConfig['NanoCpus'] = 0 }, { limits: { cores: 0.1 }, env: { TRIES: '8' } })).trim()
    assert.ok(Number(held.split(' ')[1]) > 0, held)
    assert.is(Number(open.split(' ')[1] ?? 0), 0)
  })

  test('C15: a sparse file cannot pretend to be large; where it could, the collector refuses it', async () => {
    const script = 'truncate -s 1099511627776 /out/big; stat -c %s /out/big'
    const held = await bench.sh(script)
    assert.match(textOf(held, 'stdout') ?? '', /^0?\n?$/)
    const open = await without(script, ({ HostConfig }) => { HostConfig['Ulimits'] = [] })
    assert.is(textOf(open, 'stdout'), '1099511627776\n')
    assert.is(open.outcome.kind === 'trapped' ? open.outcome.trap : open.outcome.kind, 'E_CONTAINER_OUTPUT')
  })

  test('C16: /out takes no more bytes than agreed', async () => {
    const script = 'dd if=/dev/zero of=/out/a bs=1M count=3 2>/dev/null; dd if=/dev/zero of=/out/b bs=1M count=3 2>&1 | grep -o "No space" ; rm /out/b; du -k /out | tail -1'
    const { held, open } = await both(script, ({ HostConfig }) => { HostConfig.Tmpfs['/out'] = HostConfig.Tmpfs['/out']!.replace(/size=\d+/, `size=${64 * MIB}`) })
    assert.match(held, /^No space/)
    assert.not.match(open, /No space/)
  })

  test('C16: /out takes no more files than agreed; where it could, the collector refuses them', async () => {
    const script = 'cd /out; touch $(seq 150) 2>/dev/null; ls | wc -l'
    const held = await bench.sh(script)
    assert.is(textOf(held, 'stdout'), '100\n')
    const open = await without(script, ({ HostConfig }) => { HostConfig.Tmpfs['/out'] = HostConfig.Tmpfs['/out']!.replace(/nr_inodes=\d+/, 'nr_inodes=1000') })
    assert.is(textOf(open, 'stdout'), '150\n')
    assert.is(open.outcome.kind === 'trapped' ? open.outcome.trap : open.outcome.kind, 'E_CONTAINER_OUTPUT')
  })

  test('memory filled with files, which no kill frees, is the job\'s fault, and process 1 still tells', async () => {
    const result = await bench.sh('echo begun; for d in /tmp /out /dev/shm; do dd if=/dev/zero of=$d/a bs=1M count=47; done; echo fine', { limits: { memoryBytes: 16 * MIB, outBytes: 48 * MIB } })
    assert.is(result.outcome.kind === 'trapped' ? result.outcome.trap : result.outcome.kind, 'memory')
    assert.match(textOf(result, 'stdout') ?? '', /^begun/)
  })

  test('C17: what a job writes cannot be run as a program', async () => {
    const script = 'for d in /tmp /out /dev/shm /run/secrets; do cp /bin/busybox $d/echo && $d/echo ran 2>/dev/null || echo no; done; rm /out/*'
    const { held, open } = await both(script, ({ HostConfig }) => {
      for (const [at, options] of Object.entries(HostConfig.Tmpfs)) HostConfig.Tmpfs[at] = `${options.replace('noexec', 'exec')},size=${8 * MIB}`
    }, { secrets: [{ name: 'key', bytes: Buffer.alloc(MIB / 2) }] })
    assert.is(held, 'no\nno\nno\nno')
    // the engine's own /dev/shm stays as it is
    assert.is(open, 'ran\nran\nno\nran')
  })

  test('C18: the image cannot be written, even where it is anybody\'s', async () => {
    const { held, open } = await both('echo x > /open/file 2>/dev/null && echo written || echo no', ({ HostConfig }) => { HostConfig['ReadonlyRootfs'] = false })
    assert.is(held, 'no')
    assert.is(open, 'written')
  })

  test('C18: inputs, standard input and our own programs cannot be written', async () => {
    const inputs = [{ path: 'a', hostPath: bench.file('a', 'input'), sizeBytes: 5 }]
    const script = 'for f in /in/a /in/b /.hearth/init /.hearth/run/stdin; do (echo x > $f) 2>/dev/null && echo written || echo no; done'
    const { held, open } = await both(script, (settings) => {
      // held twice: files of root, on mounts that are read-only
      asRoot(settings)
      withCapabilities('DAC_OVERRIDE')(settings)
      for (const mount of settings.HostConfig.Mounts) if (mount.Target !== '/.hearth') (mount as { ReadOnly: boolean }).ReadOnly = false
    }, { inputs, stdinPath: bench.file('stdin', 'x') }).catch(async (err: unknown) => {
      // a mount that can be written is refused when the settings are read back
      assert.match(String(err), /E_CONTAINER_SETTINGS.*Mounts/)
      return { held: printed(await bench.sh(script, { inputs, stdinPath: bench.file('stdin', 'x') })).trim(), open: '' }
    })
    assert.is(held, 'no\nno\nno\nno')
    assert.is(open, '')
  })

  test('kernel files that steer the host are out of reach', async () => {
    const paths = ['/proc/sysrq-trigger', '/proc/sys/kernel/core_pattern', '/proc/sys/kernel/modprobe', '/proc/sys/vm/drop_caches', '/sys/kernel/uevent_helper', '/sys/power/state', '/sys/fs/cgroup/memory/release_agent', '/sys/fs/cgroup/cgroup.procs', '/sys/fs/cgroup/memory/memory.limit_in_bytes', '/proc/irq/default_smp_affinity', '/dev/mem', '/dev/kmsg']
    const held = printed(await bench.sh(`for f in ${paths.join(' ')}; do (: >> $f) 2>/dev/null && echo $f; done; true`))
    assert.is(held, '')
  })

  test('kernel files that tell of the host are empty or hidden', async () => {
    const { held, open } = await both('for f in /proc/kcore /proc/keys /proc/timer_list /proc/interrupts /proc/modules /proc/kallsyms; do head -c 1 $f 2>/dev/null | wc -c; done | sort -u', (settings) => {
      settings.HostConfig['MaskedPaths'] = []
      asRoot(settings)
      withCapabilities()(settings)
    })
    assert.is(held, '0')
    assert.match(open, /1/)
  })

  test('a job sees no device but the harmless ones', async () => {
    assert.is(printed(await bench.sh('ls /dev')).trim().split('\n').sort().join(' '), 'fd full mqueue null ptmx pts random shm stderr stdin stdout tty urandom zero')
  })

  test('a job sees itself alone: no other process, no open file, no network, no name of the host', async () => {
    const seen = printed(await bench.sh('ls -d /proc/[0-9]* | wc -l; ls /proc/self/fd; ls /sys/class/net; hostname; cat /etc/resolv.conf; grep -c . /etc/hosts; ls /var/run/docker.sock 2>&1 | grep -c "No such"'))
    const [processes, ...rest] = seen.trim().split('\n')
    assert.ok(Number(processes) <= 4, seen)
    // descriptor 3 is ls looking
    assert.is(rest.slice(0, 6).join(' '), '0 1 2 3 lo hearth')
    assert.is(rest.slice(6).filter((line) => line.startsWith('nameserver')).join(), 'nameserver 127.0.0.1')
  })

  test('the control groups can be read by nobody but for the own, and written by nobody', async () => {
    assert.is(printed(await bench.sh('find /sys/fs/cgroup -type d -maxdepth 3 -name "[0-9a-f]*" | grep -c "[0-9a-f]\\{64\\}"; mkdir /sys/fs/cgroup/memory/x 2>/dev/null && echo made; mkdir /sys/fs/cgroup/x 2>/dev/null && echo made; true')).trim(), '0')
  })

  test('C29: no job hands itself a card by its own or its image\'s variables', async () => {
    const { held, open } = await both('env | grep NVIDIA | sort', ({ Env, ...settings }) => { (settings as Record<string, unknown>)['Env'] = Env }, { env: { NVIDIA_VISIBLE_DEVICES: 'all', NVIDIA_DRIVER_CAPABILITIES: 'all', nvidia_x: '1' } })
    assert.is(held, 'NVIDIA_VISIBLE_DEVICES=void')
    assert.is(open, held)
    // the image's own survive where nothing drops them: then reading the settings back refuses the run
    const refused = await without('env', (settings) => { settings['Env'] = [] })
    assert.is(refused.outcome.kind === 'abstained' ? refused.outcome.code : refused.outcome.kind, 'E_CONTAINER_SETTINGS')
  })
}

/** Held by the profile of system calls alone. */
const BY_PROFILE = [
  'user_namespace', 'clone_user_namespace', 'clone3_user_namespace', 'mount_in_namespace', 'raw_in_namespace', 'vsock', 'vsock_32', 'pid_32', 'netlink', 'io_uring',
  'trace_sibling', 'read_sibling', 'write_sibling', 'compare_processes', 'take_descriptor', 'add_key', 'keyctl', 'perf', 'userfault', 'fifo', 'vmsplice_pages',
  'no_random_layout', 'limit_init', 'secret_memory', 'fanotify', 'place_pages', 'move_pages', 'own_filter', 'read_clock_steering', 'segments'
]
/** Held by the profile, or by the want of capabilities and root: each alone is enough. */
const BY_MORE = ['mount_tmpfs', 'raw_socket', 'packet_socket', 'trace_init', 'bpf', 'device', 'advise_other', 'set_hostname', 'read_kernel_log', 'change_root', 'set_user']
/** Held by process 1 itself, and by the want of capabilities. */
const BY_INIT = ['dump_init', 'init_streams', 'init_environment', 'nicer']
/** Closed here even with every defence removed. */
const UNPROVEN = ['alg', 'sctp', 'file_handle', 'x32', 'lower_oom', 'realtime', 'set_clock']

/** What the kernel at hand does not have, it does not open. */
const LACKING = /not supported|not implemented/

function answers(text: string): Map<string, string> {
  return new Map(text.trim().split('\n').map((line) => [line.split(' ')[0] ?? '', line.slice(line.indexOf(' ') + 1)]))
}

function assertOpen(got: Map<string, string>, names: readonly string[]): void {
  assert.equal(names.filter((name) => got.get(name) !== 'open' && !LACKING.test(got.get(name) ?? '')).map((name) => `${name}: ${got.get(name)}`), [])
}

if (engine !== undefined && probe !== undefined) {
  const all = [...BY_PROFILE, ...BY_MORE, ...BY_INIT, ...UNPROVEN]

  test('C4 to C9 and others: no system call that leads out is open', async () => {
    const got = answers(printed(await bench.sh(`probe ${all.join(' ')}`)))
    assert.equal(all.filter((name) => !(got.get(name) ?? '').startsWith('closed')), [])
  })

  test('without the profile, those that it holds alone are open, and no other', async () => {
    const got = answers(printed(await without(`probe ${all.join(' ')}`, noProfile)))
    assertOpen(got, BY_PROFILE)
    assert.equal([...BY_MORE, ...BY_INIT].filter((name) => got.get(name) === 'open'), [])
  })

  test('with root and capabilities, the profile holds all the same', async () => {
    const script = `probe ${BY_MORE.filter((name) => name !== 'set_user').join(' ')}`
    const got = answers(printed(await without(script, (settings) => {
      asRoot(settings)
      withCapabilities('SYS_ADMIN', 'SYS_PTRACE', 'SYSLOG', 'NET_RAW', 'MKNOD')(settings)
    })))
    assert.equal([...got].filter(([, answer]) => answer === 'open'), [])
  })

  test('with everything removed, those that are held twice are open', async () => {
    assertOpen(answers(printed(await without(`probe ${[...BY_MORE, ...BY_INIT].join(' ')}`, everything))), [...BY_MORE, ...BY_INIT])
  })

  test('process 1 takes no signal from inside', async () => {
    assert.is(printed(await bench.sh('kill -9 1; kill -STOP 1; kill -TERM 1; kill -9 -1; echo on')), 'on\n')
  })

  test('C2: a setuid program gains nothing', async () => {
    const { held, open } = await both('setuid-probe euid', (settings) => {
      settings.HostConfig['SecurityOpt'] = (settings.HostConfig['SecurityOpt'] as string[]).filter((each) => !each.startsWith('no-new'))
    })
    assert.ok(Number(held) > 1_000_000_000, held)
    assert.is(open, '0')
  })

  test('C11: a memory bomb is ended by its own limit', async () => {
    const held = await bench.sh(`probe eat ${300 * MIB}`)
    assert.is(held.outcome.kind === 'trapped' ? held.outcome.trap : held.outcome.kind, 'memory')
    assert.ok(held.outcome.usage.residentBytes > 64 * MIB && held.outcome.usage.residentBytes < 200 * MIB, String(held.outcome.usage.residentBytes))
    const open = await without(`probe eat ${300 * MIB}`, ({ HostConfig }) => { HostConfig['Memory'] = 0; HostConfig['MemorySwap'] = 0; delete HostConfig['MemorySwappiness'] })
    assert.is(printed(open), 'ate\n')
  })

  test('C12: a child ended for memory counts, though the job says that all is well', async () => {
    const { outcome } = await bench.sh(`probe eat ${300 * MIB}; echo fine; exit 0`)
    assert.is(outcome.kind === 'trapped' ? outcome.trap : outcome.kind, 'memory')
  })

  test('C10: a fork bomb ends at the limit of processes', async () => {
    const { held, open } = await both('probe forks 200', ({ HostConfig }) => { HostConfig['PidsLimit'] = 1000 }, { limits: { pids: 40 } })
    // the prober, into which the shell turns, is one of the forty
    assert.is(held, '39')
    assert.is(open, '200')
  })

  test('C10: a fork bomb that goes on and ignores all signals leaves the host its processes, and is ended like any other', async () => {
    const abort = new AbortController()
    let isUp: () => void = () => undefined
    const up = new Promise<void>((resolve) => { isUp = resolve })
    const bombed = bench.sh('exec probe bomb', { limits: { pids: 60 }, signal: abort.signal, onLog: () => { isUp() } })
    await up
    assert.is(printed(await bench.sh('echo beside')), 'beside\n')
    abort.abort()
    const { outcome } = await bombed
    assert.is(outcome.kind === 'abstained' ? outcome.code : outcome.kind, 'E_CONTAINER_CANCELLED')
    await bench.sandbox.settled()
  })

  test('C14: a process gets no more files than agreed', async () => {
    const { held, open } = await both('probe descriptors', ({ HostConfig }) => { HostConfig['Ulimits'] = [{ Name: 'nofile', Soft: 4096, Hard: 4096 }] })
    assert.ok(Number(held) > 900 && Number(held) < 1024, held)
    assert.ok(Number(open) > 4000, open)
  })
}

test.run()

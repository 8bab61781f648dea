import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { readSeccompProfile } from '../../node/config/index.ts'
import { checkContainerSpec, type ContainerSpec } from '../../node/containers/container-spec.ts'
import type { EngineInfo, EngineVersion, InspectedContainer, InspectedImage } from '../../node/containers/engine-client.ts'
import { engineName, engineSockets, findEngine } from '../../node/containers/engine-finder.ts'
import { engineFaults, engineWarnings } from '../../node/containers/engine-safety.ts'
import { assignCards } from '../../node/containers/gpu/assignment.ts'
import { INIT_BINARIES, INIT_COMPILERS } from '../../node/containers/init/init-binaries.ts'
import { commandOf, containerMemoryBytes, containerSettings, type ContainerSettings } from '../../node/containers/settings.ts'
import { settingsDiffering } from '../../node/containers/settings-check.ts'
import { specOf } from '../helpers/engine.ts'

const MIB = 1024 ** 2
const IMAGE_ID = `sha256:${'a'.repeat(64)}`
const IMAGE: InspectedImage = { Id: IMAGE_ID, Os: 'linux', Architecture: 'amd64', Size: 1, Config: { Entrypoint: ['/entry'], Cmd: ['own'], Env: ['PATH=/bin', 'NVIDIA_VISIBLE_DEVICES=all', 'NVIDIA_REQUIRE_CUDA=x'] } }
const IDENTITY = { node: 'me', uid: 1_900_000_001, toolsVolume: 'tools', seccomp: '{}' }

function settingsOf(changes: Partial<ContainerSpec> = {}, identity: object = {}): ContainerSettings {
  return containerSettings({ ...specOf(IMAGE_ID), ...changes }, ['true'], IMAGE, { cgroupVersion: 2, mapsUsers: false }, { ...IDENTITY, ...identity })
}

/** What an engine that takes everything as asked shows, in its own way of saying nothing. */
function inspected(settings: ContainerSettings): InspectedContainer {
  const { Image, HostConfig, Env, ...config } = structuredClone(settings)
  return {
    Id: 'x', Image, State: { Status: 'created', Running: false, Paused: false, OOMKilled: false, ExitCode: 0, Error: '' },
    Config: { ...config, Image, Env: [...(Env as string[]).filter((entry) => entry.includes('=')), 'PATH=/bin'], Labels: { ...config['Labels'] as object, 'of.the.image': '1' }, Volumes: null, OnBuild: null },
    HostConfig: { ...HostConfig, Links: null, ExtraHosts: null, Binds: null, ConsoleSize: [0, 0], Isolation: '', Devices: [], KernelMemory: 0 },
    Mounts: HostConfig.Mounts.map(({ Target, Type }) => ({ Type, Destination: Target, RW: false }))
  }
}

test('what the engine took as asked has no differences, whatever its words for nothing', () => {
  const settings = settingsOf({ env: { A: '1' } }, { inputVolume: 'in', stdinVolume: 'stdin' })
  assert.equal(settingsDiffering(settings, inspected(settings)), [])
})

test('each setting that the engine dropped or changed is named', () => {
  const settings = settingsOf()
  for (const key of ['NetworkMode', 'ReadonlyRootfs', 'CapDrop', 'SecurityOpt', 'PidsLimit', 'Memory', 'MemorySwap', 'NanoCpus', 'CpuShares', 'Ulimits', 'Tmpfs', 'IpcMode', 'CgroupnsMode', 'LogConfig', 'OomScoreAdj', 'MaskedPaths', 'ReadonlyPaths', 'Dns', 'Mounts']) {
    const shown = inspected(settings)
    delete shown.HostConfig[key]
    assert.equal(settingsDiffering(settings, shown), [`HostConfig.${key}`])
  }
  for (const key of ['User', 'Hostname', 'Entrypoint', 'Cmd', 'WorkingDir', 'StopSignal', 'Healthcheck', 'OpenStdin', 'StdinOnce']) {
    const shown = inspected(settings)
    delete shown.Config[key]
    assert.equal(settingsDiffering(settings, shown), [key])
  }
})

test('what the engine added is named: privileges, devices, volumes, mounts that can be written, variables that hand out cards', () => {
  const settings = settingsOf()
  const added = (change: (shown: InspectedContainer) => void): string => {
    const shown = inspected(settings)
    change(shown)
    return settingsDiffering(settings, shown).join()
  }
  assert.is(added(({ HostConfig }) => { HostConfig['Privileged'] = true }), 'HostConfig.Privileged')
  assert.is(added(({ HostConfig }) => { HostConfig['CapAdd'] = ['SYS_ADMIN'] }), 'HostConfig.CapAdd')
  assert.is(added(({ HostConfig }) => { HostConfig['Devices'] = [{ PathOnHost: '/dev/mem' }] }), 'HostConfig.Devices')
  assert.is(added(({ HostConfig }) => { HostConfig['PidMode'] = 'host' }), 'HostConfig.PidMode')
  assert.is(added((shown) => { shown.Image = `sha256:${'b'.repeat(64)}` }), 'Image')
  assert.is(added(({ Config }) => { Config['Volumes'] = { '/data': {} } }), 'Volumes')
  assert.is(added(({ Mounts }) => { Mounts.push({ Type: 'volume', Destination: '/data', RW: true }) }), 'Mounts')
  assert.is(added(({ Mounts }) => { Mounts[0]!['RW'] = true }), 'Mounts')
  assert.is(added(({ Config }) => { (Config['Env'] as string[]).push('NVIDIA_VISIBLE_DEVICES=all') }), 'Env')
  assert.is(added(({ Config }) => { Config['Env'] = (Config['Env'] as string[]).filter((entry) => !entry.startsWith('NVIDIA')) }), 'Env')
})

test('the image\'s entrypoint and command count as Docker has it', () => {
  assert.equal(commandOf({ command: [] }, IMAGE), ['/entry', 'own'])
  assert.equal(commandOf({ command: ['a'] }, IMAGE), ['/entry', 'a'])
  assert.equal(commandOf({ entrypoint: ['/other'], command: [] }, IMAGE), ['/other'])
  assert.equal(commandOf({ entrypoint: [], command: ['a'] }, IMAGE), ['a'])
  assert.equal(commandOf({ command: [] }, { ...IMAGE, Config: null }), [])
})

test('leased cards, and only they, are in the settings; a network is one folder and the relay', () => {
  const { HostConfig, Env, Cmd } = settingsOf({ gpus: assignCards([{ id: 'GPU-1', access: { kind: 'nvidia', uuid: 'GPU-1' } }]), network: { socketDir: '/run/user/1/proxy', env: { https_proxy: 'http://127.0.0.1:3128' } }, env: { NVIDIA_VISIBLE_DEVICES: 'all', https_proxy: 'http://elsewhere' } })
  assert.equal((HostConfig['DeviceRequests'] as { DeviceIDs: string[], Count: number }[]).map(({ DeviceIDs, Count }) => [DeviceIDs, Count]), [[['GPU-1'], 0]])
  assert.ok((Env as string[]).includes('NVIDIA_VISIBLE_DEVICES=GPU-1'))
  assert.ok((Env as string[]).includes('https_proxy=http://127.0.0.1:3128'))
  assert.not((Env as string[]).some((entry) => entry.includes('elsewhere') || entry.endsWith('=all')))
  assert.equal(Cmd, ['/.hearth/relay', 'true'])
  assert.is(HostConfig['NetworkMode'], 'none')
  assert.ok(HostConfig.Mounts.some(({ Type, Source, ReadOnly }) => Type === 'bind' && Source === '/run/user/1/proxy' && ReadOnly))
  assert.equal(settingsOf().HostConfig['DeviceRequests'], [])
})

test('a job has a home that it can write, unless it or its image names another', () => {
  const homeIn = (env: Record<string, string>, image = IMAGE): string[] => (containerSettings({ ...specOf(IMAGE_ID), env }, ['true'], image, { cgroupVersion: 2, mapsUsers: false }, IDENTITY)['Env'] as string[]).filter((entry) => entry.startsWith('HOME='))
  assert.equal(homeIn({}), ['HOME=/tmp'])
  assert.equal(homeIn({ HOME: '/out' }), ['HOME=/out'])
  assert.equal(homeIn({}, { ...IMAGE, Config: { Env: ['HOME=/opt'] } }), [])
})

test('outputs lie in memory, so they count; nothing is without a limit where the job agreed on none', () => {
  assert.ok(containerMemoryBytes({ memoryBytes: 64 * MIB, outBytes: 16 * MIB }) >= 80 * MIB)
  const { HostConfig } = settingsOf({ limits: { ...specOf(IMAGE_ID).limits, outBytes: 0, outFiles: 0 } })
  // a size or a count of 0 would be none
  assert.match(HostConfig.Tmpfs['/out'] ?? '', /size=4096,nr_inodes=1,/)
  assert.match(HostConfig.Tmpfs['/tmp'] ?? '', /size=4096,/)
})

test('a spec that no run can have is refused', () => {
  const bad: Partial<ContainerSpec>[] = [
    { runId: 'a/b' }, { runId: '-a' }, { imageId: 'alpine' }, { env: { 'A=B': '1' } }, { env: { A: 'a\0b' } }, { workingDir: '../' }, { command: ['\ud800'] },
    { inputs: [{ path: '/etc', hostPath: '/x', sizeBytes: 1 }] }, { inputs: [{ path: 'a/../b', hostPath: '/x', sizeBytes: 1 }] },
    { inputs: [{ path: 'a', hostPath: '/x', sizeBytes: 1 }, { path: 'a/b', hostPath: '/x', sizeBytes: 1 }] },
    { secrets: [{ name: 'a/b', bytes: Buffer.alloc(1) }] }, { secrets: [{ name: '.a', bytes: Buffer.alloc(1) }] }, { secrets: [{ name: 'a', bytes: Buffer.alloc(2 * MIB) }] }
  ]
  for (const changes of bad) assert.throws(() => { checkContainerSpec({ ...specOf(IMAGE_ID), ...changes }) }, (err: { code: string }) => err.code === 'E_CONTAINER_SPEC', JSON.stringify(changes).slice(0, 80))
  for (const limits of [{ cores: 0 }, { cores: Number.NaN }, { memoryBytes: 1024 }, { outBytes: -1 }, { pids: 0 }, { wallMs: 2 ** 31 }, { logBytes: 2 ** 40 }]) {
    assert.throws(() => { checkContainerSpec({ ...specOf(IMAGE_ID), limits: { ...specOf(IMAGE_ID).limits, ...limits } }) })
  }
  checkContainerSpec(specOf(IMAGE_ID))
})

test('the profile of system calls allows by name, and none of what leads out', () => {
  const { defaultAction, syscalls, archMap } = JSON.parse(readSeccompProfile()) as { defaultAction: string, archMap: { subArchitectures: string[] }[], syscalls: { names: string[], action: string, args?: object[] }[] }
  assert.is(defaultAction, 'SCMP_ACT_ERRNO')
  assert.ok(archMap.every(({ subArchitectures }) => subArchitectures.length === 0))
  const allowed = new Set(syscalls.filter(({ action, args }) => action === 'SCMP_ACT_ALLOW' && args === undefined).flatMap(({ names }) => names))
  for (const name of ['mount', 'unshare', 'setns', 'ptrace', 'process_vm_readv', 'bpf', 'perf_event_open', 'userfaultfd', 'keyctl', 'add_key', 'io_uring_setup', 'mknod', 'mknodat', 'vmsplice', 'open_by_handle_at', 'clone', 'clone3', 'socket', 'prlimit64', 'personality', 'seccomp', 'init_module', 'kexec_load', 'reboot', 'swapon', 'clock_settime', 'quotactl', 'pivot_root', 'chroot', 'move_pages', 'kcmp', 'pidfd_getfd', 'fsopen', 'move_mount', 'syslog']) assert.not(allowed.has(name), name)
  assert.not(syscalls.some((rule) => 'comment' in rule))
})

const version = (parts: Record<string, string>, more: Partial<EngineVersion> = {}): EngineVersion => ({ Version: '28.0.0', ApiVersion: '1.48', MinAPIVersion: '1.24', Arch: 'amd64', Components: Object.entries(parts).map(([Name, Version]) => ({ Name, Version })), ...more })
const GOOD: EngineInfo = { OSType: 'linux', MemoryLimit: true, SwapLimit: true, CpuCfsQuota: true, PidsLimit: true, SecurityOptions: ['name=seccomp,profile=default'], CgroupVersion: '2' }

test('parts of an engine with known holes are said, safe ones not', () => {
  assert.equal(engineWarnings(version({ Engine: '28.0.0', runc: '1.3.3', containerd: '2.1.5' })), [])
  assert.equal(engineWarnings(version({ runc: '1.2.8' })), [])
  assert.equal(engineWarnings(version({ runc: '1.5.0' })), [])
  assert.match(engineWarnings(version({ runc: '1.1.11' })).join(), /CVE-2024-21626.*CVE-2025-31133/)
  assert.match(engineWarnings(version({ runc: '1.3.2' })).join(), /CVE-2025-31133.*1\.4\.0/)
  assert.not.match(engineWarnings(version({ runc: '1.1.12' })).join(), /CVE-2024-21626/)
  assert.match(engineWarnings(version({ runc: '1.1.5+ds1' })).join(), /unless your distribution/)
  assert.match(engineWarnings(version({ Engine: '20.10.5' })).join(), /CVE-2021-41091.*CVE-2022-24769/)
  assert.match(engineWarnings(version({ containerd: '1.7.20' })).join(), /CVE-2024-40635/)
  assert.match(engineWarnings(version({}, { Platform: { Name: 'Docker Desktop 4.40.0 (1)' } })).join(), /CVE-2025-9074/)
})

test('an engine that cannot hold a job is unfit, and why is said', () => {
  assert.equal(engineFaults(GOOD, version({})), [])
  assert.match(engineFaults({ ...GOOD, MemoryLimit: false }, version({})).join(), /memory/)
  assert.match(engineFaults({ ...GOOD, SecurityOptions: [] }, version({})).join(), /seccomp/)
  assert.match(engineFaults({ ...GOOD, OSType: 'windows' }, version({})).join(), /windows/)
  assert.match(engineFaults(GOOD, version({}, { ApiVersion: '1.40' })).join(), /1\.40/)
  assert.match(engineFaults(GOOD, version({}, { ApiVersion: '1.60', MinAPIVersion: '1.44' })).join(), /1\.44/)
  assert.match(engineFaults(GOOD, version({}, { Arch: 'riscv64' })).join(), /riscv64/)
})

test('engines are looked for where they listen, the chosen one first, and named', async () => {
  const paths = engineSockets({ env: { DOCKER_HOST: 'unix:///chosen.sock', XDG_RUNTIME_DIR: '/run/user/7' }, platform: 'linux', home: '/home/me', uid: 7 }).map(({ socketPath }) => socketPath)
  assert.is(paths[0], '/chosen.sock')
  assert.ok(paths.indexOf('/run/user/7/docker.sock') < paths.indexOf('/var/run/docker.sock'))
  assert.ok(paths.includes('/home/me/.docker/run/docker.sock') && paths.includes('/run/podman/podman.sock'))
  assert.not(engineSockets({ env: { DOCKER_HOST: 'tcp://10.0.0.1:2375' }, platform: 'linux', home: '/', uid: 0 }).some(({ socketPath }) => socketPath.includes('10.0.0.1')))
  assert.ok(engineSockets({ env: {}, platform: 'win32', home: 'C:\\', uid: undefined }).every(({ socketPath }) => socketPath.startsWith('//./pipe/')))
  assert.is(engineName({ ...GOOD, SecurityOptions: ['name=rootless'] }, version({}), '/x'), 'Docker Engine (rootless)')
  assert.is(engineName(GOOD, version({ 'Podman Engine': '5.0' }), '/x'), 'Podman')
  assert.is(engineName({ ...GOOD, OperatingSystem: 'Docker Desktop' }, version({}), '/x'), 'Docker Desktop')
  assert.equal(await findEngine([{ socketPath: join(tmpdir(), 'no-such.sock'), of: 'nobody' }]), { denied: [] })
})

test('process 1 is what its source says', () => {
  const script = join(import.meta.dirname, '../../node/containers/init/build.sh')
  for (const [arch, compiler] of [['x64', process.env['CC_X64'] ?? 'x86_64-linux-gnu-gcc'], ['arm64', process.env['CC_ARM64'] ?? 'aarch64-linux-gnu-gcc']] as const) {
    const { stdout, error } = spawnSync(compiler, ['--version'], { encoding: 'utf8' })
    if (error !== undefined || stdout.split('\n')[0] !== INIT_COMPILERS[arch]) {
      console.log(`NOT RUN: building process 1 for ${arch}: ${INIT_COMPILERS[arch]} is not installed`)
      continue
    }
    const dir = mkdtempSync(join(tmpdir(), 'hearth-init-'))
    try {
      assert.is(spawnSync('sh', [script, arch, join(dir, 'init')], { stdio: 'inherit' }).status, 0)
      assert.is(readFileSync(join(dir, 'init')).toString('base64'), INIT_BINARIES[arch])
    } finally {
      rmSync(dir, { recursive: true, force: true })
    }
  }
})

test.run()

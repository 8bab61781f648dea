import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { pack } from 'tar-stream'
import { ContainerSandbox, type ContainerSandboxOptions } from '../../node/containers/container-sandbox.ts'
import type { ContainerSpec } from '../../node/containers/container-spec.ts'
import { EngineClient } from '../../node/containers/engine-client.ts'
import { engineSockets, findEngine } from '../../node/containers/engine-finder.ts'
import { NO_GPU } from '../../node/containers/gpu/assignment.ts'
import type { RunResult } from '../../node/sandbox/run-spec.ts'

/** What every object of the tests bears, so that strays are found. */
export const TEST_LABEL = 'hearth.test=containers'
const BUSYBOX = ['/bin/busybox', '/usr/bin/busybox'].find((path) => existsSync(path))

/**
 * The engine for a test file; undefined where none answers, or where there is no static busybox to make images of. Then
 * one line says that nothing was run, and the file adds no test:
 *
 *     const engine = await testEngine(import.meta.filename)
 *     if (engine !== undefined) test(...)
 *     test.run()
 */
export async function testEngine(file: string): Promise<EngineClient | undefined> {
  const { found, denied } = await findEngine(engineSockets())
  const lacks = found === undefined ? `no container engine answers${denied.length > 0 ? ` (no permission for ${denied.join(', ')})` : ''}` : BUSYBOX === undefined ? 'busybox-static is not installed' : undefined
  if (lacks === undefined) return found?.client
  console.log(`NOT RUN: container tests of ${file.slice(file.lastIndexOf('/') + 1)}: ${lacks}`)
  return undefined
}

/** A file of an image: text or bytes, with a mode, or a link. */
export type ImageFile = { name: string, content: string | Buffer, mode?: number } | { name: string, linkTo: string } | { name: string, dir: true, mode?: number }

/** Makes an image by import: busybox and its commands, `files`, and Dockerfile lines such as `USER root`. Answers its id. */
export async function makeImage(engine: EngineClient, tag: string, { files = [], changes = [] }: { files?: ImageFile[], changes?: string[] } = {}): Promise<string> {
  if (BUSYBOX === undefined) throw new Error('no busybox')
  const tar = pack()
  if (!files.some(({ name }) => name === 'tmp')) tar.entry({ name: 'tmp', type: 'directory', mode: 0o1777 })
  // some storage drivers give no sensible mode to folders that are only implied
  for (const name of ['bin', 'etc']) tar.entry({ name, type: 'directory', mode: 0o755 })
  tar.entry({ name: 'etc/passwd' }, 'root:x:0:0:root:/:/bin/sh\n')
  tar.entry({ name: 'bin/busybox', mode: 0o755 }, readFileSync(BUSYBOX))
  for (const name of execFileSync(BUSYBOX, ['--list'], { encoding: 'utf8' }).split('\n').filter((each) => each !== '' && each !== 'busybox')) tar.entry({ name: `bin/${name}`, type: 'symlink', linkname: 'busybox' })
  for (const file of files) {
    if ('dir' in file) tar.entry({ name: file.name, type: 'directory', mode: file.mode ?? 0o755 })
    else if ('linkTo' in file) tar.entry({ name: file.name, type: 'symlink', linkname: file.linkTo })
    else tar.entry({ name: file.name, mode: file.mode ?? 0o644 }, file.content)
  }
  tar.finalize()
  const parts: Buffer[] = []
  for await (const part of tar as AsyncIterable<Buffer>) parts.push(part)
  await engine.call({ method: 'POST', path: '/images/create', query: { fromSrc: '-', repo: 'hearth-test', tag, changes: [`LABEL ${TEST_LABEL}`, 'ENV PATH=/bin', ...changes] }, file: Buffer.concat(parts), deadlineMs: 60_000 })
  return (await engine.image(`hearth-test:${tag}`)).Id
}

export async function dropImage(engine: EngineClient, tag: string): Promise<void> {
  await engine.call({ method: 'DELETE', path: `/images/hearth-test:${tag}`, query: { force: true } }).catch(() => undefined)
}

/** Compiles C for the inside of a container, without shared libraries; undefined where there is no compiler. */
export function compileStatic(source: string): Buffer | undefined {
  const dir = mkdtempSync(join(tmpdir(), 'hearth-c-'))
  try {
    writeFileSync(join(dir, 'a.c'), source)
    const { status, stderr, error } = spawnSync('gcc', ['-O1', '-static', '-w', '-o', join(dir, 'a'), join(dir, 'a.c')], { encoding: 'utf8' })
    if (error !== undefined) return undefined
    if (status !== 0) throw new Error(stderr)
    return readFileSync(join(dir, 'a'))
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
}

/** A sandbox in a folder of its own, and what its tests need. */
export interface ContainerBench {
  engine: EngineClient
  sandbox: ContainerSandbox
  dir: string
  node: string
  imageId: string
  /** A host file below the bench's folder. */
  file: (name: string, content: string | Buffer) => string
  /** Runs a shell script with the test's usual limits. */
  sh: (script: string, changes?: SpecChanges) => Promise<RunResult>
  close: () => Promise<void>
}
export type SpecChanges = Partial<Omit<ContainerSpec, 'limits'>> & { limits?: Partial<ContainerSpec['limits']>, onLog?: (stream: 1 | 2, bytes: Uint8Array) => void, onProgress?: (fraction: number, message: string) => void, signal?: AbortSignal }

let runs = 0

export function specOf(imageId: string, { limits, onLog: _onLog, onProgress: _onProgress, signal: _signal, ...changes }: SpecChanges = {}): ContainerSpec {
  return {
    runId: `run-${process.pid}-${++runs}`, imageId, command: ['true'], env: {}, inputs: [], secrets: [], gpus: NO_GPU, ...changes,
    limits: { cores: 1, memoryBytes: 128 * 1024 ** 2, outBytes: 4 * 1024 ** 2, outFiles: 100, logBytes: 64 * 1024, wallMs: 60_000, pids: 64, ...limits }
  }
}

export async function openContainers(engine: EngineClient, imageId: string, options: Partial<ContainerSandboxOptions> = {}): Promise<ContainerBench> {
  const dir = mkdtempSync(join(tmpdir(), 'hearth-containers-'))
  const node = options.node ?? `test-${process.pid}-${++runs}`
  const sandbox = await ContainerSandbox.open({ dir: join(dir, 'sandbox'), node, socketPath: engine.socketPath, ...options })
  return {
    engine, sandbox, dir, node, imageId,
    file: (name, content) => {
      mkdirSync(dirname(join(dir, name)), { recursive: true })
      writeFileSync(join(dir, name), content)
      return join(dir, name)
    },
    sh: (script, changes = {}) => sandbox.run(specOf(imageId, { command: ['sh', '-c', script], ...changes }), {
      ...changes.onLog === undefined ? {} : { onLog: changes.onLog }, ...changes.onProgress === undefined ? {} : { onProgress: changes.onProgress }, ...changes.signal === undefined ? {} : { signal: changes.signal }
    }),
    close: async () => {
      await sandbox.close()
      rmSync(dir, { recursive: true, force: true })
    }
  }
}

/** A file of a result as text: `stdout`, `stderr` or `out/...`; undefined where there is none. */
export function textOf({ files }: RunResult, path: string): string | undefined {
  if (files === undefined) return undefined
  if (files.kind === 'memory') {
    const bytes = files.files.find((file) => file.path === path)?.bytes
    return bytes === undefined ? undefined : Buffer.from(bytes).toString()
  }
  return existsSync(join(files.dir, path)) ? readFileSync(join(files.dir, path), 'utf8') : undefined
}

/** What a run printed; throws where it did not end by itself. */
export function printed(result: RunResult): string {
  if (result.outcome.kind !== 'exited') throw new Error(JSON.stringify(result.outcome))
  return textOf(result, 'stdout') ?? ''
}

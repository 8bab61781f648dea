/**
 * The supervisor process: starts children, watches them, ends them, collects their results. It is small, so that starting
 * a process costs little (a fork copies page tables: 1 ms from here, 16 ms from a node of 500 MB), and it waits for nothing
 * but pipes, so that a child is ended in time however busy the node is. It lives as long as its line to the node, fd 3.
 */
import { rm } from 'node:fs/promises'
import { Socket } from 'node:net'
import { dirname, join } from 'node:path'
import { writeChildCode } from './child-code.ts'
import { ChildPool } from './child-pool.ts'
import { encodeFrame, FRAME, FrameReader } from './frames.ts'
import { MAX_SPEC_FRAME_BYTES } from './limits.ts'
import type { RunChild } from './child-process.ts'
import type { RunOutcome, RunResult, RunSpec } from './run-spec.ts'
import { NO_USAGE, SupervisedRun } from './supervised-run.ts'

export interface SupervisorOptions {
  /** Holds `code/`, `runs/` and `results/`. */
  dir: string
  /** The how-manieth supervisor of this sandbox: its run directories are its own. */
  generation: number
  prestarted: number
  flags: string[]
  /** Another child's entry, for tests of a child that misbehaves. */
  entry?: string
}

/** The spec as it travels: the seed in hexadecimal. */
export type SentSpec = Omit<RunSpec, 'seed'> & { seedHex: string }
/** The result as it travels: files in memory as path and base64. */
export interface SentResult { outcome: RunOutcome, dir?: string, memory?: [path: string, base64: string][] }

function start({ dir, generation, prestarted, flags, entry: otherEntry }: SupervisorOptions): void {
  const line = new Socket({ fd: 3, readable: true, writable: true })
  const entry = otherEntry ?? writeChildCode(join(dir, 'code'))
  const pool = new ChildPool({ entry, codeDir: dirname(entry), runsDir: join(dir, 'runs', String(generation)), nodePath: process.execPath, flags, size: prestarted })
  // What a supervisor left that was killed. Its children are gone, or going.
  if (generation > 1) void rm(join(dir, 'runs', String(generation - 1)), { recursive: true, force: true, maxRetries: 3 }).catch(() => undefined)
  const runs = new Map<number, SupervisedRun>()
  let suspended = false
  const send = (type: number, run: number, body: Uint8Array): void => { if (!line.destroyed) line.write(encodeFrame(type, run, body)) }

  const report = (run: number, { outcome, files }: RunResult): void => {
    const sent: SentResult = { outcome, ...files?.kind === 'memory' ? { memory: files.files.map(({ path, bytes }) => [path, Buffer.from(bytes).toString('base64')]) } : files === undefined ? {} : { dir: files.dir } }
    send(FRAME.result, run, Buffer.from(JSON.stringify(sent)))
  }

  async function execute(run: number, { seedHex, ...sent }: SentSpec): Promise<void> {
    let child: RunChild
    try { child = pool.take() } catch (err) {
      report(run, { outcome: { kind: 'abstained', code: 'E_SANDBOX_START', message: `no process can be started: ${String(err)}`, usage: NO_USAGE } })
      return
    }
    const supervised = new SupervisedRun({
      spec: { ...sent, seed: Buffer.from(seedHex, 'hex') }, child, resultDir: join(dir, 'results', `${run}-${sent.runId}`), suspended,
      onLog: (stream, bytes) => { send(stream === 1 ? FRAME.log1 : FRAME.log2, run, bytes) }
    })
    runs.set(run, supervised)
    const result = await supervised.execute()
    runs.delete(run)
    report(run, result)
    pool.fill()
    // What cannot be removed now goes when the sandbox is next opened.
    await rm(child.runDir, { recursive: true, force: true, maxRetries: 3 }).catch(() => undefined)
  }

  const reader = new FrameReader(MAX_SPEC_FRAME_BYTES, (type, run, body) => {
    if (type === FRAME.run) void execute(run, JSON.parse(body.toString('utf8')) as SentSpec)
    else if (type === FRAME.cancel) runs.get(run)?.cancel()
    else if (type === FRAME.suspend || type === FRAME.resume) {
      const held = type === FRAME.suspend
      // of run 0: all of them, those to come included
      if (run !== 0) { runs.get(run)?.hold(held); return }
      suspended = held
      for (const supervised of runs.values()) supervised.suspend(suspended)
    } else if (type === FRAME.warm) {
      pool.fill()
      void pool.whenReady().then(() => { send(FRAME.ready, 0, new Uint8Array(0)) })
    }
  })
  line.on('data', (chunk: Buffer) => { reader.push(chunk) })
  // Without the node there is nobody to run for. Children end with this process, whose end closes their life lines.
  line.on('close', () => { process.exit(0) })
  line.on('error', () => { process.exit(0) })
}

start(JSON.parse(process.argv[2] ?? '') as SupervisorOptions)

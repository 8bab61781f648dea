import { PARAMS } from '../../../src/params.ts'
import { MIB } from '../../../src/units.ts'
import { untilAborted } from '../../api/until-aborted.ts'
import { resultsShown, submitShown } from '../byte-progress.ts'
import { defineCommand } from '../command.ts'
import { freshFolder } from '../files.ts'
import { shortId } from '../ids.ts'
import { LogMerger } from '../../client/log-merger.ts'
import { runSpec } from '../run-spec.ts'
import { EXIT_FAILED, EXIT_INTERRUPTED, UsageError } from '../usage-error.ts'
import { JobModel } from '../views/job-model.ts'
import { jobLiveView } from '../views/job-live.ts'
import { errorLines } from '../views/error.ts'
import { plural } from '../term/text.ts'
import type { NodeApi } from '../../api/contract.ts'
import type { Out } from '../out.ts'

/** Output put into the one JSON document; `logs --json` has all of it. */
const MAX_JSON_OUTPUT_BYTES = MIB

export const runCommand = defineCommand({
  name: 'run',
  group: 'jobs',
  summary: 'Run a WebAssembly program on somebody\'s computer, as if it ran here',
  details: [
    'Its output is printed here, and its exit code is this command\'s. Options of hearth stand before the file; everything after it belongs to the program.',
    'Each --in PATH appears under /in by its own name (or as NAME with --in NAME=PATH). What the program writes below /out is fetched into the folder named by --out. Ctrl-C cancels the run.'
  ],
  passThrough: true,
  options: {
    in: { kind: 'text', value: '[NAME=]PATH', many: true, help: 'A file or folder for the program, under /in' },
    out: { kind: 'path', value: 'DIR', help: 'Write what it leaves in /out there' },
    env: { kind: 'text', value: 'KEY=VALUE', many: true, short: 'e', help: 'A variable of its environment' },
    stdin: { kind: 'path', value: 'FILE', help: 'What it reads on its standard input' },
    replicas: { kind: 'int', value: 'N', min: 1, max: PARAMS.maxReplicas, help: 'Providers that run it at once' },
    quorum: { kind: 'int', value: 'N', min: 1, max: PARAMS.maxReplicas, help: 'Equal results that count as right' },
    memory: { kind: 'size', value: 'SIZE', help: 'Memory it may use, such as 512MiB' },
    time: { kind: 'duration', value: 'TIME', help: 'Longest run, such as 90s or 2h' },
    name: { kind: 'text', value: 'NAME', help: 'What the job is called (the file\'s name)' },
    yes: { kind: 'flag', short: 'y', help: 'Run it also where it may cost more than payment.confirmAbove' }
  },
  positionals: [
    { name: 'file', kind: 'path', help: 'A WebAssembly module for WASI (.wasm)' },
    { name: 'args', kind: 'text', help: 'Arguments of the program', rest: true, optional: true }
  ],
  examples: [
    { line: 'run hello.wasm', says: 'the shortest job' },
    { line: 'run --in texts --out counts wordcount.wasm --top 20', says: '--top 20 goes to the program' },
    { line: 'run --replicas=3 --quorum=2 pi.wasm 1000000', says: 'three run it, two must agree' }
  ],
  async run(api, args, out) {
    if (args.quorum !== undefined && args.replicas !== undefined && args.quorum > args.replicas) throw new UsageError('E_OPTION_CLASH', `--quorum=${args.quorum} needs at least as many --replicas`, `Write --replicas=${args.quorum} or more`)
    const request = await runSpec(args, out.cwd)
    const folder = args.out === undefined ? undefined : await freshFolder(args.out, out.cwd)
    const id = await submitShown(api, { ...request, ...args.yes ? { confirmed: true } : {} }, out)
    const output = await stream(api, id, out)
    if (out.signal.aborted) {
      await api.cancel(id)
      out.note(() => [`cancelled job ${shortId(id)}`])
      return EXIT_INTERRUPTED
    }
    const job = await api.job(id)
    const results = folder === undefined || job.state !== 'done' ? undefined : await resultsShown(api, { job: id, to: folder }, out)
    const task = job.taskList[0]
    if (out.json) out.result({ job: id, state: job.state, exitCode: task?.exitCode ?? null, ...output, ...(results === undefined ? {} : { results }), ...(job.error === undefined ? {} : { error: job.error }) }, () => [])
    if (job.state !== 'done' && (task?.exitCode ?? 0) === 0) {
      const error = job.error ?? task?.error ?? { code: 'E_JOB_FAILED' as const, message: `job ${shortId(id)} ${job.state}`, hint: `\`why ${shortId(id)}\` says more` }
      out.note((view) => errorLines(error, view))
      return EXIT_FAILED
    }
    if (results !== undefined) out.note((view) => [view.paint('dim', `${plural(results.files, 'file')} in ${results.to}`)])
    return task?.exitCode ?? 0
  }
})

/** Prints what the program prints, with a live view until it begins. Settles when the job has ended. */
async function stream(api: NodeApi, id: string, out: Out): Promise<{ stdout: string, stderr: string }> {
  out.shows(id)
  const model = new JobModel(await api.job(id))
  const progress = out.progress((view) => jobLiveView(model, [], view))
  const merger = new LogMerger()
  const kept = { stdout: [] as Uint8Array[], stderr: [] as Uint8Array[] }
  let keptBytes = 0
  const logs = async (): Promise<void> => {
    for await (const chunk of untilAborted(api.logs({ job: id, stream: 'both', follow: true }, out.signal), out.signal)) {
      const bytes = merger.next(chunk)
      if (bytes === undefined) continue
      progress.end()
      if (!out.json) await out.raw(chunk.stream, bytes)
      else if (keptBytes < MAX_JSON_OUTPUT_BYTES) { kept[chunk.stream].push(bytes); keptBytes += bytes.length }
    }
  }
  const events = async (): Promise<void> => {
    for await (const notice of untilAborted(api.events({ job: id }, out.signal), out.signal)) model.apply(notice)
  }
  try {
    await Promise.all([logs(), events()])
  } finally {
    progress.end()
  }
  const text = (parts: Uint8Array[]): string => Buffer.concat(parts).toString('utf8')
  return { stdout: text(kept.stdout), stderr: text(kept.stderr) }
}

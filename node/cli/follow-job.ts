import { once } from 'node:events'
import type { JobDetail, NodeApi, Timestamped } from '../api/contract.ts'
import { untilAborted } from '../api/until-aborted.ts'
import { LogMerger } from '../client/log-merger.ts'
import { JobModel } from './views/job-model.ts'
import { jobLiveView } from './views/job-live.ts'
import { noticeLine } from './views/notice.ts'
import { percent } from './term/bar.ts'
import type { Out } from './out.ts'

/** Lines of output shown below a live job. */
const TAIL_LINES = 4
/** An unfinished line longer than this is shown cut. */
const MAX_TAIL_CHARS = 1_000
/** Output that is under way when the job ends is still waited for this long. */
const LAST_WORDS_MS = 1_000
/** Where nobody watches live, a line of progress at each of these parts. */
const PROGRESS_STEP = 0.1

/**
 * Shows a job until it ends: live where a person looks, else a line for each thing worth one. Returns its detail, or
 * undefined when Ctrl-C ended the showing; the job itself goes on.
 */
export async function followJob(api: NodeApi, id: string, out: Out, withLogs: boolean): Promise<JobDetail | undefined> {
  out.shows(id)
  const model = new JobModel(await api.job(id))
  const tail = new LogTail()
  const stop = new AbortController()
  const signal = AbortSignal.any([out.signal, stop.signal])
  const progress = out.progress((view) => jobLiveView(model, tail.lines, view))
  const logs = withLogs && out.live ? readTail(api, id, tail, signal) : Promise.resolve()
  const say = out.live ? undefined : milestones(model, out)
  try {
    for await (const notice of untilAborted(api.events({ job: id }, signal), signal)) {
      model.apply(notice)
      say?.(notice)
    }
    // what a short job printed may come after its end
    await Promise.race([logs, once(AbortSignal.any([signal, AbortSignal.timeout(LAST_WORDS_MS)]), 'abort')])
  } finally {
    stop.abort()
    await logs
    progress.end(!out.signal.aborted)
  }
  return out.signal.aborted ? undefined : api.job(id)
}

/** The last lines that a job printed, of all its tasks. */
class LogTail {
  lines: string[] = []
  readonly #merger = new LogMerger()
  readonly #open = new Map<number, string>()

  add(chunk: Parameters<LogMerger['next']>[0]): void {
    const bytes = this.#merger.next(chunk)
    if (bytes === undefined) return
    const text = (this.#open.get(chunk.task) ?? '') + Buffer.from(bytes).toString('utf8')
    const lines = text.split('\n')
    const rest = (lines.pop() ?? '').slice(-MAX_TAIL_CHARS)
    if (rest === '') this.#open.delete(chunk.task)
    else this.#open.set(chunk.task, rest)
    this.lines = [...this.lines, ...lines.map((line) => line.slice(0, MAX_TAIL_CHARS))].filter((line) => line.trim() !== '').slice(-TAIL_LINES)
  }
}

async function readTail(api: NodeApi, id: string, tail: LogTail, signal: AbortSignal): Promise<void> {
  try {
    for await (const chunk of untilAborted(api.logs({ job: id, stream: 'both', follow: true }, signal), signal)) tail.add(chunk)
  } catch {
    // the tail is an extra: `logs` says what is wrong with it
  }
}

/** What is worth a line in a log file. */
function milestones(model: JobModel, out: Out): (notice: Timestamped) => void {
  let next = PROGRESS_STEP
  return (notice) => {
    const quiet = notice.kind === 'bid' || notice.kind === 'decline' || notice.kind === 'hosting' || notice.kind === 'won' || notice.kind === 'agreement' || (notice.kind === 'task' && notice.state !== 'failed' && notice.state !== 'retry')
    if (!quiet) out.note((view) => [noticeLine(notice, view)])
    const fraction = model.tasks === 0 ? 0 : model.done.size / model.tasks
    if (notice.kind !== 'task' || fraction < next || fraction >= 1) return
    next = (Math.floor(fraction / PROGRESS_STEP) + 1) * PROGRESS_STEP
    out.note(() => [`${percent(fraction)} done: ${model.done.size} of ${model.tasks} tasks`])
  }
}

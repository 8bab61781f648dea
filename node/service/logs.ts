import type { Job } from '../../src/job/job.ts'
import { isLive } from '../../src/job/task.ts'
import type { Task } from '../../src/job/task.ts'
import { PARAMS } from '../../src/params.ts'
import type { LogChunk } from '../api/contract.ts'

export type StreamChoice = 'stdout' | 'stderr' | 'both'

export interface LogSources {
  /** Live bytes from the provider that runs it. */
  followLive(peer: string, lease: { agreement: string, task: number, attempt: number }, stream: StreamChoice, signal: AbortSignal): AsyncIterable<{ stream: 'stdout' | 'stderr', bytes: Uint8Array }>
  /** A file of a finished result's folder. */
  readFile(content: string, path: 'stdout' | 'stderr', maxBytes: number): Promise<Uint8Array>
  /** Resolves when something about the job changed. */
  changed(job: string, signal: AbortSignal): Promise<void>
}

function chunk(task: number, peer: string, stream: 'stdout' | 'stderr', bytes: Uint8Array, offset: number): LogChunk {
  return { task, peer, stream, offset, bytes: Buffer.from(bytes).toString('base64') }
}

async function * finished(sources: LogSources, task: Task, stream: StreamChoice): AsyncGenerator<LogChunk> {
  if (task.state.kind !== 'done' && task.state.kind !== 'failed') return
  const accepted = task.replicas.find(({ state }) => state.kind === 'accepted')
  const content = task.state.kind === 'done' ? task.state.content : task.failedContent
  if (content === undefined) return
  for (const name of stream === 'both' ? ['stdout', 'stderr'] as const : [stream]) {
    const bytes = await sources.readFile(content, name, PARAMS.maxLogBytes)
    if (bytes.length > 0) yield chunk(task.index, accepted?.provider ?? '', name, bytes, 0)
  }
}

/** One task's output: live from its first running replica, or from its stored result. */
async function * ofTask(sources: LogSources, job: Job, task: Task, stream: StreamChoice, follow: boolean, signal: AbortSignal): AsyncGenerator<LogChunk> {
  while (!signal.aborted) {
    if (task.state.kind === 'done' || task.state.kind === 'failed') { yield * finished(sources, task, stream); return }
    const replica = task.replicas.find((candidate) => isLive(candidate) && candidate.state.kind !== 'leased')
    if (replica !== undefined) {
      const live = sources.followLive(replica.provider, { agreement: replica.agreement, task: task.index, attempt: replica.attempt }, stream, signal)
      const sent = { stdout: 0, stderr: 0 }
      try {
        for await (const { stream: name, bytes } of live) {
          yield chunk(task.index, replica.provider, name, bytes, sent[name])
          sent[name] += bytes.length
        }
        // the live stream had it all: the stored copy would repeat it
        if (sent.stdout + sent.stderr > 0) return
      } catch {
        // its provider went away: another runs the task, or its stored output has it all
      }
    }
    if (!follow || job.state.kind !== 'running') return
    await sources.changed(job.id, signal)
  }
}

export async function * jobLogs(sources: LogSources, job: Job, request: { task?: number, stream: StreamChoice, follow: boolean }, signal: AbortSignal): AsyncGenerator<LogChunk> {
  const indexes = request.task === undefined ? Array.from({ length: job.taskCount }, (_, i) => i) : [request.task]
  for (const index of indexes) {
    while (request.follow && job.state.kind === 'running' && !job.tasks.has(index) && !signal.aborted) await sources.changed(job.id, signal)
    const task = job.tasks.get(index)
    if (task !== undefined) yield * ofTask(sources, job, task, request.stream, request.follow, signal)
  }
}

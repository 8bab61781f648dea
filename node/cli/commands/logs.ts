import { PARAMS } from '../../../src/params.ts'
import { untilAborted } from '../../api/until-aborted.ts'
import { defineCommand } from '../command.ts'
import { resolveJob } from '../ids.ts'
import { LogMerger } from '../../client/log-merger.ts'
import { LinePrefixer } from '../line-prefixer.ts'
import { remark } from '../views/remark.ts'

export const logsCommand = defineCommand({
  name: 'logs',
  group: 'jobs',
  summary: 'Print what a job\'s tasks print',
  details: ['The output of replicas is the same text, so it is printed once. Lines of a job of many tasks begin with the task\'s number.'],
  options: {
    follow: { kind: 'flag', short: 'f', help: 'Go on until the tasks have ended' },
    task: { kind: 'int', value: 'N', min: 0, max: PARAMS.maxTasks - 1, help: 'Only this task' },
    stream: { kind: 'choice', of: ['stdout', 'stderr', 'both'], help: 'Only this stream (both)' }
  },
  positionals: [{ name: 'job', kind: 'job', help: 'The job\'s id, a beginning of it, or `last`' }],
  examples: [
    { line: 'logs last -f', says: 'the newest job, while it runs' },
    { line: 'logs hq3k --task 12 --stream stderr', says: 'what task 12 complained about' }
  ],
  async run(api, { job: typed, follow, task, stream }, out) {
    const job = await resolveJob(api, typed)
    const request = { job, follow, stream: stream ?? 'both', ...(task === undefined ? {} : { task }) }
    const many = task === undefined && (await api.job(job)).tasks > 1
    const merger = new LogMerger()
    const prefixer = new LinePrefixer()
    let printed = false
    for await (const chunk of untilAborted(api.logs(request, out.signal), out.signal)) {
      printed = true
      if (out.json) { await out.item(chunk, () => []); continue }
      const bytes = merger.next(chunk)
      if (bytes !== undefined) await out.raw(chunk.stream, many ? prefixer.add(`${chunk.task}/${chunk.stream}`, `[${chunk.task}] `, bytes) : bytes)
    }
    for (const [stream, bytes] of prefixer.rest()) await out.raw(stream.endsWith('stderr') ? 'stderr' : 'stdout', bytes)
    if (!printed && !out.signal.aborted) out.note((view) => remark(follow ? 'it printed nothing' : 'nothing printed so far; -f waits for more', view))
  }
})

import { resultsShown, submitShown } from '../byte-progress.ts'
import { defineCommand } from '../command.ts'
import { freshFolder } from '../files.ts'
import { followJob } from '../follow-job.ts'
import { shortId } from '../ids.ts'
import { readSpec } from '../read-spec.ts'
import { EXIT_FAILED, EXIT_INTERRUPTED, EXIT_OK, UsageError } from '../usage-error.ts'
import { jobHead } from '../views/jobs.ts'
import { resultsView } from '../views/node.ts'
import { remark } from '../views/remark.ts'

export const submitCommand = defineCommand({
  name: 'submit',
  group: 'jobs',
  summary: 'Send a job file to the network and show it until it ends',
  details: [
    'The file says what to run and on what (see `help job`). Paths in it are relative to the file. Nothing is sent unless the whole file is right.',
    'Ctrl-C ends the showing only: the job goes on, and `watch` shows it again. The exit code is 0 when the job is done, 1 when it failed.'
  ],
  options: {
    detach: { kind: 'flag', short: 'd', help: 'Print the job\'s id and do not wait' },
    to: { kind: 'path', value: 'DIR', help: 'Write the results there when it is done' },
    yes: { kind: 'flag', short: 'y', help: 'Send it also where it may cost more than payment.confirmAbove' }
  },
  positionals: [{ name: 'file', kind: 'path', help: 'A job file (YAML or JSON)' }],
  examples: [
    { line: 'submit config/examples/hello/job.yaml', says: 'a first job' },
    { line: 'submit render.yaml --to frames', says: 'wait, then fetch the results' },
    { line: 'submit render.yaml -d', says: 'only print the id' }
  ],
  async run(api, { file, detach, to, yes }, out) {
    if (detach && to !== undefined) throw new UsageError('E_OPTION_CLASH', '--detach and --to exclude each other', 'Fetch the results later with `results JOB --to DIR`')
    const request = await readSpec(file, out.cwd)
    const folder = to === undefined ? undefined : await freshFolder(to, out.cwd)
    const id = await submitShown(api, { ...request, ...yes ? { confirmed: true } : {} }, out)
    if (detach) {
      out.result({ job: id }, () => [id])
      out.note((view) => remark(`follow it: watch ${shortId(id)}`, view))
      return EXIT_OK
    }
    if (!out.live) out.note(() => [`job ${id}`])
    const job = await followJob(api, id, out, true)
    if (job === undefined) {
      out.note((view) => remark(`the job goes on: watch ${shortId(id)} shows it again, cancel ${shortId(id)} ends it`, view))
      return EXIT_INTERRUPTED
    }
    const results = folder === undefined || job.state !== 'done' ? undefined : await resultsShown(api, { job: id, to: folder }, out)
    const { taskList: _tasks, timeline: _timeline, ...summary } = job
    out.result({ ...summary, ...(results === undefined ? {} : { results }) }, (view) => [
      ...(out.live && job.error === undefined ? [] : jobHead(job, view)),
      ...(results === undefined ? [] : ['', ...resultsView(results, view)]),
      ...(results === undefined && job.state === 'done' ? remark(`fetch the results: results ${shortId(id)}`, view) : []),
      ...(job.state === 'failed' ? remark(`why: why ${shortId(id)} · what it printed: logs ${shortId(id)}`, view) : [])
    ])
    return job.state === 'done' ? EXIT_OK : EXIT_FAILED
  }
})

import { PARAMS } from '../../../src/params.ts'
import { HearthError } from '../../../src/errors.ts'
import { resultsShown } from '../byte-progress.ts'
import { defineCommand } from '../command.ts'
import { targetFolder } from '../files.ts'
import { resolveJob, shortId } from '../ids.ts'
import { resultsView } from '../views/node.ts'

export const resultsCommand = defineCommand({
  name: 'results',
  group: 'jobs',
  summary: 'Write a job\'s results into a folder',
  details: ['One folder a task, or the files themselves for a job of one task. Results count once enough providers agree; --unverified takes the first one before that.'],
  options: {
    to: { kind: 'path', value: 'DIR', help: 'Where to (results-JOB here)' },
    task: { kind: 'int', value: 'N', min: 0, max: PARAMS.maxTasks - 1, help: 'Only this task' },
    unverified: { kind: 'flag', help: 'Also a result that nobody has confirmed yet; it is marked' }
  },
  positionals: [{ name: 'job', kind: 'job', help: 'The job\'s id, a beginning of it, or `last`' }],
  examples: [
    { line: 'results last --to frames', says: 'of the newest job' },
    { line: 'results hq3k --task 3 --unverified', says: 'a first look at task 3' }
  ],
  async run(api, args, out) {
    const folder = args.to === undefined ? undefined : await targetFolder(args.to, out.cwd)
    const job = await resolveJob(api, args.job)
    const to = folder ?? await targetFolder(`results-${shortId(job)}`, out.cwd)
    const request = { job, to, ...(args.task === undefined ? {} : { task: args.task }), ...(args.unverified ? { unverified: true } : {}) }
    const report = await resultsShown(api, request, out).catch((err: unknown) => {
      if (!(err instanceof HearthError && err.code === 'E_CONTENT_EXISTS')) throw err
      throw new HearthError(err.code, err.message, `\`results ${shortId(job)} --to DIR\` writes elsewhere; or move away what is there`, { cause: err })
    })
    out.result(report, (view) => resultsView(report, view))
  }
})

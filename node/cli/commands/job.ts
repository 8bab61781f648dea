import { defineCommand } from '../command.ts'
import { resolveJob } from '../ids.ts'
import { jobView } from '../views/job.ts'

export const jobCommand = defineCommand({
  name: 'job',
  group: 'jobs',
  summary: 'Show one job: its tasks, who runs them, and what happened',
  options: {},
  positionals: [{ name: 'job', kind: 'job', help: 'The job\'s id, a beginning of it, or `last`' }],
  examples: [
    { line: 'job hq3k', says: 'by the first letters of its id' },
    { line: 'job last --json', says: 'everything about the newest job, for a program' }
  ],
  async run(api, { job }, out) {
    const detail = await api.job(await resolveJob(api, job))
    out.result(detail, (view) => jobView(detail, view))
  }
})

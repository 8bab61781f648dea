import { untilAborted } from '../../api/until-aborted.ts'
import { defineCommand } from '../command.ts'
import { followJob } from '../follow-job.ts'
import { resolveJob } from '../ids.ts'
import { EXIT_FAILED, EXIT_OK } from '../usage-error.ts'
import { jobHead } from '../views/jobs.ts'
import { isNews, noticeLine } from '../views/notice.ts'
import { remark } from '../views/remark.ts'

export const watchCommand = defineCommand({
  name: 'watch',
  group: 'jobs',
  summary: 'Follow a job live until it ends, or everything that happens on this node',
  details: ['Ctrl-C ends the watching, never the job. With --json it prints each event as a line.'],
  options: {},
  positionals: [{ name: 'job', kind: 'job', help: 'The job; without it, everything until Ctrl-C', optional: true }],
  examples: [
    { line: 'watch last', says: 'progress of the newest job' },
    { line: 'watch --json', says: 'every event of the node, one JSON document a line' }
  ],
  async run(api, args, out) {
    const id = args.job === undefined ? undefined : await resolveJob(api, args.job)
    if (id === undefined || out.json) {
      for await (const notice of untilAborted(api.events(id === undefined ? {} : { job: id }, out.signal), out.signal)) {
        if (isNews(notice) && notice.job !== '') out.shows(notice.job)
        await out.item(notice, (view) => [noticeLine(notice, view, true)])
      }
      return EXIT_OK
    }
    const job = await followJob(api, id, out, true)
    if (job === undefined) {
      out.note((view) => remark('the job goes on', view))
      return EXIT_OK
    }
    if (!out.live) out.result(job, (view) => jobHead(job, view))
    return job.state === 'done' ? EXIT_OK : EXIT_FAILED
  }
})

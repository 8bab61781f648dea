import { defineCommand } from '../command.ts'
import { resolveJob } from '../ids.ts'
import { whyView } from '../views/why.ts'

export const whyCommand = defineCommand({
  name: 'why',
  group: 'jobs',
  summary: 'Say why a job waits or ended as it did, or why this PC has no work (`why idle`)',
  details: ['It names every refusal with its code, and the requirement that nobody meets although all others are met.'],
  options: {},
  positionals: [{ name: 'job', kind: 'job', help: 'A job, or `idle`' }],
  examples: [
    { line: 'why last', says: 'the newest job' },
    { line: 'why idle', says: 'what kept work away from this PC' }
  ],
  async run(api, { job }, out) {
    const report = await api.why(job === 'idle' ? 'idle' : await resolveJob(api, job))
    out.result(report, (view) => whyView(report, view))
  }
})

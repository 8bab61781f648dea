import { defineCommand } from '../command.ts'
import { jobsView } from '../views/jobs.ts'

/** Jobs listed for a person unless all are asked for. */
const SHOWN = 20

export const jobsCommand = defineCommand({
  name: 'jobs',
  group: 'jobs',
  summary: 'List your jobs, newest first',
  options: {
    all: { kind: 'flag', short: 'a', help: `Also those before the newest ${SHOWN}` },
    state: { kind: 'choice', of: ['tendering', 'running', 'done', 'failed', 'cancelled'], help: 'Only jobs in this state' }
  },
  positionals: [],
  examples: [
    { line: 'jobs', says: 'the newest ones' },
    { line: 'jobs --state=failed --all', says: 'every job that failed' }
  ],
  async run(api, { all, state }, out) {
    const jobs = await api.jobs()
    const found = jobs.filter((job) => state === undefined || job.state === state).toSorted((a, b) => b.createdWallMs - a.createdWallMs)
    const none = state !== undefined && found.length === 0 && jobs.length > 0
    out.result(found, (view) => none ? [`no job is ${state}; \`jobs\` lists all ${jobs.length}`] : jobsView(all ? found : found.slice(0, SHOWN), found.length, view))
  }
})

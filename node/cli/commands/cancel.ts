import { defineCommand } from '../command.ts'
import { checkId, resolveJob, shortId } from '../ids.ts'

export const cancelCommand = defineCommand({
  name: 'cancel',
  group: 'jobs',
  summary: 'End jobs before they are done',
  options: {},
  positionals: [{ name: 'jobs', kind: 'job', help: 'One job or more', rest: true }],
  examples: [{ line: 'cancel hq3k', says: 'providers stop at once' }],
  async run(api, { jobs }, out) {
    for (const typed of jobs) checkId(typed, 'job')
    const ids: string[] = []
    for (const typed of jobs) ids.push(await resolveJob(api, typed))
    for (const id of ids) await api.cancel(id)
    out.result({ cancelled: ids }, () => ids.map((id) => `cancelled ${shortId(id)}`))
  }
})

import { defineCommand } from '../command.ts'
import { readSpec } from '../read-spec.ts'
import { estimateView } from '../views/estimate.ts'

export const estimateCommand = defineCommand({
  name: 'estimate',
  group: 'jobs',
  summary: 'Say what a job would need, take and cost, and who could do it; nothing is sent',
  options: {},
  positionals: [{ name: 'file', kind: 'path', help: 'A job file (YAML or JSON)' }],
  examples: [{ line: 'estimate render.yaml', says: 'before `submit render.yaml`' }],
  async run(api, { file }, out) {
    const estimate = await api.estimate(await readSpec(file, out.cwd))
    out.result(estimate, (view) => estimateView(estimate, view))
  }
})

import { defineCommand } from '../command.ts'

export const resumeCommand = defineCommand({
  name: 'resume',
  group: 'lending',
  summary: 'Lend again after `pause`',
  options: {},
  positionals: [],
  examples: [{ line: 'resume', says: 'suspended tasks go on' }],
  async run(api, _args, out) {
    await api.resume()
    out.result({ paused: false }, (view) => [view.paint('green', 'lending again')])
  }
})

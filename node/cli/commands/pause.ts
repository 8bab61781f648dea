import { defineCommand } from '../command.ts'
import { wrap } from '../term/text.ts'

export const pauseCommand = defineCommand({
  name: 'pause',
  group: 'lending',
  summary: 'Stop lending for now: running tasks of others are suspended',
  options: {},
  positionals: [],
  examples: [{ line: 'pause', says: 'before a game; `resume` after it' }],
  async run(api, _args, out) {
    await api.pause()
    out.result({ paused: true }, (view) => wrap('paused: this PC takes no work until `resume`', view.width).map((line) => view.paint('yellow', line)))
  }
})

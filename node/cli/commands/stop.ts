import { SECOND_MS } from '../../../src/units.ts'
import { HearthError } from '../../../src/errors.ts'
import { defineCommand } from '../command.ts'

/** Time that running tasks of others are given. */
const WITHIN_MS = 60 * SECOND_MS

export const stopCommand = defineCommand({
  name: 'stop',
  group: 'node',
  summary: 'Stop the node, after running tasks of others have ended',
  only: 'shell',
  options: { within: { kind: 'duration', value: 'TIME', help: 'Wait for running tasks at most this long (60s); 0s: not at all' } },
  positionals: [],
  examples: [{ line: 'stop', says: 'drain, then stop' }, { line: 'stop --within=0s', says: 'at once' }],
  async run(api, { within }, out) {
    const progress = out.progress(() => ['waiting for running tasks to end …'])
    try {
      await api.shutdown({ withinMs: within ?? WITHIN_MS })
    } catch (err) {
      // the connection may end before the answer: the node is down either way
      if (!(err instanceof HearthError && err.code === 'E_NODE_GONE')) throw err
    } finally {
      progress.end()
    }
    out.result({ stopped: true }, () => ['the node has stopped'])
  }
})

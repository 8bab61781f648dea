import { HearthError } from '../../../src/errors.ts'
import { defineCommand } from '../command.ts'
import { EXIT_FAILED, EXIT_OK } from '../usage-error.ts'
import { checksView } from '../views/node.ts'
import type { Check, NodeApi } from '../../api/contract.ts'

export const doctorCommand = defineCommand({
  name: 'doctor',
  group: 'node',
  summary: 'Check whether this node can work, and say what to do where it cannot',
  details: ['It looks at the port, peers and what they offer, the clock against theirs, disk, memory, and what this PC lends. The exit code is 1 when something fails, warnings apart.'],
  options: {},
  positionals: [],
  examples: [{ line: 'doctor', says: 'when something seems wrong' }],
  async run(api, _args, out) {
    const progress = out.progress(() => ['checking …'])
    const checks = await check(api).finally(() => progress.end())
    out.result(checks, (view) => checksView(checks, view))
    return checks.some(({ state }) => state === 'fail') ? EXIT_FAILED : EXIT_OK
  }
})

/** A node that is down is the first thing a doctor should find, not an error of his. */
async function check(api: NodeApi): Promise<Check[]> {
  try {
    return await api.doctor()
  } catch (err) {
    if (!(err instanceof HearthError) || !['E_NODE_DOWN', 'E_NODE_HANGS'].includes(err.code)) throw err
    return [{ name: 'node', state: 'fail', message: err.message, hint: err.hint }]
  }
}

import { defineCommand } from '../command.ts'
import type { Command } from '../command.ts'
import type { Shell } from '../shell.ts'

/** `replCommands` are those of the prompt; asked for when it opens, since the list holds this command's siblings. */
export function upCommand(shell: Shell, replCommands: () => readonly Command[]): Command {
  return defineCommand({
    name: 'up',
    group: 'node',
    summary: 'Start the node on this PC, and on a terminal its prompt',
    details: [
      'Nothing needs to be configured. Any setting can be given as --key.path=value (see `help config`).',
      'SIGTERM and Ctrl-C finish running tasks of others first; a second one stops at once.',
      'Without a prompt it writes what a log should hold: how jobs and tasks ended, who was caught, what failed here. `watch` shows every step, `watch --json` as one document a line.'
    ],
    only: 'shell',
    keyOptions: true,
    options: {
      headless: { kind: 'flag', help: 'No prompt: for services. A log goes to standard output' },
      config: { kind: 'path', value: 'FILE', help: 'A configuration file (YAML or JSON)' }
    },
    positionals: [],
    examples: [
      { line: 'up', says: 'start, and open the prompt' },
      { line: 'up --headless --config=/etc/hearth.yaml', says: 'as a service' },
      { line: 'up --network.port=4001 --share.enabled=false', says: 'another port, and only send jobs' }
    ],
    async run(_api, { headless, config, overrides, dataDir }, out) {
      // loaded here, since every other command does without
      const { runNode } = await import('../run-node.ts')
      const request = { file: config, overrides, dataDir, env: shell.env, cwd: shell.cwd }
      await runNode({ shell, request, headless, commands: replCommands() }, out)
    }
  })
}

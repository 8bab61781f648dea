import type { Topic } from './topic.ts'

export const configTopic: Topic = {
  name: 'config',
  summary: 'where settings come from',
  title: 'configuration',
  text: `
Nothing needs to be configured. Settings come, each over the one before it, from the defaults, a file (\`up --config FILE\`, YAML or JSON), the environment, and options of \`up\`:

  hearth up --network.port=4001 --network.mdns=false

\`config show\` prints what is in force and where each value comes from. An unknown key is an error that names the nearest one. What this PC lends is not configuration but set with \`share\`, while the node runs.`
}

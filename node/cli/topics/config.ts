import type { Topic } from './topic.ts'

export const configTopic: Topic = {
  name: 'config',
  summary: 'where settings come from',
  title: 'configuration',
  text: `
Nothing needs to be configured. Settings come, each over the one before it, from the defaults, a file (config.yaml in the data folder, or \`up --config FILE\`), the environment, and options of \`up\`:

  hearth up --network.port=4001 --network.mdns=false
  HEARTH_NETWORK__PORT=4001 hearth up

\`config show\` prints what is in force and where each value comes from. An unknown key is an error that names the nearest one. The share.… settings are a new node's first policy: from then on \`share\` shows and changes it.

Every setting:`
}

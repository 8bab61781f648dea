import { SHARE_KEYS, SHARE_NAMES } from '../share-keys.ts'
import type { Topic } from './topic.ts'

const keys = SHARE_NAMES.map((name) => `  ${`${name}=${SHARE_KEYS[name].example}`.padEnd(30)}  ${SHARE_KEYS[name].help}`).join('\n')

export const shareTopic: Topic = {
  name: 'share',
  summary: 'what this PC lends, to whom and when',
  title: 'what you lend',
  text: `
\`share\` shows what this PC lends; \`share KEY=VALUE …\` changes it at once, and keeps it. What is agreed already runs on.

${keys}

Without payments this PC works for peers of its own network and for those that payment.allow names, each up to payment.quota core-hours a day (\`help config\`); \`allow\` and \`deny\` here narrow that further.

\`pause\` suspends everything for now, \`resume\` goes on. Jobs of others can neither see your files nor use your network: see \`help safety\`.`
}

import type { Topic } from './topic.ts'

export const safetyTopic: Topic = {
  name: 'safety',
  summary: 'what a stranger\'s job can and cannot do here',
  title: 'is it safe to lend?',
  text: `
A job of somebody else is a WebAssembly program in a process of its own. It has no files but its own inputs and outputs, no network, no clock of yours, no devices; its memory, disk space, output and run time are capped, and a watchdog ends what passes its cap. Its module is checked before it runs.

A job in a container (\`help containers\`) has the same bounds, kept by the kernel: no rights, no network unless you lend yours, a read-only system, and only images of your lists.

You decide how much is lent, to whom and when (\`help share\`). \`pause\` stops all of it at once.

Your own jobs: whoever runs one can read its program and inputs, so send no secrets but those it must have (\`help containers\`). That they ran it right is checked by comparing results of several providers (\`help results\`).

Your node's only secret is its key. \`hearth key export\` prints it for a backup; whoever has it is you. \`hearth key protect\` seals the stored one with a passphrase.`
}

import type { Topic } from './topic.ts'

export const resultsTopic: Topic = {
  name: 'results',
  summary: 'where results come from, and when they count',
  title: 'results',
  text: `
Whatever a task writes below /out comes back, with what it printed. \`results JOB --to DIR\` writes it: the files themselves for a job of one task, else one folder a task, named by its number. \`submit FILE --to DIR\` does both in one step.

Providers seal their result before any of them may look at another's; then they reveal. A result counts (it is "verified") once as many equal ones as the quorum are revealed. \`results JOB --unverified\` takes a first one before that, marked as such.

A provider whose result differs is caught: it is named in \`job JOB\`, and your node avoids it from then on. Files travel in checked pieces and resume where they stopped.`
}

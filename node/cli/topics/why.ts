import type { Topic } from './topic.ts'

export const whyTopic: Topic = {
  name: 'why',
  summary: 'why a job waits, or this PC has no work',
  title: 'why',
  text: `
Nobody refuses in silence. Each refusal has a code and a sentence, and \`why JOB\` gathers them: which requirement nobody meets although all others are met comes first, since that is the one to relax.

  why last      the newest job
  why hq3k      a job by the beginning of its id
  why idle      why this PC has no work

Codes that begin with E_FIT_ mean that the job does not fit that PC (cores, memory, disk, card, region); those with E_HOST_ that its owner does not lend now (paused, busy, outside hours, not for you).`
}

import type { Topic } from './topic.ts'

export const replTopic: Topic = {
  name: 'repl',
  summary: 'keys and quoting at the prompt',
  title: 'at the prompt',
  text: `
\`hearth up\` on a terminal opens a prompt; every command works there without "hearth" before it.

  Tab          completes commands, options, jobs, peers and files
  Up, Down     earlier lines (they are kept)
  Ctrl-R       is not there: type the beginning and press Up
  Ctrl-C       ends the running command, never the node
  Ctrl-D       leaves: running tasks of others are finished first, if you like

Words with spaces stand in quotes: share hours "22:00-08:00". \`last\` is the newest job, and the beginning of an id is enough. What happens meanwhile (a job done, a liar caught) appears above the line you type.`
}

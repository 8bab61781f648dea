import type { Topic } from './topic.ts'

export const jsonTopic: Topic = {
  name: 'json',
  summary: 'how to use hearth from scripts',
  title: 'scripts',
  text: `
Every command takes --json: standard output is then one JSON document, or one a line for what goes on (watch, logs). An error is a document {"error": {"code", "message", "hint"}} on standard error.

  hearth submit render.yaml --json | jq .state
  id=$(hearth submit render.yaml -d)
  hearth watch $id --json
  hearth status --json

Exit codes: 0 done, 1 failed, 2 wrong input and nothing done, 130 ended by Ctrl-C. \`run\` exits with the program's own code.

From JavaScript:

  import { connect } from 'hearth'
  const hearth = await connect()
  const job = await hearth.submit('render.yaml')
  for await (const event of job.events()) console.log(event)
  await job.results('./out')`
}

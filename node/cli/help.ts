import { GLOBAL_OPTIONS, SHELL_OPTIONS, usageLine } from './options.ts'
import { placeholder } from './parse.ts'
import { pad, width, wrap } from './term/text.ts'
import { TOPICS } from './topics/index.ts'
import type { Command } from './command.ts'
import type { Group, OptionSpec } from './options.ts'
import type { Topic } from './topics/topic.ts'
import type { View } from './term/view.ts'

/** In a shell commands follow the program's name, in the REPL they stand alone. */
export type Place = 'shell' | 'repl'

const GROUPS: Record<Group, string> = {
  jobs: 'your jobs',
  network: 'the network',
  lending: 'what you lend',
  money: 'money',
  node: 'the node'
}
/** Help beside a wide left column would be a ribbon. */
const MAX_LEFT_COLUMNS = 30

function prefix(place: Place): string {
  return place === 'shell' ? 'hearth ' : ''
}

/** Two columns; the right one is wrapped, below the left one in a narrow window. */
function pairs(rows: readonly (readonly [string, string])[], view: View): string[] {
  const left = Math.min(MAX_LEFT_COLUMNS, Math.max(0, ...rows.map(([text]) => width(text))))
  const room = view.width - left - 4
  return rows.flatMap(([text, says]) => {
    if (room < 24 || width(text) > left) return [`  ${view.paint('cyan', text)}`, ...wrap(says, Math.max(16, view.width - 6)).map((line) => `      ${line}`)]
    const [first = '', ...more] = wrap(says, room)
    return [`  ${view.paint('cyan', pad(text, left))}  ${first}`, ...more.map((line) => ' '.repeat(left + 4) + line)]
  })
}

/** What `hearth` alone prints. `node` is a line about the node, when one runs. */
export function overviewLines(version: string, node: string | undefined, view: View): string[] {
  return [
    `${view.paint('ember', view.paint('bold', 'hearth'))} ${view.paint('dim', version)}`,
    ...wrap('every house a datacentre, every computer a node', view.width),
    '',
    ...pairs([
      ['hearth up', 'start your node, and talk to it'],
      ['hearth run hello.wasm', 'run a program on somebody\'s computer'],
      ['hearth submit job.yaml', 'send a job and watch it'],
      ['hearth jobs', 'your jobs'],
      ['hearth share', 'what this PC lends, to whom and when'],
      ['hearth doctor', 'what is wrong, and what to do'],
      ['hearth help', 'all commands and topics']
    ], view),
    '',
    ...wrap(node ?? 'no node runs here yet: start it with `hearth up`', view.width)
  ]
}

export function commandsLines(commands: readonly Command[], place: Place, view: View): string[] {
  const lines: string[] = []
  for (const [group, title] of Object.entries(GROUPS)) {
    const rows = commands.filter((command) => command.group === group).map((command) => [usageLine(command).replace(' [OPTIONS]', ''), command.summary] as const)
    if (rows.length > 0) lines.push(view.paint('bold', title), ...pairs(rows, view), '')
  }
  return [
    ...lines,
    view.paint('bold', 'topics'),
    ...pairs(TOPICS.map((topic) => [`help ${topic.name}`, topic.summary]), view),
    '',
    ...wrap(place === 'shell' ? 'hearth COMMAND --help says more; in `hearth up` the same commands are typed without "hearth"' : 'COMMAND --help says more · Tab completes · Ctrl-C ends a command · Ctrl-D leaves', view.width).map((line) => view.paint('dim', line))
  ]
}

function optionText(name: string, spec: OptionSpec): string {
  const value = placeholder(spec)
  const long = value === '' ? `--${name}` : `--${name}=${value}`
  return spec.short === undefined ? `    ${long}` : `-${spec.short}, ${long}`
}

export function commandHelp(command: Command, place: Place, view: View): string[] {
  const options = [...Object.entries<OptionSpec>(command.options), ...Object.entries<OptionSpec>(GLOBAL_OPTIONS).filter(([name]) => place === 'shell' || !SHELL_OPTIONS.has(name))]
  const title = (text: string): string => view.paint('bold', text)
  return [
    ...wrap(`${command.summary}.`, view.width),
    '',
    title('usage'),
    ...wrap(`${prefix(place)}${usageLine(command)}`, view.width - 2).map((line) => `  ${line}`),
    ...(command.keyOptions === true ? [`  ${prefix(place)}${command.name} --key.path=value …`] : []),
    ...(command.positionals.length === 0 ? [] : ['', ...pairs(command.positionals.map((spec) => [spec.name.toUpperCase(), spec.help]), view)]),
    ...(command.details === undefined ? [] : command.details.flatMap((text) => ['', ...wrap(text, view.width)])),
    '',
    title('options'),
    ...pairs(options.map(([name, spec]) => [optionText(name, spec), spec.help]), view),
    '',
    title('examples'),
    ...pairs(command.examples.map(({ line, says }) => [`${prefix(place)}${line}`, says]), view)
  ]
}

/** Lines that begin with two spaces are shown as they are; the others are wrapped. */
export function topicLines(topic: Topic, view: View): string[] {
  return [
    view.paint('bold', topic.title),
    ...topic.text.split('\n').flatMap((line) => line.startsWith('  ') ? [view.paint('cyan', line)] : line === '' ? [''] : wrap(line, view.width))
  ]
}

import { defineCommand } from '../command.ts'
import { commandHelp, commandsLines, topicLines } from '../help.ts'
import { didYouMean } from '../suggest.ts'
import { table } from '../term/table.ts'
import { wrap } from '../term/text.ts'
import { ERROR_FAMILIES } from '../topics/errors.ts'
import { TOPICS } from '../topics/index.ts'
import { UsageError } from '../usage-error.ts'
import type { Command } from '../command.ts'
import type { Place } from '../help.ts'
import type { Out } from '../out.ts'
import type { View } from '../term/view.ts'

/** `commands` are those of the place, this one included, so they are asked for when it runs. */
export function helpCommand(commands: () => readonly Command[], place: Place): Command {
  return defineCommand({
    name: 'help',
    group: 'node',
    summary: 'Explain a command, a topic or an error code',
    options: {},
    positionals: [{ name: 'topic', kind: 'topic', help: 'A command, a topic or an error code', optional: true }],
    examples: [
      { line: 'help', says: 'all commands and topics' },
      { line: 'help job', says: 'how to write a job file' },
      { line: 'help E_FIT_MEMORY', says: 'what a code means' }
    ],
    async run(_api, { topic: name }, out) {
      if (name === undefined) {
        out.result({ commands: commands().map(({ name, summary }) => ({ name, summary })), topics: TOPICS.map(({ name, summary }) => ({ name, summary })) }, (view) => commandsLines(commands(), place, view))
        return
      }
      const topic = TOPICS.find((one) => one.name === name.toLowerCase())
      const command = commands().find((one) => one.name === name.toLowerCase())
      if (/^E_[A-Z_]*$/i.test(name)) { explainCode(name.toUpperCase(), out); return }
      if (topic === undefined && command === undefined) {
        const known = [...commands().map((one) => one.name), ...TOPICS.map((one) => one.name)]
        throw new UsageError('E_ARGUMENT_VALUE', `There is no help on "${name}"`, didYouMean(name, known, '`help` lists commands and topics'))
      }
      const extra = topic?.name === 'job' ? reference((await import('../../../src/job/spec-reference.ts')).jobFileReference())
        : topic?.name === 'config' ? reference(await (await import('../../config/index.ts')).configReference())
          : topic?.name === 'errors' ? { value: ERROR_FAMILIES, lines: families } : undefined
      out.result({ name, ...(topic === undefined ? {} : { text: topic.text.trim() }), ...(extra === undefined ? {} : { reference: extra.value }) }, (view) => [
        ...(topic === undefined ? [] : topicLines(topic, view)),
        ...(extra === undefined ? [] : ['', ...extra.lines(view)]),
        ...(topic !== undefined && command !== undefined ? ['', ''] : []),
        ...(command === undefined ? [] : commandHelp(command, place, view))
      ])
    }
  })
}

function explainCode(code: string, out: Out): void {
  const family = ERROR_FAMILIES.filter(({ prefix }) => code.startsWith(prefix)).toSorted((a, b) => b.prefix.length - a.prefix.length)[0]
  if (family === undefined) throw new UsageError('E_ARGUMENT_VALUE', `No error has the code ${code}`, '`help errors` lists the families of codes')
  out.result({ code, means: family.means }, (view) => wrap(`${code}: ${family.means}.`, view.width, '  '))
}

function families(view: View): string[] {
  return table([{ title: 'code' }, { title: 'means', min: 20 }], ERROR_FAMILIES.map(({ prefix, means }) => [{ text: prefix.endsWith('_') ? `${prefix}…` : prefix, style: 'cyan' }, means]), view)
}

interface FieldText { key: string, type: string, default?: string, meaning: string, example: string }

/** Keys as the schema that checks them describes them. */
function reference(fields: readonly FieldText[]): { value: unknown, lines: (view: View) => string[] } {
  return {
    value: fields,
    lines: (view) => fields.flatMap(({ key, type, default: fallback, meaning, example }) => [
      `${view.paint('cyan', key)}  ${view.paint('dim', fallback === undefined ? type : `${type} · default: ${fallback}`)}`,
      ...wrap(`${meaning}. For instance: ${example}`, Math.max(20, view.width - 4)).map((line) => `    ${line}`)
    ])
  }
}

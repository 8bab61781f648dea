import { defineCommand } from '../command.ts'
import { table } from '../term/table.ts'
import { clean, wrap } from '../term/text.ts'
import type { Command } from '../command.ts'
import type { Shell } from '../shell.ts'

export function configCommand(shell: Shell): Command {
  return defineCommand({
    name: 'config',
    group: 'node',
    summary: 'Show the settings in force, and where each comes from',
    details: ['It reads them anew: a running node keeps those it was started with.'],
    keyOptions: true,
    options: { config: { kind: 'path', value: 'FILE', help: 'A configuration file (YAML or JSON)' } },
    positionals: [{ name: 'action', kind: 'text', of: ['show'], help: 'What to do: `show`', optional: true }],
    examples: [
      { line: 'config show', says: 'all settings' },
      { line: 'config show --config=new.yaml', says: 'check a file before using it' }
    ],
    async run(_api, { config, overrides, dataDir }, out) {
      const { values, warnings } = await shell.host.settings({ file: config, overrides, dataDir, env: shell.env, cwd: shell.cwd })
      out.result(values, (view) => table([{ title: 'setting' }, { title: 'value', min: 12 }, { title: 'from', min: 8, keep: 1, cut: 'middle' }], values.map(({ key, value, effective, from, isDefault }) => [
        { text: key, style: 'cyan' },
        effective === undefined ? asText(value) : `${asText(value)} (${clean(effective)})`,
        { text: clean(from), style: isDefault ? 'dim' : 'yellow' }
      ]), view))
      for (const warning of warnings) out.note((view) => wrap(`note: ${clean(warning)}`, view.width, '      ').map((line) => view.paint('yellow', line)))
    }
  })
}

function asText(value: unknown): string {
  if (value === null || value === undefined) return '–'
  return clean(typeof value === 'string' ? value : JSON.stringify(value))
}

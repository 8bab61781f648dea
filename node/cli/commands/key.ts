import { KIB } from '../../../src/units.ts'
import { HearthError } from '../../../src/errors.ts'
import { defineCommand } from '../command.ts'
import { readSmall } from '../files.ts'
import { fields } from '../term/table.ts'
import { UsageError } from '../usage-error.ts'
import type { Command } from '../command.ts'
import type { Out } from '../out.ts'
import type { Shell } from '../shell.ts'

const MAX_KEY_FILE_BYTES = 4 * KIB

export function keyCommand(shell: Shell): Command {
  return defineCommand({
    name: 'key',
    group: 'node',
    summary: 'Show, back up or restore the node\'s key',
    details: [
      'The key is the only thing to back up: it is this node\'s identity and its money. `export` prints it as one line; whoever has it is you.',
      '`import` reads such a line from a file, or from standard input with `-`, and refuses where a key is already. The passphrase, if the key has one, comes from the passphraseFile of the configuration.'
    ],
    only: 'shell',
    keyOptions: true,
    options: { config: { kind: 'path', value: 'FILE', help: 'A configuration file (YAML or JSON)' } },
    positionals: [
      { name: 'action', kind: 'text', of: ['show', 'export', 'import'], help: 'What to do: `show`, `export` or `import`' },
      { name: 'file', kind: 'path', help: 'With `import`: the file that holds an exported key, or `-`', optional: true }
    ],
    examples: [
      { line: 'key show', says: 'who this node is' },
      { line: 'key export > hearth.key', says: 'a backup; keep it safe' },
      { line: 'key import hearth.key', says: 'on a new PC, before its first `up`' }
    ],
    async run(_api, { action, file, config, overrides, dataDir }, out) {
      if (action === 'import' && file === undefined) throw new UsageError('E_ARGUMENT_MISSING', 'key import needs a file', 'Name the file that holds the exported key, or - for standard input')
      if (action !== 'import' && file !== undefined) throw new UsageError('E_ARGUMENT_EXTRA', `key ${action} does not take "${file}"`, 'See `key --help`')
      const settings = await shell.host.settings({ file: config, overrides, dataDir, env: shell.env, cwd: shell.cwd })
      if (action === 'import') await importKey(shell, settings, file ?? '-', out)
      else await showKey(settings, action === 'export', out)
    }
  })
}

interface KeyPlace { dataDir: string, passphrase: string | undefined }

async function showKey(place: KeyPlace, secret: boolean, out: Out): Promise<void> {
  const { exportSeed, isSeedProtected, nodeKeys, readSeed } = await import('../../keys/index.ts')
  const seed = await readSeed(place)
  if (seed === undefined) throw new HearthError('E_KEY_MISSING', `There is no key in ${place.dataDir} yet`, 'The first `hearth up` makes one; `hearth key import` restores one')
  const { peerId, address } = await nodeKeys(seed)
  const isProtected = await isSeedProtected(place.dataDir)
  if (secret) {
    const key = exportSeed(seed)
    out.result({ key }, () => [key])
    out.note((view) => [view.paint('yellow', 'Whoever has this line is this node, and owns its money: keep it safe.')])
    return
  }
  out.result({ peer: peerId, address, protected: isProtected }, (view) => fields([
    ['peer', peerId],
    ['money', address],
    ['stored', isProtected === true ? 'with a passphrase' : 'without a passphrase, readable by you alone'],
    ['folder', place.dataDir]
  ], view))
}

async function importKey(shell: Shell, place: KeyPlace, file: string, out: Out): Promise<void> {
  const { nodeKeys, parseSeed, storeSeed } = await import('../../keys/index.ts')
  const text = file === '-' ? await readInput(shell) : await readSmall(file, out.cwd, MAX_KEY_FILE_BYTES)
  const seed = parseSeed(text)
  await storeSeed(seed, place)
  const { peerId } = await nodeKeys(seed)
  out.result({ peer: peerId }, (view) => [view.paint('green', `imported: this node is ${peerId}`)])
}

async function readInput(shell: Shell): Promise<string> {
  let text = ''
  for await (const chunk of shell.stdin) {
    text += String(chunk)
    if (text.length > MAX_KEY_FILE_BYTES) throw new UsageError('E_FILE_SIZE', 'Standard input is longer than any key', 'Send it what `hearth key export` printed')
  }
  return text
}

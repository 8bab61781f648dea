import { KIB } from '../../../src/units.ts'
import { HearthError } from '../../../src/errors.ts'
import { defineCommand } from '../command.ts'
import { readSmall } from '../files.ts'
import { assertPassphrase, choosePassphrase, readPassphraseFile, unlock } from '../passphrase.ts'
import { fields } from '../term/table.ts'
import { UsageError } from '../usage-error.ts'
import { remark } from '../views/remark.ts'
import type { Command } from '../command.ts'
import type { Out } from '../out.ts'
import type { KeyPlace } from '../passphrase.ts'
import type { Shell } from '../shell.ts'

const MAX_KEY_FILE_BYTES = 4 * KIB
const ACTIONS = ['show', 'export', 'import', 'protect', 'unprotect'] as const

export function keyCommand(shell: Shell): Command {
  return defineCommand({
    name: 'key',
    group: 'node',
    summary: 'Show, back up, restore or protect the node\'s key',
    details: [
      'The key is the only thing to back up: it is this node\'s identity and its money. `export` prints it as one line; whoever has it is you.',
      '`import` reads such a line from a file, or from standard input with `-`, and refuses where a key is already.',
      '`protect` seals the stored key with a passphrase, or changes the one it has; `unprotect` takes it away. `up` then asks for it on a terminal; for a service, put it into a file that only you may read and name that as passphraseFile in the configuration. Exported keys are not sealed.'
    ],
    only: 'shell',
    keyOptions: true,
    options: {
      new: { kind: 'path', value: 'FILE', help: 'With `protect`: the file that holds the new passphrase, instead of asking' },
      config: { kind: 'path', value: 'FILE', help: 'A configuration file (YAML or JSON)' }
    },
    positionals: [
      { name: 'action', kind: 'text', of: ACTIONS, help: `What to do: ${ACTIONS.map((action) => `\`${action}\``).join(', ').replace(/, (?=[^,]*$)/, ' or ')}` },
      { name: 'file', kind: 'path', help: 'With `import`: the file that holds an exported key, or `-`', optional: true }
    ],
    examples: [
      { line: 'key show', says: 'who this node is' },
      { line: 'key export > hearth.key', says: 'a backup; keep it safe' },
      { line: 'key import hearth.key', says: 'on a new PC, before its first `up`' },
      { line: 'key protect', says: 'ask for a passphrase at each start' },
      { line: 'key protect --new=pass.txt', says: 'without asking, for a script' }
    ],
    async run(_api, { action, file, new: newFile, config, overrides, dataDir }, out) {
      if (action === 'import' && file === undefined) throw new UsageError('E_ARGUMENT_MISSING', 'key import needs a file', 'Name the file that holds the exported key, or - for standard input')
      if (action !== 'import' && file !== undefined) throw new UsageError('E_ARGUMENT_EXTRA', `key ${action} does not take "${file}"`, action === 'protect' ? 'A file that holds the new passphrase is given as --new=FILE' : 'See `key --help`')
      if (action !== 'protect' && newFile !== undefined) throw new UsageError('E_OPTION_CLASH', `key ${action} does not take --new`, 'It is for `key protect`')
      const next = newFile === undefined ? undefined : await readPassphraseFile(newFile, out)
      const place = await shell.host.settings({ file: config, overrides, dataDir, env: shell.env, cwd: shell.cwd })
      switch (action) {
        case 'import': await importKey(shell, place, file ?? '-', out); break
        case 'protect': await protectKey(place, next, out); break
        case 'unprotect': await unprotectKey(place, out); break
        default: await showKey(place, action === 'export', out)
      }
    }
  })
}

function noKey({ dataDir }: KeyPlace): HearthError {
  return new HearthError('E_KEY_MISSING', `There is no key in ${dataDir} yet`, 'The first `hearth up` makes one; `hearth key import` restores one')
}

async function showKey(place: KeyPlace, secret: boolean, out: Out): Promise<void> {
  const { exportSeed, isSeedProtected, nodeKeys, readSeed } = await import('../../keys/index.ts')
  const seed = await readSeed({ dataDir: place.dataDir, passphrase: await unlock(place, out) })
  if (seed === undefined) throw noKey(place)
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
    ['stored', isProtected === true ? 'sealed with a passphrase' : 'without a passphrase, readable by you alone'],
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

/** Seals the key, or changes its passphrase. A file that the configuration names holds the new one of a key that has none, else the old one. */
async function protectKey(place: KeyPlace, given: string | undefined, out: Out): Promise<void> {
  const { isSeedProtected, protectSeed } = await import('../../keys/index.ts')
  const { dataDir, passphrase: configured } = place
  const before = await isSeedProtected(dataDir)
  if (before === undefined) throw noKey(place)
  const old = before ? await unlock(place, out) : undefined
  if (!before && given === undefined && configured !== undefined) assertPassphrase(configured, 'passphraseFile')
  const next = given ?? (before ? undefined : configured) ?? await choosePassphrase(out)
  await protectSeed({ dataDir, passphrase: old, next })
  out.result({ protected: true, changed: before }, (view) => [view.paint('green', before ? 'the key has its new passphrase' : 'the key is sealed with the passphrase')])
  out.note((view) => remark(configured === undefined ? '`hearth up` asks for it from now on. For a service, put it into a file that only you may read and name that as passphraseFile in the configuration'
    : configured === next ? '`hearth up` reads it from the passphraseFile of the configuration' : 'The passphraseFile of the configuration holds another one: write the new one there, or take it out', view))
  out.note((view) => remark('Without it only an exported key brings this node back: `hearth key export`', view))
}

async function unprotectKey(place: KeyPlace, out: Out): Promise<void> {
  const { isSeedProtected, protectSeed } = await import('../../keys/index.ts')
  const before = await isSeedProtected(place.dataDir)
  if (before === undefined) throw noKey(place)
  if (before) await protectSeed({ dataDir: place.dataDir, passphrase: await unlock(place, out), next: undefined })
  out.result({ protected: false, changed: before }, (view) => [before ? view.paint('yellow', 'the key is stored without a passphrase, readable by you alone') : 'the key had no passphrase'])
  if (place.passphrase !== undefined) out.note((view) => remark('Take passphraseFile out of the configuration: a node refuses to start with a passphrase that its key does not have', view))
}

async function readInput(shell: Shell): Promise<string> {
  let text = ''
  for await (const chunk of shell.stdin) {
    text += String(chunk)
    if (text.length > MAX_KEY_FILE_BYTES) throw new UsageError('E_FILE_SIZE', 'Standard input is longer than any key', 'Send it what `hearth key export` printed')
  }
  return text
}

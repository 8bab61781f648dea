import { join, resolve } from 'node:path'
import { once } from 'node:events'
import { HearthError } from '../../../src/errors.ts'
import { defineCommand } from '../command.ts'
import { clean, wrap } from '../term/text.ts'
import { UsageError } from '../usage-error.ts'
import { remark } from '../views/remark.ts'
import type { Command } from '../command.ts'
import type { Shell } from '../shell.ts'
import type { View } from '../term/view.ts'
import type { Devnet } from '../../chain/devnet.ts'

/** Where Ethereum's tools look for a local chain; the same each time, so that a configuration stays good. */
const PORT = 8545
const MAX_PORT = 65_535
const FOLDER = 'devnet'
/** Of the ten accounts whose keys everybody knows: enough to play with. */
const SHOWN_ACCOUNTS = 3

export function devnetCommand(shell: Shell): Command {
  return defineCommand({
    name: 'devnet',
    group: 'money',
    summary: 'Run a chain on this PC, with the ticket broker on it, to try payment without money',
    details: [
      'It goes on until Ctrl-C, and the next start continues it. Paste what it prints into the configuration of each node, start them, and give each node\'s address (`hearth key show`) money with --fund, from another terminal if the chain runs: a deposit and a bond to pay with, a job bond to be paid ahead.',
      'Everything on it is play money: everybody knows the keys of the accounts that it shows.'
    ],
    only: 'shell',
    options: {
      dir: { kind: 'path', value: 'DIR', help: 'Where the chain is kept; `devnet` in the data folder when not given' },
      port: { kind: 'int', value: String(PORT), min: 0, max: MAX_PORT, help: 'Port of its JSON-RPC service on this PC alone; 0 lets the system choose' },
      fund: { kind: 'text', value: 'ADDRESS', many: true, help: 'Bring this address to 100 coins, a deposit of 10, a bond of 5 and a job bond of 5; may be given again' }
    },
    positionals: [],
    examples: [
      { line: 'devnet', says: 'start the chain, or go on with it' },
      { line: 'devnet --fund 0x70997970c51812dc3a010c7d01b50e0d17dc79c8', says: 'and give this address money' },
      { line: 'devnet --dir ./chain --port 0 --json', says: 'for a script: one document, then it runs' }
    ],
    async run(_api, { dir, port, fund, dataDir }, out) {
      for (const address of fund) if (!/^0x[0-9a-fA-F]{40}$/.test(address)) throw new UsageError('E_OPTION_VALUE', `--fund: "${clean(address)}" is not an address`, 'It has 0x and 40 hexadecimal digits: `hearth key show` prints a node\'s')
      const folder = dir === undefined ? join((await shell.host.locate({ file: undefined, overrides: [], dataDir, env: shell.env, cwd: shell.cwd })).dataDir, FOLDER) : resolve(out.cwd, dir)
      const { giveToRunning, startDevnet } = await import('../../chain/devnet.ts')
      const running = await giveToRunning({ dir: folder, port: port ?? PORT }, fund.map((address) => ({ address })))
      if (running !== false) {
        if (fund.length === 0) throw new HearthError('E_DEVNET_START', `the local chain runs already, at ${running.rpcUrl}`, 'End it where it runs (Ctrl-C), or give addresses money with --fund')
        out.result({ kind: 'funded', ...running, funded: fund }, (view) => fundedLines(fund, view))
        return
      }
      const drawn = out.progress((view) => [view.paint('dim', 'the chain starts …')])
      const net = await startDevnet({ dir: folder, port: port ?? PORT, accounts: fund.map((address) => ({ address })) }).finally(() => { drawn.end() })
      try {
        const { rpcUrl, chainId, contract, confirmations, config } = net
        const accounts = net.accounts.slice(0, SHOWN_ACCOUNTS)
        await out.item({ kind: 'devnet', rpcUrl, chainId, contract, confirmations, folder, accounts, funded: fund, config }, (view) => devnetView(net, { folder, funded: fund }, view))
        await Promise.race([net.ended, out.signal.aborted ? undefined : once(out.signal, 'abort')])
        if (!out.signal.aborted) out.note(() => ['the chain has ended'])
      } finally {
        await net.stop()
      }
    }
  })
}

function fundedLines(addresses: readonly string[], view: View): string[] {
  return addresses.map((address) => `${view.paint('green', '✓')} ${clean(address)} has at least 100 coins, a deposit of 10, a bond of 5 and a job bond of 5`)
}

function devnetView(net: Devnet, { folder, funded }: { folder: string, funded: readonly string[] }, view: View): string[] {
  return [
    `a chain runs at ${view.paint('cyan', net.rpcUrl)}, chain id ${net.chainId}, kept in ${clean(folder)}`,
    `ticket broker ${view.paint('cyan', net.contract)}`,
    ...fundedLines(funded, view),
    '',
    view.paint('bold', 'for the configuration of each node that is to use it'),
    ...net.config.trimEnd().split('\n').map((line) => view.paint('cyan', line)),
    '',
    view.paint('bold', 'accounts with 10,000 coins each'),
    // whole, whatever the window: they are there to be copied
    ...net.accounts.slice(0, SHOWN_ACCOUNTS).flatMap(({ address, privateKey }) => [address, view.paint('dim', `  key ${privateKey}`)]),
    ...wrap('Everybody knows these keys: never send them anything on a chain where money is worth something.', view.width).map((line) => view.paint('yellow', line)),
    '',
    ...remark('Ctrl-C ends the chain; the next `hearth devnet` goes on with it', view)
  ]
}

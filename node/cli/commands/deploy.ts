import { DAY_MS, HOUR_MS, SECOND_MS } from '../../../src/units.ts'
import { HearthError } from '../../../src/errors.ts'
import { defineCommand } from '../command.ts'
import { unlock } from '../passphrase.ts'
import { fields } from '../term/table.ts'
import { clean } from '../term/text.ts'
import { UsageError } from '../usage-error.ts'
import { remark } from '../views/remark.ts'
import { formatWei } from '../views/money.ts'
import type { Command } from '../command.ts'
import type { Shell } from '../shell.ts'

/** The contract takes no longer ones. */
const MAX_DELAY_DAYS = 90
const MAX_FEE_PERCENT = 5
const BASIS_A_PERCENT = 100

export function deployCommand(shell: Shell): Command {
  return defineCommand({
    name: 'deploy',
    group: 'money',
    summary: 'Put a ticket broker of your own on a chain, paid with this node\'s money key',
    details: [
      'The node need not run; its address (`hearth key show`) needs coin for gas. A broker has no owner: whoever deploys it gains no rights by it, and its terms never change.',
      'The delay is between asking for a deposit or bond back and having it, and the longest life of a ticket. The grace is how long a payer whose deposit ran out may top up before its bond burns.'
    ],
    only: 'shell',
    keyOptions: true,
    options: {
      rpc: { kind: 'text', value: 'URL', help: 'JSON-RPC service of the chain; payment.rpcUrl of the configuration when not given' },
      token: { kind: 'text', value: 'ADDRESS', help: 'Pay in this ERC-20 instead of the chain\'s coin' },
      delay: { kind: 'duration', value: '7d', help: 'Of unlocks; 7 days when not given, at most 90' },
      grace: { kind: 'duration', value: '1d', help: 'Before a default; 1 day when not given, at most the delay' },
      fee: { kind: 'number', value: 'PERCENT', min: 0, max: MAX_FEE_PERCENT, help: 'Of each redemption, to --fee-to; none when not given' },
      'fee-to': { kind: 'text', value: 'ADDRESS', help: 'Who gets the fee' },
      config: { kind: 'path', value: 'FILE', help: 'A configuration file (YAML or JSON)' }
    },
    positionals: [],
    examples: [
      { line: 'deploy --rpc http://127.0.0.1:8545', says: 'on a local chain' },
      { line: 'deploy --rpc https://rpc.example.org --token 0xa0b8… --delay 14d', says: 'for a token, with two weeks to leave' }
    ],
    async run(_api, { rpc, token, delay = 7 * DAY_MS, grace = Math.min(DAY_MS, delay), fee = 0, 'fee-to': feeTo, config, overrides, dataDir }, out) {
      if (delay < HOUR_MS / 60 || delay > MAX_DELAY_DAYS * DAY_MS) throw new UsageError('E_OPTION_VALUE', '--delay: it is between a minute and 90 days', 'Write for instance --delay=7d')
      if (grace > delay || grace < SECOND_MS) throw new UsageError('E_OPTION_VALUE', '--grace: it is at most the delay', 'Write for instance --grace=1d')
      if ((fee > 0) !== (feeTo !== undefined)) throw new UsageError('E_OPTION_CLASH', 'A fee needs --fee-to, and --fee-to needs a fee', 'Give both, or neither')
      for (const [name, address] of [['token', token], ['fee-to', feeTo]] as const) if (address !== undefined && !/^0x[0-9a-fA-F]{40}$/.test(address)) throw new UsageError('E_OPTION_VALUE', `--${name}: "${clean(address)}" is not an address`, 'It has 0x and 40 hexadecimal digits')
      const settings = await shell.host.settings({ file: config, overrides, dataDir, env: shell.env, cwd: shell.cwd })
      const configured = settings.values.find(({ key }) => key === 'payment.rpcUrl')?.value
      const rpcUrl = rpc ?? (typeof configured === 'string' ? configured : undefined)
      if (rpcUrl === undefined) throw new UsageError('E_OPTION_VALUE', 'deploy needs the chain\'s JSON-RPC service', 'Give it as --rpc=URL, or set payment.rpcUrl')
      const { nodeKeys, readSeed } = await import('../../keys/index.ts')
      const seed = await readSeed({ dataDir: settings.dataDir, passphrase: await unlock(settings, out) })
      if (seed === undefined) throw new HearthError('E_KEY_MISSING', `There is no key in ${settings.dataDir} yet`, 'The first `hearth up` makes one; `hearth key import` restores one')
      const signer = await nodeKeys(seed)
      const { deploy } = await import('../../chain/index.ts')
      const drawn = out.progress((view) => [view.paint('dim', 'deploying, and waiting for the chain …')])
      const deployed = await deploy({
        rpcUrl, kind: token === undefined ? 'native' : 'token', ...token === undefined ? {} : { token }, signer, signal: out.signal,
        terms: { delaySec: Math.round(delay / SECOND_MS), graceSec: Math.round(grace / SECOND_MS), ...feeTo === undefined ? {} : { feeBps: Math.round(fee * BASIS_A_PERCENT), feeRecipient: feeTo } }
      }).finally(() => { drawn.end() })
      const { chainId, contract, tx, blockNumber, gasUsed, feeWei } = deployed
      const text = `payment:\n  mode: chain\n  rpcUrl: ${rpcUrl}\n  chainId: ${chainId}\n  contract: "${contract}"\n`
      out.result({ rpcUrl, chainId, contract, tx, blockNumber, gasUsed: gasUsed.toString(), feeWei: feeWei.toString(), config: text }, (view) => [
        ...fields([['broker', { text: contract, style: 'cyan' }], ['chain', String(chainId)], ['transaction', `${tx} in block ${blockNumber}`], ['cost', `${formatWei(feeWei.toString())} coins (${gasUsed} gas)`]], view),
        '',
        view.paint('bold', 'for the configuration'),
        ...text.trimEnd().split('\n').map((line) => view.paint('cyan', clean(line)))
      ])
      out.note((view) => remark('payment.confirmations says how many blocks on top make a block count: 2 when not set', view))
    }
  })
}

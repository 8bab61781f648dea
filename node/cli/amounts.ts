import { HearthError } from '../../src/errors.ts'
import { parseAmount } from '../chain/amounts.ts'
import { didYouMean } from './suggest.ts'
import { clean } from './term/text.ts'
import { UsageError } from './usage-error.ts'
import { amount } from './views/money.ts'
import type { NodeApi } from '../api/contract.ts'
import type { AssetInfo } from '../api/money.ts'
import type { Out } from './out.ts'

const ANY_UNIT = /^\d+(?:\.\d+)? ?[A-Za-z]\S*$/

/** An amount as typed, in one word or two. Its form is checked at once; what it is of is the node's to know: 1 eth is nothing to a broker of a token. Throws UsageError. */
export async function readAmount(api: Pick<NodeApi, 'wallet'>, text: string): Promise<bigint> {
  const form = checkAmount(text)
  const { asset } = await api.wallet()
  try {
    return parseAmount(form, asset)
  } catch (err) {
    if (err instanceof HearthError) throw new UsageError('E_ARGUMENT_VALUE', err.message, err.hint, { cause: err })
    throw err
  }
}

/** `0.5 eth`, as one text. Throws UsageError. */
export function checkAmount(text: string): string {
  const form = text.trim().replaceAll(/\s+/g, ' ')
  if (!ANY_UNIT.test(form)) throw new UsageError('E_ARGUMENT_VALUE', `"${clean(text)}" is not an amount`, 'Write a number and a unit, such as "0.5 eth" or "20000 gwei"')
  return form
}

/** `key=value`, `key value`, also where a value has two words (`coreHour 20000 gwei`). Throws UsageError. */
export function readPairs<K extends string>(command: string, keys: readonly K[], words: readonly string[], example: string): Map<K, string> {
  const pairs = new Map<K, string[]>()
  let last: string[] | undefined
  for (const word of words) {
    const [, name = word, value] = /^([A-Za-z]+)(?:=(.*))?$/s.exec(word) ?? []
    const key = keys.find((one) => one.toLowerCase() === name.toLowerCase())
    if (key === undefined) {
      // what follows a name belongs to it: a number, then its unit
      if (last !== undefined && value === undefined && last.length < 2) { last.push(word); continue }
      throw new UsageError('E_ARGUMENT_VALUE', `${command} has nothing called "${clean(name)}"`, didYouMean(name, keys, `Keys: ${keys.join(', ')}`))
    }
    if (pairs.has(key)) throw new UsageError('E_ARGUMENT_VALUE', `${command}: ${key} is given twice`, 'Give it once')
    last = value === undefined || value === '' ? [] : [value]
    pairs.set(key, last)
  }
  const read = new Map<K, string>()
  for (const [key, values] of pairs) {
    if (values.length === 0) throw new UsageError('E_ARGUMENT_VALUE', `${command}: ${key} needs a value`, `For instance: ${example}`)
    read.set(key, values.join(' '))
  }
  return read
}

/** Asks above the owner's limit; nobody there to answer is a no. Throws E_PAYMENT_CONFIRM. */
export async function confirmAmount(out: Out, { wei, asset, limitWei, yes, what }: { wei: bigint, asset: AssetInfo, limitWei: string | undefined, yes: boolean, what: string }): Promise<void> {
  if (yes || limitWei === undefined || wei <= BigInt(limitWei)) return
  await confirm(out, `${what}: ${amount(wei, asset)}, more than payment.confirmAbove of ${amount(limitWei, asset)}`)
}

/** Throws E_PAYMENT_CONFIRM unless a person says yes. */
export async function confirm(out: Out, words: string): Promise<void> {
  const answer = await out.ask(`${words}. Do it? [y/N]: `)
  if (/^y(es)?$/i.test((answer ?? '').trim())) return
  throw new HearthError('E_PAYMENT_CONFIRM', `${words}: ${answer === undefined ? 'nobody is here to confirm it' : 'not confirmed'}; nothing was done`, 'Say --yes to confirm it in advance')
}

import { readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { HearthError } from '../../src/errors.ts'
import type { Prices } from '../../src/payment/prices.ts'

const FILE = 'money.json'
const MAX_WEI = (1n << 128n) - 1n

/** What its owner asks and lets itself spend. An absent cap is none. */
export interface MoneySettings {
  readonly prices: Readonly<Prices>
  readonly caps: { readonly jobWei?: bigint, readonly dayWei?: bigint, readonly peerDayWei?: bigint }
}
const PRICES = ['coreHourWei', 'gibHourWei', 'gpuHourWei', 'movedWei', 'fuelWei'] as const satisfies readonly (keyof Prices)[]
const CAPS = ['jobWei', 'dayWei', 'peerDayWei'] as const

/** What the owner set with `price` and `caps`, kept over restarts; it wins over the configuration. Null in the file: no cap. */
export class MoneySettingsStore {
  readonly #path: string
  readonly #fallback: MoneySettings
  #saved: Record<string, string | null>

  private constructor(path: string, fallback: MoneySettings, saved: Record<string, string | null>) {
    this.#path = path
    this.#fallback = fallback
    this.#saved = saved
  }

  /** Throws E_PAYMENT_FILE for a file that is damaged. */
  static async open(dataDir: string, fallback: MoneySettings): Promise<MoneySettingsStore> {
    const path = join(dataDir, FILE)
    let text: string
    try {
      text = await readFile(path, 'utf8')
    } catch {
      return new MoneySettingsStore(path, fallback, {})
    }
    return new MoneySettingsStore(path, fallback, parse(text, path))
  }

  get(): MoneySettings {
    const { prices, caps } = this.#fallback
    const saved = this.#saved
    const price = (name: typeof PRICES[number]): bigint => typeof saved[name] === 'string' ? BigInt(saved[name]) : prices[name]
    const cap = (name: typeof CAPS[number]): bigint | undefined => saved[name] === undefined ? caps[name] : saved[name] === null ? undefined : BigInt(saved[name])
    return {
      prices: { coreHourWei: price('coreHourWei'), gibHourWei: price('gibHourWei'), gpuHourWei: price('gpuHourWei'), movedWei: price('movedWei'), fuelWei: price('fuelWei') },
      caps: Object.fromEntries(CAPS.flatMap((name) => { const wei = cap(name); return wei === undefined ? [] : [[name, wei]] }))
    }
  }

  /** Saves before it counts; a crash leaves the old file or the new one. */
  async set(change: Readonly<Partial<Record<typeof PRICES[number] | typeof CAPS[number], string | null>>>): Promise<MoneySettings> {
    const next = { ...this.#saved }
    for (const [name, value] of Object.entries(change)) if (value !== undefined) next[name] = value
    await writeFile(`${this.#path}.new`, JSON.stringify(next, undefined, 2), { mode: 0o600 })
    await rename(`${this.#path}.new`, this.#path)
    this.#saved = next
    return this.get()
  }
}

function parse(text: string, path: string): Record<string, string | null> {
  const damaged = (): HearthError => new HearthError('E_PAYMENT_FILE', `${path} is damaged`, 'Remove it, and set prices and caps again with `price` and `caps`')
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw damaged()
  }
  if (typeof value !== 'object' || value === null) throw damaged()
  const saved: Record<string, string | null> = {}
  for (const name of [...PRICES, ...CAPS]) {
    const wei: unknown = Reflect.get(value, name)
    const isNone = wei === null && (CAPS as readonly string[]).includes(name)
    if (wei === undefined) continue
    if (!isNone && !(typeof wei === 'string' && /^\d{1,39}$/.test(wei) && BigInt(wei) <= MAX_WEI)) throw damaged()
    saved[name] = isNone ? null : String(wei)
  }
  return saved
}

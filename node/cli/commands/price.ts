import { checkAmount, readAmount, readPairs } from '../amounts.ts'
import { defineCommand } from '../command.ts'
import { PRICE_KEYS } from '../money-keys.ts'
import { priceView } from '../views/bill.ts'
import type { PriceChange } from '../../api/money.ts'

const EXAMPLE = 'price coreHour=20000gwei'
const FIELDS = { coreHour: 'coreHourWei', gibHour: 'gibHourWei', gpuHour: 'gpuHourWei', moved: 'movedWei', fuel: 'fuelWei' } as const satisfies Record<typeof PRICE_KEYS[number], keyof PriceChange>

export const priceCommand = defineCommand({
  name: 'price',
  group: 'money',
  summary: 'Show or change what this PC asks for its work',
  details: ['Changes hold for bids from then on and are kept; what is agreed keeps its price. A price of 0 wei is free of charge.', `Keys: ${PRICE_KEYS.join(', ')}; those in …Hour for one hour, moved for one GiB, fuel for 2^30 of it (no run is metered yet).`],
  options: {},
  positionals: [{ name: 'changes', kind: 'text', help: 'KEY=AMOUNT or KEY AMOUNT, as many as you like', rest: true, optional: true }],
  examples: [{ line: 'price', says: 'what is asked now' }, { line: EXAMPLE, says: 'for a core for an hour' }],
  async run(api, { changes }, out) {
    const pairs = readPairs('price', PRICE_KEYS, changes, EXAMPLE)
    for (const text of pairs.values()) checkAmount(text)
    const change: PriceChange = {}
    for (const [key, text] of pairs) change[FIELDS[key]] = (await readAmount(api, text)).toString()
    const report = pairs.size === 0 ? await api.price() : await api.setPrice(change)
    out.result(report, (view) => priceView(report, view))
  }
})

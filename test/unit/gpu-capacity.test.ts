/** Whole cards in the market: what fits, what is free, who is declined and why. Checked against brute force. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { GpuCard, GpuRequest, Hardware, Resources } from '../../src/documents/resources.ts'
import { Capacity } from '../../src/market/capacity.ts'
import { unmetResources } from '../../src/market/fit.ts'
import { GIB } from '../../src/units.ts'
import { seededRandom } from '../helpers/seeded.ts'
import type { SeededRandom } from '../helpers/seeded.ts'

const MAX_REASON_CHARS = 200

function card(vendor: GpuCard['vendor'], model: string, gib: number, driver = '550'): GpuCard {
  return { vendor, model, vramBytes: gib * GIB, driver }
}
const BIG = card('nvidia', 'GeForce RTX 4090', 24)
const SMALL = card('nvidia', 'GeForce RTX 3060', 12)
const RADEON = card('amd', 'Radeon RX 7900 XTX', 24)

function host(gpus: GpuCard[]): Hardware {
  return { cores: 64, memoryBytes: 64 * GIB, diskBytes: 64 * GIB, gpus }
}
function task(gpu: Partial<GpuRequest>): Resources {
  return { cores: 1, memoryBytes: GIB, diskBytes: 0, gpu: { vramBytes: 0, count: 1, ...gpu } }
}

test('of two jobs that each ask 24 GB of one such card, the second finds no room and hears what is missing', () => {
  const capacity = new Capacity(host([BIG, SMALL]))
  const wish = task({ vramBytes: 24 * GIB })
  assert.is(capacity.slotsFor(wish), 1)
  capacity.reserve('a', 1, wish)
  assert.is(capacity.free().gpus, 1)
  assert.is(capacity.slotsFor(wish), 0)
  assert.is(capacity.shortOf(wish), 'has no room now; 1 GPU (24 GiB VRAM) wanted, GeForce RTX 3060 12 GiB free')
  assert.equal(unmetResources(wish, capacity.total), [])
  capacity.release('a')
  assert.is(capacity.slotsFor(wish), 1)
})

test('a job takes the smallest card that fits, so that the large one stays for who needs it', () => {
  const capacity = new Capacity(host([BIG, SMALL]))
  capacity.reserve('small', 1, task({ vramBytes: 8 * GIB }))
  assert.equal(capacity.cardsOf('small'), [SMALL])
  assert.is(capacity.slotsFor(task({ vramBytes: 24 * GIB })), 1)
})

test('a host without a card declines with what was asked and what there is', () => {
  const [unmet] = unmetResources(task({ vendor: 'nvidia', vramBytes: 24 * GIB, count: 2 }), host([]))
  assert.equal(unmet, { code: 'E_FIT_GPU', message: 'needs 2 GPUs (nvidia 24 GiB VRAM), has no GPU' })
  const [some] = unmetResources(task({ vramBytes: 24 * GIB, count: 2 }), host([BIG, SMALL]))
  assert.is(some?.message, 'needs 2 GPUs (24 GiB VRAM), has GeForce RTX 4090 24 GiB, GeForce RTX 3060 12 GiB, of which 1 fits')
})

test('a reason stays within what a decline may carry, whatever the names of cards are', () => {
  const odd = Array.from({ length: 16 }, (_, index) => card('nvidia', `${index}`.padEnd(63, '😀').slice(0, 64).toWellFormed(), 1000 + index))
  const capacity = new Capacity(host(odd))
  const wish = task({ vendor: 'nvidia', model: 'Y'.repeat(64), vramBytes: 999 * GIB, count: 16 })
  const message = unmetResources(wish, capacity.total)[0]?.message ?? ''
  assert.ok(message.length > 100 && message.length <= MAX_REASON_CHARS && message.isWellFormed())
  const crowded = { ...wish, cores: 100.5, memoryBytes: 1000 * GIB, diskBytes: 1000 * GIB }
  assert.is(new Capacity({ cores: 1, memoryBytes: GIB, diskBytes: 0, gpus: [] }).shortOf({ cores: 1.5, memoryBytes: 2 * GIB, diskBytes: 0 }), 'has no room now; 1.5 cores wanted, 1 free; 2.0 GiB of memory wanted, 1.0 GiB free')
  assert.ok(capacity.shortOf(crowded).length <= MAX_REASON_CHARS, String(capacity.shortOf(crowded).length))
})

test('a card that is no longer lent is nobody\'s to give, and its holder has it again when it comes back', () => {
  const capacity = new Capacity(host([SMALL, BIG]))
  capacity.reserve('a', 1, task({ vramBytes: 20 * GIB }))
  capacity.resize(host([]))
  assert.is(capacity.free().gpus, 0)
  assert.equal(capacity.cardsOf('a'), [])
  capacity.resize(host([BIG, SMALL]))
  assert.equal(capacity.cardsOf('a'), [BIG])
  assert.is(capacity.slotsFor(task({ vramBytes: 20 * GIB })), 0)
  assert.is(capacity.free().gpus, 1)
})

const MODELS = [card('nvidia', 'GeForce RTX 4090', 24), card('nvidia', 'GeForce RTX 3060', 12), card('amd', 'Radeon RX 7900 XTX', 24), card('amd', 'Radeon RX 6600', 8)]

function randomCards(random: SeededRandom): GpuCard[] {
  return Array.from({ length: random.below(5) + 1 }, () => MODELS[random.below(MODELS.length)]!)
}
function randomWish(random: SeededRandom): Resources {
  const vendor = ([undefined, undefined, 'nvidia', 'amd'] as const)[random.below(4)]
  const model = ([undefined, undefined, 'rtx', '6600'] as const)[random.below(4)]
  return task({ vramBytes: [0, 8, 12, 24][random.below(4)]! * GIB, count: random.below(2) + 1, ...vendor === undefined ? {} : { vendor }, ...model === undefined ? {} : { model } })
}
/** Written apart from the code under test. */
function suits(one: GpuCard, { gpu }: Resources): boolean {
  if (gpu === undefined) return false
  const named = gpu.model === undefined || one.model.toUpperCase().includes(gpu.model.toUpperCase())
  return named && one.vramBytes >= gpu.vramBytes && (gpu.vendor ?? one.vendor) === one.vendor
}
const bits = (mask: number): number => mask.toString(2).replaceAll('0', '').length
function subtract(cards: GpuCard[], taken: GpuCard[]): GpuCard[] | undefined {
  const left = [...cards]
  for (const one of taken) {
    const at = left.indexOf(one)
    if (at === -1) return undefined
    left.splice(at, 1)
  }
  return left
}

test('what is free is exactly what brute force finds, and no card is ever held twice', () => {
  for (let seed = 0; seed < 150; seed++) {
    const random = seededRandom(seed)
    const cards = randomCards(random)
    const capacity = new Capacity(host(cards))
    const held = new Map<string, { slots: number, wish: Resources }>()
    for (let step = 0; step < 30; step++) {
      const left = subtract(cards, [...held.keys()].flatMap((id) => capacity.cardsOf(id)))
      assert.ok(left, `seed ${seed}: a card is held twice`)
      const wish = randomWish(random)
      // the largest set of free cards that all suit, by looking at every set
      let best = 0
      for (let mask = 0; mask < 2 ** left.length; mask++) if (left.every((one, at) => (mask >> at & 1) === 0 || suits(one, wish))) best = Math.max(best, bits(mask))
      const slots = Math.floor(best / wish.gpu!.count)
      assert.is(capacity.slotsFor(wish), slots, `seed ${seed} step ${step}`)
      assert.is(capacity.free().gpus, left.length)
      if (slots > 0 && random.below(3) > 0) {
        const taken = random.below(slots) + 1
        capacity.reserve(`a${step}`, taken, wish)
        held.set(`a${step}`, { slots: taken, wish })
        const got = capacity.cardsOf(`a${step}`)
        assert.is(got.length, taken * wish.gpu!.count)
        assert.ok(got.every((one) => suits(one, wish)))
      }
      const [first] = held.keys()
      if (first !== undefined && random.below(2) === 0) { capacity.release(first); held.delete(first) }
    }
  }
})

function orders<T>(items: T[]): T[][] {
  return items.length < 2 ? [items] : items.flatMap((item, at) => orders(items.toSpliced(at, 1)).map((rest) => [item, ...rest]))
}

test('agreements that fitted together before a restart fit after it, in whichever order they come back', () => {
  let mixed = 0
  for (let seed = 0; seed < 120; seed++) {
    const random = seededRandom(1000 + seed)
    const cards = randomCards(random)
    const before = new Capacity(host(cards))
    const kept: { id: string, slots: number, wish: Resources }[] = []
    for (let step = 0; step < 12 && kept.length < 4; step++) {
      const wish = randomWish(random)
      if (before.slotsFor(wish) === 0) continue
      before.reserve(`a${step}`, 1, wish)
      kept.push({ id: `a${step}`, slots: 1, wish })
    }
    if (kept.length > 1) mixed++
    for (const order of orders(kept)) {
      const after = new Capacity(host(cards))
      for (const { id, slots, wish } of order) after.restore(id, slots, wish)
      const seated = kept.flatMap(({ id, wish }) => after.cardsOf(id).filter((one) => suits(one, wish)))
      assert.is(seated.length, kept.reduce((sum, { wish }) => sum + wish.gpu!.count, 0), `seed ${seed}`)
      assert.ok(subtract(cards, seated))
    }
  }
  assert.ok(mixed > 40)
})

test('after a restart with less to lend, the agreements that came first keep their cards', () => {
  const capacity = new Capacity(host([RADEON]))
  capacity.restore('a', 1, task({}))
  capacity.restore('b', 1, task({ vendor: 'amd' }))
  assert.equal(capacity.cardsOf('a'), [RADEON])
  assert.equal(capacity.cardsOf('b'), [])
  assert.is(capacity.free().gpus, 0)
  capacity.resize(host([RADEON, card('amd', 'Radeon RX 6600', 8)]))
  assert.is(capacity.cardsOf('b').length, 1)
})

test.run()

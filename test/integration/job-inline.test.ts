/** Results that come with the word that reveals them: what anybody may say stays bounded, and only what its address says is stored. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { cidOfBlock } from '../../protocols/transfer/content-id.ts'
import { ZERO_BYTES32 } from '../../src/documents/agreement.ts'
import type { MessageOf } from '../../src/documents/message.ts'
import { InlineResults } from '../../node/work/inline-results.ts'

function reveal(content: string, blocks: Uint8Array[]): MessageOf<'reveal'> {
  return {
    kind: 'reveal', nonce: ZERO_BYTES32, blocks,
    receipt: { agreement: ZERO_BYTES32, task: 0, attempt: 0, result: { status: 'exited', exitCode: 0, trap: 'E_NONE', content, contentBytes: 1 }, usage: { wallMs: 1, cpuMs: 1, peakMemoryBytes: 1, fuel: 1 }, finalRoot: ZERO_BYTES32 }
  }
}

function open(): { inline: InlineResults, stored: Map<string, Uint8Array> } {
  const stored = new Map<string, Uint8Array>()
  return { stored, inline: new InlineResults({ getBlock: async (cid) => stored.get(cid), putBlock: async (cid, bytes) => { stored.set(cid, bytes) } }) }
}

const leaf = (text: string): { cid: string, bytes: Uint8Array } => {
  const bytes = new Uint8Array(Buffer.from(text))
  return { cid: cidOfBlock('raw', bytes), bytes }
}

test('reveals of nothing, of which a stranger may send any number, take bounded memory', () => {
  const { inline } = open()
  for (let i = 0; i < 20_000; i++) inline.detach(reveal(leaf(`nothing ${i}`).cid, i % 2 === 0 ? [] : [new Uint8Array()]))
  assert.ok(inline.waiting <= 1024, `${inline.waiting} wait`)
})

test('large ones leave before small bounds are reached', () => {
  const { inline } = open()
  for (let i = 0; i < 1000; i++) inline.detach(reveal(leaf(`large ${i}`).cid, [new Uint8Array(16 * 1024)]))
  assert.ok(inline.waiting <= 256, `${inline.waiting} wait`)
})

test('what came is stored when it is what its address says, once, and not otherwise', async () => {
  const { inline, stored } = open()
  const { cid, bytes } = leaf('right')
  inline.detach(reveal(cid, [bytes]))
  await inline.bring(cid)
  assert.equal([...stored.keys()], [cid])
  const other = leaf('promised').cid
  inline.detach(reveal(other, [new Uint8Array(Buffer.from('given'))]))
  await inline.bring(other)
  assert.equal([...stored.keys()], [cid])
  assert.is(inline.waiting, 0)
})

test.run()

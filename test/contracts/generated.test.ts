/** What is published of the contracts is what the sources give, and can be deployed anywhere. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Interface } from 'ethers'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { BUCKET, DOMAIN_NAME, NativeTicketBroker, REFUSALS, TokenTicketBroker } from '../../src/contracts/index.ts'
import { generatedFiles, houseSources, staleFiles } from './compile.ts'

/** EIP-170: what a chain takes as a contract. */
const MAX_CODE_BYTES = 24_576

test('the generated modules are what the compiler makes of the sources, without a warning', () => {
  assert.equal(staleFiles(generatedFiles()), [], 'run npm run contracts')
})

test('a stale, missing or foreign generated file is found', () => {
  const files = { 'NativeTicketBroker.ts': 'other', 'New.ts': '' }
  assert.equal(staleFiles(files).sort(), ['NativeTicketBroker.ts', 'New.ts', 'TokenTicketBroker.ts'])
})

test('the code fits any chain', () => {
  for (const { name, bytecode } of [NativeTicketBroker, TokenTicketBroker]) assert.ok(bytecode.length / 2 - 1 < MAX_CODE_BYTES, name)
})

test('every error and every event of the contracts is named by a test', () => {
  const tests = readdirSync(import.meta.dirname).filter((name) => name.endsWith('.test.ts')).map((name) => readFileSync(join(import.meta.dirname, name), 'utf8')).join()
  const names: string[] = []
  for (const { abi } of [NativeTicketBroker, TokenTicketBroker]) {
    new Interface(abi).forEachError(({ name }) => { names.push(name) })
    new Interface(abi).forEachEvent(({ name }) => { names.push(name) })
  }
  assert.ok(names.length > 50)
  assert.equal([...new Set(names)].filter((name) => !tests.includes(name)), [])
})

test('the names that TypeScript gives to Solidity enums are in their order', () => {
  const sources = houseSources()
  const members = (file: string, name: string): string[] =>
    new RegExp(`enum ${name} \\{([^}]*)\\}`).exec(sources[`contracts/${file}.sol`]!)![1]!.replace(/\/\/.*$/gm, '').split(',').map((member) => member.trim()).filter((member) => member !== '')
  const lower = (text: string): string => text[0]!.toLowerCase() + text.slice(1)
  assert.equal(members('Tickets', 'Refusal').map(lower), [...REFUSALS])
  assert.equal(members('Ledger', 'Bucket').map(lower), Object.keys(BUCKET))
  assert.match(sources['contracts/Signers.sol']!, `keccak256("${DOMAIN_NAME}")`)
})

test.run()

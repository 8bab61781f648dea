/** The README promises things: these hold it to them. */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { jobFileReference, referenceTable } from '../../src/job/spec-reference.ts'

const root = join(import.meta.dirname, '../..')
const readme = readFileSync(join(root, 'README.md'), 'utf8')
const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { scripts: Record<string, string> }

test('the job file reference is the one that the validator has', () => {
  assert.ok(readme.includes(referenceTable(jobFileReference()).trim()), 'copy the table of src/job/spec-reference.ts into the README')
})

test('every script that the README names exists', () => {
  const named = [...readme.matchAll(/npm run ([\w:]+)/g)].map((match) => match[1] ?? '')
  assert.ok(named.length >= 4)
  assert.equal(named.filter((name) => scripts[name] === undefined), [])
})

test('every path that the README names exists', () => {
  const named = [...readme.matchAll(/`((?:config|src|test|node|protocols)\/[\w./-]*[\w/])`/g)].map((match) => match[1] ?? '')
  assert.ok(named.length >= 4)
  assert.equal(named.filter((path) => !existsSync(join(root, path))), [])
})

test.run()

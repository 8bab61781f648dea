/**
 * Runs every `*.bench.ts` here, one after the other: they measure, so nothing may run beside them.
 *
 *   npm run bench               all
 *   npm run bench -- latency    only those whose name contains the word
 */
import { spawnSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'

const words = process.argv.slice(2)
const files = readdirSync(import.meta.dirname).filter((name) => name.endsWith('.bench.ts') && (words.length === 0 || words.some((word) => name.includes(word)))).sort()
let failed = 0
for (const name of files) {
  console.log(`\n${name.replace('.bench.ts', '')}`)
  const { status } = spawnSync(process.execPath, [join(import.meta.dirname, name)], { stdio: 'inherit' })
  if (status !== 0) failed++
}
process.exitCode = failed > 0 || files.length === 0 ? 1 : 0

/**
 * Runs every `*.test.ts` under test/, one process a file, two at a time (most files start real nodes),
 * and ends with the plain line `N passed, N failed`. A file that crashes, hangs or forgets to run counts as failed.
 *
 *   node test/run.ts            all
 *   node test/run.ts sim unit   only files whose path contains one of the words
 */
import { spawn } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join, relative } from 'node:path'

/** A file that takes longer than this is killed and counted as failed. */
const FILE_TIMEOUT_MS = 15 * 60_000

interface Outcome { file: string, passed: number, failed: number, skipped: number, output: string, ms: number }

function runFile(file: string): Promise<Outcome> {
  return new Promise((resolve) => {
    const startedMs = performance.now()
    const child = spawn(process.execPath, ['--enable-source-maps', file], { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, FORCE_COLOR: '0', NO_COLOR: '1' } })
    let output = ''
    child.stdout.on('data', (chunk: Buffer) => { output += chunk.toString() })
    child.stderr.on('data', (chunk: Buffer) => { output += chunk.toString() })
    const timer = setTimeout(() => { output += `\nkilled after ${FILE_TIMEOUT_MS} ms`; child.kill('SIGKILL') }, FILE_TIMEOUT_MS)
    child.on('close', (code) => {
      clearTimeout(timer)
      const read = (word: string): number => Number(new RegExp(`^\\s*${word}:\\s+(\\d+)`, 'm').exec(output)?.[1] ?? Number.NaN)
      const total = read('Total')
      const passed = read('Passed')
      const skipped = read('Skipped')
      const known = Number.isInteger(total) && Number.isInteger(passed)
      const failed = known ? Math.max(total - passed - skipped, code === 0 ? 0 : 1) : 1
      resolve({ file, passed: known ? passed : 0, failed, skipped: known ? skipped : 0, output, ms: performance.now() - startedMs })
    })
  })
}

const root = import.meta.dirname
const words = process.argv.slice(2)
const files = readdirSync(root, { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.test.ts') && (words.length === 0 || words.some((word) => name.includes(word))))
  .sort()
const queue = [...files]
const outcomes: Outcome[] = []
await Promise.all(Array.from({ length: Math.min(2, availableParallelism()) }, async () => {
  for (let name = queue.shift(); name !== undefined; name = queue.shift()) {
    const outcome = await runFile(join(root, name))
    outcomes.push(outcome)
    console.log(`${outcome.failed === 0 ? 'ok  ' : 'FAIL'} ${relative(root, outcome.file)}  ${outcome.passed} passed${outcome.failed > 0 ? `, ${outcome.failed} failed` : ''}${outcome.skipped > 0 ? `, ${outcome.skipped} not run` : ''}  (${(outcome.ms / 1000).toFixed(1)} s)`)
    // what a machine cannot run, such as containers without an engine, is said and not hidden among what passed
    for (const [line] of outcome.output.matchAll(/^NOT RUN.*$/gm)) console.log(`     ${line}`)
    if (outcome.failed > 0) console.log(outcome.output.replace(/^/gm, '    '))
  }
}))
const sum = (key: 'passed' | 'failed' | 'skipped'): number => outcomes.reduce((n, outcome) => n + outcome[key], 0)
console.log(`${sum('passed')} passed, ${sum('failed')} failed${sum('skipped') > 0 ? `, ${sum('skipped')} skipped` : ''}`)
process.exitCode = sum('failed') > 0 || outcomes.length === 0 ? 1 : 0

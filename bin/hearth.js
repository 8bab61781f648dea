#!/usr/bin/env node
/**
 * Finds the right Node.js and starts hearth with it. Plain JavaScript that any Node since 18 runs: hearth needs 24, which
 * comes with it as the npm package `node`, so an older one on the path re-executes itself with that.
 */
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import module, { createRequire } from 'node:module'
import { homedir } from 'node:os'
import { dirname, join, sep } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import v8 from 'node:v8'

const NEEDED_MAJOR = 24
const here = dirname(fileURLToPath(import.meta.url))

/** Set for the Node that was found: should it be too old as well, it must not look for another for ever. */
const AGAIN = '_HEARTH_NODE'

if (Number(process.versions.node.split('.')[0]) >= NEEDED_MAJOR) await start()
else runWithOwnNode()

async function start() {
  // a node idles for days on somebody's PC: a small young generation and code kept compact save about 40 MB of it
  for (const flag of ['--max-semi-space-size=4', '--optimize-for-size']) v8.setFlagsFromString(flag)
  // compiled code is kept for the next start: in a folder of ours, not in one that everybody may write to
  module.enableCompileCache?.(join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'hearth', 'compile'))
  // Node does not strip types below node_modules, so an installed hearth has been compiled
  const compiled = join(here, '..', 'dist', 'bin', 'hearth.js')
  const source = join(here, 'hearth.ts')
  const installed = here.includes(`${sep}node_modules${sep}`)
  await import(pathToFileURL(installed || !existsSync(source) ? compiled : source).href)
}

function runWithOwnNode() {
  const binary = process.env[AGAIN] === undefined ? ownNode() : undefined
  if (binary === undefined) {
    process.stderr.write(`error E_NODE_VERSION: hearth needs Node.js ${NEEDED_MAJOR} or later, and this is ${process.version}\n`
      + `hint: Install its dependencies with \`npm install\` (the right Node.js is one of them), or put Node.js ${NEEDED_MAJOR} on the path\n`)
    process.exitCode = 1
    return
  }
  const child = spawn(binary, [...process.execArgv, fileURLToPath(import.meta.url), ...process.argv.slice(2)], { stdio: 'inherit', env: { ...process.env, [AGAIN]: '1' } })
  // a terminal sends its signals to the whole group, so the child has them already; forwarding would count them twice
  const onTerminal = process.stdin.isTTY || process.stdout.isTTY || process.stderr.isTTY
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => { if (signal !== 'SIGINT' || !onTerminal) child.kill(signal) })
  child.on('error', (err) => {
    process.stderr.write(`error E_NODE_VERSION: ${binary} cannot be started: ${err.message}\nhint: Install the dependencies again with \`npm install\`\n`)
    process.exit(1)
  })
  child.on('exit', (code, signal) => {
    if (signal === null) process.exit(code ?? 1)
    // ended by a signal: end the same way, so that whoever waits for us sees it
    for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.removeAllListeners(name)
    process.kill(process.pid, signal)
  })
}

/** The binary of the package `node`: in our own dependencies, or hoisted above us. */
function ownNode() {
  try {
    const root = dirname(createRequire(import.meta.url).resolve('node/package.json'))
    return [join(root, 'bin', 'node'), join(root, 'bin', 'node.exe')].find((path) => existsSync(path))
  } catch {
    return undefined
  }
}

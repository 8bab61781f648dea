/** `node bin/render-demo.ts`: three nodes on this machine render a film with Blender, in containers. See node/demo. */
import { parseArgs } from 'node:util'
import { toErrorShape } from '../src/errors.ts'
import { EXIT_FAILED, EXIT_INTERRUPTED, EXIT_USAGE, UsageError } from '../node/cli/usage-error.ts'
import { runRenderDemo } from '../node/demo/render-demo.ts'
import type { RenderScene } from '../node/demo/render-demo.ts'

/** Some 15 s of one core a frame, and each is rendered twice: a few minutes on two cores. */
const SCENE = { frames: '9', width: '480', height: '270', samples: '64' }
const MAX = { frames: 10_000, width: 7680, height: 4320, samples: 4096 }
const OPTIONS = 'Options: --frames N, --width N, --height N, --samples N, --out FOLDER'

interface Wanted { scene: RenderScene, out: string }

function readArguments(): Wanted {
  try {
    const number = (value: string): { type: 'string', default: string } => ({ type: 'string', default: value })
    const { values } = parseArgs({ options: { frames: number(SCENE.frames), width: number(SCENE.width), height: number(SCENE.height), samples: number(SCENE.samples), out: { type: 'string', default: 'render-out' } } })
    const count = (name: keyof typeof MAX): number => {
      const wanted = Number(values[name])
      if (!Number.isInteger(wanted) || wanted < 1 || wanted > MAX[name]) throw new UsageError('E_ARGUMENT_VALUE', `--${name} ${values[name]} is none that can be had`, `Write a number from 1 to ${MAX[name]}`)
      return wanted
    }
    return { out: values.out, scene: { frames: count('frames'), width: count('width'), height: count('height'), samples: count('samples') } }
  } catch (err) {
    if (err instanceof UsageError) throw err
    throw new UsageError('E_ARGUMENT_VALUE', err instanceof Error ? err.message : String(err), OPTIONS, { cause: err })
  }
}

const abort = new AbortController()
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    // whoever asks twice wants it now: what was started ends with this process
    if (abort.signal.aborted) process.exit(EXIT_INTERRUPTED)
    abort.abort()
  })
}

try {
  const report = await runRenderDemo({ ...readArguments(), stdout: process.stdout, stderr: process.stderr, signal: abort.signal })
  if (report === undefined) process.exitCode = EXIT_INTERRUPTED
} catch (err) {
  const { code, message, hint } = toErrorShape(err)
  console.error(`error ${code}: ${message}${hint === '' ? '' : `\nhint: ${hint}`}`)
  process.exitCode = err instanceof UsageError ? EXIT_USAGE : EXIT_FAILED
}

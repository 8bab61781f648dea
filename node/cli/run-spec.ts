import { basename, resolve } from 'node:path'
import type { SubmitRequest } from '../api/contract.ts'
import { existing } from './files.ts'
import { clean } from './term/text.ts'
import { UsageError } from './usage-error.ts'

/** What `run` takes from the command line. */
export interface RunWords {
  file: string
  args: string[]
  in: string[]
  env: string[]
  out: string | undefined
  stdin: string | undefined
  replicas: number | undefined
  quorum: number | undefined
  /** Bytes. */
  memory: number | undefined
  /** Milliseconds. */
  time: number | undefined
  name: string | undefined
}

/** The job file that one line stands for. Throws UsageError for files that are not there and pairs that are none. */
export async function runSpec(words: RunWords, cwd: string): Promise<SubmitRequest> {
  const inputs: { path: string, from: string }[] = []
  for (const text of words.in) inputs.push(await readInput(text, cwd))
  const clash = inputs.find((input, i) => inputs.some((other, j) => j < i && other.path === input.path))
  if (clash !== undefined) throw new UsageError('E_OPTION_CLASH', `Two inputs are called "${clean(clash.path)}"`, 'Give one another name: --in NAME=PATH')
  const env = Object.fromEntries(words.env.map(readEnv))
  const { replicas, quorum } = words
  const spec = {
    ...(words.name === undefined ? {} : { name: words.name }),
    module: resolve(cwd, words.file),
    args: words.args,
    ...(words.env.length === 0 ? {} : { env }),
    ...(inputs.length === 0 ? {} : { inputs: Object.fromEntries(inputs.map(({ path, from }) => [path, from])) }),
    ...(words.stdin === undefined ? {} : { stdin: await existing(words.stdin, cwd, 'file') }),
    ...(words.memory === undefined ? {} : { resources: { memory: `${words.memory} B` } }),
    ...(words.time === undefined ? {} : { limits: { run: `${words.time} ms` } }),
    ...(replicas === undefined ? {} : { replicas }),
    ...(quorum === undefined ? {} : { quorum })
  }
  return { spec, baseDir: resolve(cwd) }
}

/** `NAME=PATH`, or a path whose last part is the name. */
async function readInput(text: string, cwd: string): Promise<{ path: string, from: string }> {
  const equals = text.indexOf('=')
  const given = equals > 0 ? text.slice(0, equals) : undefined
  const from = await existing(equals > 0 ? text.slice(equals + 1) : text, cwd, 'file or folder')
  return { path: given ?? basename(from), from }
}

function readEnv(text: string): [string, string] {
  const equals = text.indexOf('=')
  if (!/^[A-Za-z_][A-Za-z0-9_]*=/.test(text)) throw new UsageError('E_OPTION_VALUE', `--env: "${clean(text)}" is not KEY=VALUE`, 'Write --env=KEY=VALUE')
  return [text.slice(0, equals), text.slice(equals + 1)]
}

import { realpath } from 'node:fs/promises'
import { basename, dirname, relative, resolve, sep } from 'node:path'
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
  if (/\.(ya?ml|json)$/i.test(words.file)) throw new UsageError('E_FILE_KIND', `${clean(words.file)} is a job file, not a program`, `\`submit ${clean(words.file)}\` sends it`)
  const module = await realFile(words.file, cwd, 'file')
  const inputs: { path: string, from: string }[] = []
  for (const text of words.in) inputs.push(await readInput(text, cwd))
  const clash = inputs.find((input, i) => inputs.some((other, j) => j < i && other.path === input.path))
  if (clash !== undefined) throw new UsageError('E_OPTION_CLASH', `Two inputs are called "${clean(clash.path)}"`, 'Give one another name: --in NAME=PATH')
  const env = Object.fromEntries(words.env.map(readEnv))
  const stdin = words.stdin === undefined ? undefined : await realFile(words.stdin, cwd, 'file')
  // a job names nothing outside its folder; the person who typed these paths may name any, so the folder holds them all
  const baseDir = commonFolder([module, ...inputs.map(({ from }) => from), ...(stdin === undefined ? [] : [stdin])])
  const below = (path: string): string => `./${relative(baseDir, path).split(sep).join('/')}`
  const { replicas, quorum } = words
  const spec = {
    ...(words.name === undefined ? {} : { name: words.name }),
    module: below(module),
    args: words.args,
    ...(words.env.length === 0 ? {} : { env }),
    ...(inputs.length === 0 ? {} : { inputs: Object.fromEntries(inputs.map(({ path, from }) => [path, below(from)])) }),
    ...(stdin === undefined ? {} : { stdin: below(stdin) }),
    ...(words.memory === undefined ? {} : { resources: { memory: `${words.memory} B` } }),
    ...(words.time === undefined ? {} : { limits: { run: `${words.time} ms` } }),
    ...(replicas === undefined ? {} : { replicas }),
    ...(quorum === undefined ? {} : { quorum })
  }
  return { spec, baseDir }
}

async function realFile(path: string, cwd: string, kind: 'file' | 'file or folder'): Promise<string> {
  return realpath(await existing(path, cwd, kind))
}

/** The deepest folder that all of these lie below. */
function commonFolder(paths: readonly string[]): string {
  const [first = '', ...others] = paths
  let folder = dirname(first)
  while (!others.every((path) => dirname(path) === folder || path.startsWith(folder.endsWith(sep) ? folder : folder + sep))) {
    const above = dirname(folder)
    if (above === folder) throw new UsageError('E_FILE_PLACE', 'The files lie on different drives', 'Copy them to one')
    folder = above
  }
  return folder
}

/** `NAME=PATH`, or a path whose last part is the name. */
async function readInput(text: string, cwd: string): Promise<{ path: string, from: string }> {
  const equals = text.indexOf('=')
  const given = equals > 0 ? text.slice(0, equals) : undefined
  const from = await realFile(equals > 0 ? text.slice(equals + 1) : text, cwd, 'file or folder')
  return { path: given ?? basename(resolve(cwd, text)), from }
}

function readEnv(text: string): [string, string] {
  const equals = text.indexOf('=')
  if (!/^[A-Za-z_][A-Za-z0-9_]*=/.test(text)) throw new UsageError('E_OPTION_VALUE', `--env: "${clean(text)}" is not KEY=VALUE`, 'Write --env=KEY=VALUE')
  return [text.slice(0, equals), text.slice(equals + 1)]
}

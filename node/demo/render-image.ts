import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { access } from 'node:fs/promises'
import { join } from 'node:path'
import { HearthError } from '../../src/errors.ts'

const NAME = 'image.tar.gz'

async function exists(path: string): Promise<boolean> {
  return await access(path).then(() => true, () => false)
}

/** The image of an example in containers: the one that lies beside its job file, or in `folder`, where it is built when there is none yet. Answers its path. */
export async function exampleImage(example: string, folder: string, say: (line: string) => void, signal: AbortSignal): Promise<string> {
  for (const path of [join(example, NAME), join(folder, NAME)]) if (await exists(path)) return path
  const path = join(folder, NAME)
  say(`Building the image of Debian's packages: ${path}`)
  const script = spawn('sh', [join(example, 'build-image.sh'), path], { stdio: ['ignore', 'pipe', 'pipe'], detached: true })
  // the script's tools are of its group: whoever asks to end it means all of them
  const end = (): void => { if (script.pid !== undefined) process.kill(-script.pid, 'SIGTERM') }
  signal.addEventListener('abort', end, { once: true })
  let said = ''
  const keep = (chunk: Buffer): void => { said = (said + chunk.toString()).slice(-2048) }
  script.stdout.on('data', keep)
  script.stderr.on('data', keep)
  try {
    const ended: unknown[] = await once(script, 'close')
    signal.throwIfAborted()
    if (ended[0] !== 0) throw new HearthError('E_DEMO_IMAGE', `the image could not be built: ${said.trim().split('\n').at(-1) ?? ''}`, `Run ${join(example, 'build-image.sh')} on a Debian or Ubuntu machine, and put ${NAME} into ${folder}`)
  } finally {
    signal.removeEventListener('abort', end)
  }
  say(said.trim())
  return path
}

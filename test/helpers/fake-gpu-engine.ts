/**
 * An engine of its own with a pretended NVIDIA toolkit: the engine's own code decides what a container is asked to get,
 * a wrapper around runc stands where NVIDIA's runtime stands, reads the bundle as that does (NVIDIA_VISIBLE_DEVICES),
 * puts pretended nodes into it, and notes who held which card when.
 */
import { spawn, spawnSync } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { EngineClient } from '../../node/containers/engine-client.ts'

/** Why no engine of our own can be started, if so. */
export function cannotStartEngine(): string | undefined {
  if (process.getuid?.() !== 0) return 'only root can start an engine'
  for (const tool of ['dockerd', 'runc', 'containerd']) if (spawnSync('sh', ['-c', `command -v ${tool}`]).status !== 0) return `there is no ${tool}`
  return undefined
}

/** Written in JavaScript, for it edits JSON: what NVIDIA's runtime does to a bundle before runc sees it. */
const TOOLKIT = `
import { appendFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
const [root, ...args] = process.argv.slice(2)
const { cards, leak } = JSON.parse(readFileSync(root + '/cards.json', 'utf8'))
const note = (line) => appendFileSync(root + '/records', JSON.stringify(line) + '\\n')
const id = args.at(-1)
if (args.includes('delete') && existsSync(root + '/held/' + id)) {
  note({ id, kind: 'end', cards: JSON.parse(readFileSync(root + '/held/' + id, 'utf8')) })
  rmSync(root + '/held/' + id)
}
if (args.includes('create')) {
  const file = args[args.indexOf('--bundle') + 1] + '/config.json'
  const config = JSON.parse(readFileSync(file, 'utf8'))
  const devices = config.linux.devices ??= []
  const env = Object.fromEntries(config.process.env.map((entry) => [entry.split('=', 1)[0], entry.slice(entry.indexOf('=') + 1)]))
  const wanted = (env.NVIDIA_VISIBLE_DEVICES ?? '').split(',')
  const given = Object.keys(cards).filter((uuid) => wanted.includes('all') || wanted.includes(uuid) || (leak && wanted.some((one) => one in cards)))
  note({ id, kind: 'begin', cards: given, env: config.process.env.filter((entry) => /^(NVIDIA|AMD)/.test(entry)), devices: devices.map(({ path }) => path) })
  mkdirSync(root + '/held', { recursive: true })
  writeFileSync(root + '/held/' + id, JSON.stringify(given))
  if (given.length > 0) {
    // the numbers of /dev/null, which every container may open
    for (const path of ['/dev/nvidiactl', '/dev/nvidia-uvm', ...given.map((uuid) => '/dev/nvidia' + cards[uuid])]) devices.push({ path, type: 'c', major: 1, minor: 3, fileMode: 0o666, uid: 0, gid: 0 })
    const tool = root + '/smi-' + id
    writeFileSync(tool, '#!/bin/sh\\n' + given.map((uuid, index) => 'echo "GPU ' + index + ': NVIDIA Pretended (UUID: ' + uuid + ')"').join('\\n') + '\\n', { mode: 0o755 })
    config.mounts.push({ destination: '/bin/nvidia-smi', type: 'bind', source: tool, options: ['bind', 'ro'] })
    writeFileSync(file, JSON.stringify(config))
  }
}
`

export interface ToolkitRecord { id: string, kind: 'begin' | 'end', cards: string[], env?: string[], devices?: string[] }

export class FakeGpuEngine {
  readonly client: EngineClient
  readonly #root: string
  readonly #child: ChildProcess

  private constructor(root: string, child: ChildProcess) {
    this.#root = root
    this.#child = child
    this.client = new EngineClient(join(root, 'engine.sock'))
  }

  /** `cards`: UUIDs and their numbers. */
  static async start(cards: Record<string, number>): Promise<FakeGpuEngine> {
    const root = mkdtempSync(join(tmpdir(), 'hearth-gpu-engine-'))
    const script = (name: string, body: string): void => {
      writeFileSync(join(root, name), body)
      chmodSync(join(root, name), 0o755)
    }
    writeFileSync(join(root, 'cards.json'), JSON.stringify({ cards, leak: false }))
    writeFileSync(join(root, 'toolkit.mjs'), TOOLKIT)
    script('runtime', `#!/bin/sh\ncase " $* " in *" create "*|*" delete "*) ${process.execPath} ${root}/toolkit.mjs ${root} "$@" 2>> ${root}/faults || exit 1;; esac\nexec runc "$@"\n`)
    mkdirSync(join(root, 'bin'))
    // the engine offers its NVIDIA driver where it finds this on its path
    script('bin/nvidia-container-runtime-hook', '#!/bin/sh\nexit 0\n')
    const args = [
      '--data-root', join(root, 'data'), '--exec-root', join(root, 'exec'), '--pidfile', join(root, 'pid'), '-H', `unix://${join(root, 'engine.sock')}`,
      '--bridge=none', '--iptables=false', '--ip6tables=false', '--add-runtime', `nvidia=${join(root, 'runtime')}`, '--default-runtime', 'nvidia'
    ]
    const child = spawn('dockerd', args, { env: { ...process.env, PATH: `${join(root, 'bin')}:${process.env['PATH']}` }, stdio: ['ignore', 'ignore', 'pipe'] })
    const engine = new FakeGpuEngine(root, child)
    // a test that fails before its end leaves no engine behind
    process.once('exit', () => { child.kill('SIGTERM') })
    let said = ''
    await new Promise<void>((resolve, reject) => {
      child.once('exit', (code) => { reject(new Error(`the engine ended with ${code}: ${said.slice(-2000)}`)) })
      child.stderr?.on('data', (bytes: Buffer) => {
        said = (said + bytes.toString()).slice(-100_000)
        if (said.includes('API listen on')) resolve()
      })
    })
    return engine
  }

  /** The toolkit of a careless host: whoever gets one card sees all. */
  leak(leak: boolean): void {
    const file = join(this.#root, 'cards.json')
    const { cards } = JSON.parse(readFileSync(file, 'utf8')) as { cards: Record<string, number> }
    writeFileSync(file, JSON.stringify({ cards, leak }))
  }

  /** What came to the driver's side, in its order. */
  get records(): ToolkitRecord[] {
    const file = join(this.#root, 'records')
    return existsSync(file) ? readFileSync(file, 'utf8').trim().split('\n').map((line) => JSON.parse(line) as ToolkitRecord) : []
  }

  /** Cards that two containers held at once, as the driver saw it. */
  get shared(): string[] {
    const held = new Map<string, string>()
    const shared = new Set<string>()
    for (const { id, kind, cards } of this.records) {
      for (const card of cards) {
        if (kind === 'end') { if (held.get(card) === id) held.delete(card) } else if (held.has(card)) shared.add(card)
        else held.set(card, id)
      }
    }
    return [...shared]
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode === null) {
      const gone = once(this.#child, 'exit')
      this.#child.kill('SIGTERM')
      await gone
    }
    rmSync(this.#root, { recursive: true, force: true })
  }
}

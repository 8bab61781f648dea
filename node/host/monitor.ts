import { readdir, readFile, readlink, stat, statfs } from 'node:fs/promises'
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { basename } from 'node:path'
import type { HostState } from '../../src/core/event.ts'
import type { SharePolicy } from '../../src/documents/share.ts'
import { SECOND_MS } from '../../src/units.ts'

const run = promisify(execFile)

/** How often the host is looked at. Only while its policy asks for it is more than the disk read. */
const LOOK_EVERY_MS = 5 * SECOND_MS
/** Keyboard or mouse within this counts as use. */
const QUIET_MS = 120 * SECOND_MS
/** Processes looked at for listed programs. */
const MAX_PROCESSES = 4096

export interface MonitorOptions {
  dir: string
  policy: () => SharePolicy
  onChange: (host: HostState) => void
}

/** Watches what this PC does apart from us: disk space, the owner's activity, listed programs, the local time. */
export class HostMonitor {
  readonly #options: MonitorOptions
  #timer: NodeJS.Timeout | undefined
  #last = ''

  constructor(options: MonitorOptions) {
    this.#options = options
  }

  async look(): Promise<HostState> {
    const policy = this.#options.policy()
    const { bavail, bsize } = await statfs(this.#options.dir)
    const now = new Date()
    const ownerActive = policy.onlyWhenIdle && (await busyProgram(policy.busyPrograms) || await inputWithin(QUIET_MS))
    return { ownerActive, minuteOfDay: now.getHours() * 60 + now.getMinutes(), weekday: now.getDay(), diskFreeBytes: bavail * bsize }
  }

  start(): void {
    this.#timer = setInterval(() => {
      this.look().then((host) => { this.#report(host) }, () => undefined)
    }, LOOK_EVERY_MS)
    this.#timer.unref()
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  /** Reports only what could change a decision, so that an idle node stays idle. */
  #report(host: HostState): void {
    const coarse = JSON.stringify([host.ownerActive, host.minuteOfDay, Math.floor(host.diskFreeBytes / 2 ** 28)])
    if (coarse === this.#last) return
    this.#last = coarse
    this.#options.onChange(host)
  }
}

/** True when one of the named executables runs. Linux reads /proc; elsewhere the system's own list is asked. */
export async function busyProgram(names: readonly string[]): Promise<boolean> {
  if (names.length === 0) return false
  const wanted = new Set(names.map((name) => name.toLowerCase()))
  if (process.platform !== 'linux') {
    const [command, args] = process.platform === 'win32' ? ['tasklist', ['/fo', 'csv', '/nh']] as const : ['ps', ['-axo', 'comm=']] as const
    const { stdout } = await run(command, [...args], { maxBuffer: 4 * 1024 ** 2 })
    return stdout.split('\n').some((line) => wanted.has(basename(line.split('","')[0]?.replace(/^"/, '').trim() ?? '').toLowerCase()))
  }
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).slice(0, MAX_PROCESSES)
  for (const pid of pids) {
    const [comm, exe] = await Promise.all([readFile(`/proc/${pid}/comm`, 'utf8').catch(() => ''), readlink(`/proc/${pid}/exe`).catch(() => '')])
    if (wanted.has(comm.trim().toLowerCase()) || wanted.has(basename(exe).toLowerCase())) return true
  }
  return false
}

/** Terminals whose time of last input is looked at. */
const MAX_TERMINALS = 256

/**
 * True when the owner typed or moved something lately. As BOINC does: the display's idle time where there is one, else the
 * last input on any terminal. Unknown counts as idle: `onlyWhenIdle` then rests on listed programs.
 */
export async function inputWithin(quietMs: number): Promise<boolean> {
  if (process.platform === 'darwin') {
    const { stdout } = await run('ioreg', ['-c', 'IOHIDSystem', '-d', '4']).catch(() => ({ stdout: '' }))
    const nanos = /"HIDIdleTime" = (\d+)/.exec(stdout)?.[1]
    return nanos !== undefined && Number(nanos) / 1e6 < quietMs
  }
  if (process.platform !== 'linux') return false
  const { stdout } = await run('xprintidle', []).catch(() => ({ stdout: '' }))
  if (stdout !== '') return Number(stdout.trim()) < quietMs
  const terminals = [...(await readdir('/dev/pts').catch(() => [])).map((name) => `/dev/pts/${name}`), '/dev/tty1', '/dev/tty2'].slice(0, MAX_TERMINALS)
  for (const terminal of terminals) {
    const lastInputMs = await stat(terminal).then(({ atimeMs }) => atimeMs, () => 0)
    if (Date.now() - lastInputMs < quietMs && !terminal.endsWith('ptmx')) return true
  }
  return false
}

import { execFile } from 'node:child_process'
import { access, constants } from 'node:fs/promises'
import { delimiter, isAbsolute, join } from 'node:path'
import { MIB, SECOND_MS } from '../../../src/units.ts'

/** A driver that wakes its cards takes seconds; one that hangs never answers. */
const TOOL_DEADLINE_MS = 15 * SECOND_MS
/** A child that was killed is gone within this, unless it sleeps in the driver. */
const KILL_MS = SECOND_MS
/** Sixteen cards with all their processes take some kilobytes. */
const MAX_TOOL_BYTES = MIB
/** Folders of PATH that are looked at. */
const MAX_FOLDERS = 64

export interface ToolOptions {
  /** Folders to look in before the known ones. Default: those of PATH. */
  path?: readonly string[]
  /** Where vendors put their tools, on PATH or not. Default: see `KNOWN_FOLDERS`. */
  known?: readonly string[]
  /** Default 15 s. */
  deadlineMs?: number
}

export type ToolAnswer =
  | { kind: 'answered', stdout: string, stderr: string, exitCode: number }
  | { kind: 'absent' }
  | { kind: 'silent', reason: string }

const KNOWN_FOLDERS: readonly string[] = process.platform === 'win32'
  ? ['C:\\Windows\\System32', 'C:\\Program Files\\NVIDIA Corporation\\NVSMI']
  // the Windows driver lends its tool to WSL2 in a folder of its own
  : ['/usr/bin', '/usr/local/bin', '/usr/lib/wsl/lib', '/opt/rocm/bin']

/** Relative folders are left out: what lies in the working folder is not the vendor's tool. */
function folders(options: ToolOptions): string[] {
  const { path = (process.env['PATH'] ?? '').split(delimiter), known = KNOWN_FOLDERS } = options
  return [...new Set([...path.slice(0, MAX_FOLDERS), ...known])].filter((folder) => isAbsolute(folder))
}

async function find(name: string, places: readonly string[]): Promise<string | undefined> {
  for (const folder of places) {
    const file = join(folder, process.platform === 'win32' ? `${name}.exe` : name)
    if (await access(file, constants.X_OK).then(() => true, () => false)) return file
  }
  return undefined
}

/** Nothing of the owner's shell reaches the tool, but what it needs to start. */
function cleanEnv(places: readonly string[]): NodeJS.ProcessEnv {
  const root = process.env['SystemRoot']
  return { PATH: places.join(delimiter), LANG: 'C', LC_ALL: 'C', ...root === undefined ? {} : { SystemRoot: root } }
}

/**
 * Asks a vendor's tool. Settles by its deadline even when the tool sleeps in the driver, where no signal ends it.
 * Bytes that are no UTF-8 become U+FFFD. Never rejects.
 */
export async function askTool(name: string, args: readonly string[], options: ToolOptions = {}): Promise<ToolAnswer> {
  const places = folders(options)
  const file = await find(name, places)
  if (file === undefined) return { kind: 'absent' }
  const { deadlineMs = TOOL_DEADLINE_MS } = options
  const late: ToolAnswer = { kind: 'silent', reason: `${name} did not answer within ${deadlineMs / SECOND_MS} s` }
  return new Promise((resolve) => {
    const child = execFile(file, args, { cwd: '/', env: cleanEnv(places), encoding: 'utf8', timeout: deadlineMs, killSignal: 'SIGKILL', maxBuffer: MAX_TOOL_BYTES, windowsHide: true }, (err, stdout, stderr) => {
      clearTimeout(timer)
      if (err === null) resolve({ kind: 'answered', stdout, stderr, exitCode: 0 })
      else if (typeof err.code === 'number') resolve({ kind: 'answered', stdout, stderr, exitCode: err.code })
      else if (err.code === 'ERR_CHILD_PROCESS_STDIO_MAXBUFFER') resolve({ kind: 'silent', reason: `${name} printed more than ${MAX_TOOL_BYTES / MIB} MiB` })
      else resolve(err.killed === true ? late : { kind: 'silent', reason: `${name} could not be run: ${err.message.split('\n')[0] ?? ''}` })
    })
    const timer = setTimeout(() => {
      // without its pipes, and unwatched, a child that cannot be killed keeps this process from nothing
      child.stdout?.destroy()
      child.stderr?.destroy()
      child.unref()
      resolve(late)
    }, deadlineMs + KILL_MS)
  })
}

import { basename, join } from 'node:path'
import { z } from 'zod'
import { MIB, SECOND_MS } from '../../../src/units.ts'
import type { FoundCard } from './found.ts'
import type { CardUse } from './owner-use.ts'
import { attribute } from './pci.ts'
import { askTool } from './tool.ts'
import type { ToolOptions } from './tool.ts'

/** `pmon` looks for a second; a look that takes longer than this is left out. */
const LOOK_DEADLINE_MS = 5 * SECOND_MS
const MAX_LINES = 4096

/** A tool that does not say on which card a program works. */
const EVERY_CARD = '*'

/** One program on one card. `card` is its UUID or its number, as the tool names it. */
export interface GpuProcess { card: string | number, pid: number, busyPercent: number, memoryBytes: number, /** It computes and draws nothing. */ compute: boolean }

function lines(stdout: string): string[] {
  return stdout.split('\n').slice(0, MAX_LINES).map((line) => line.trim()).filter((line) => line !== '')
}

function amount(value: string | undefined): number {
  return value !== undefined && /^\d{1,9}$/.test(value) ? Number(value) : 0
}

/** `nvidia-smi pmon -c 1 -s um`: columns differ between drivers, so its header is read. Undefined: no such table. */
export function parsePmon(stdout: string): GpuProcess[] | undefined {
  const header = lines(stdout).find((line) => /^#\s*gpu\s/i.test(line))?.replace(/^#\s*/, '').toLowerCase().split(/\s+/)
  if (header === undefined) return undefined
  const column = (row: readonly string[], name: string): string | undefined => header.includes(name) ? row[header.indexOf(name)] : undefined
  const found = new Map<string, GpuProcess>()
  for (const line of lines(stdout)) {
    const row = line.split(/\s+/)
    const [gpu = '', pid = ''] = [column(row, 'gpu'), column(row, 'pid')]
    if (!/^\d{1,3}$/.test(gpu) || !/^\d{1,10}$/.test(pid)) continue
    const key = `${gpu}/${pid}`
    const before = found.get(key)
    // one program may stand there once for each of its contexts, each with all that it does
    found.set(key, {
      card: Number(gpu), pid: Number(pid), compute: column(row, 'type') === 'C' && (before?.compute ?? true),
      busyPercent: Math.max(before?.busyPercent ?? 0, amount(column(row, 'sm'))), memoryBytes: Math.max(before?.memoryBytes ?? 0, amount(column(row, 'fb')) * MIB)
    })
  }
  return [...found.values()]
}

/** `--query-compute-apps=pid,used_memory,gpu_uuid`, memory in MiB, `[N/A]` where Windows keeps it to itself. */
export function parseComputeApps(stdout: string): GpuProcess[] {
  return lines(stdout).flatMap((line) => {
    const [pid = '', memory, card = ''] = line.split(',').map((part) => part.trim())
    return /^\d{1,10}$/.test(pid) && card.startsWith('GPU-') ? [{ card, pid: Number(pid), busyPercent: 0, memoryBytes: amount(memory) * MIB, compute: true }] : []
  })
}

/** `--query-gpu=uuid,utilization.gpu`: percent by UUID. */
export function parseUtilisation(stdout: string): Map<string, number> {
  return new Map(lines(stdout).flatMap((line) => {
    const [uuid = '', busy = ''] = line.split(',').map((part) => part.trim())
    return /^\d{1,3}$/.test(busy) ? [[uuid, Number(busy)] as const] : []
  }))
}

const pidsJson = z.object({ system: z.record(z.string(), z.string()) })

/** `rocm-smi --showpids --json`: `PID4242: "name, cards, vram bytes, sdma, occupancy"`. It does not say on which card. */
export function parseRocmPids(stdout: string): GpuProcess[] {
  try {
    const { system } = pidsJson.parse(JSON.parse(stdout.slice(Math.max(0, stdout.indexOf('{')))))
    return Object.entries(system).flatMap(([name, value]) => {
      const pid = /^PID(\d{1,10})$/.exec(name)?.[1]
      const memory = value.split(',').map((part) => part.trim()).at(-3)
      return pid === undefined ? [] : [{ card: EVERY_CARD, pid: Number(pid), busyPercent: 0, memoryBytes: memory !== undefined && /^\d{1,15}$/.test(memory) ? Number(memory) : 0, compute: true }]
    }).slice(0, MAX_LINES)
  } catch {
    return []
  }
}

export interface LookOptions extends ToolOptions { sysDir?: string }

interface Seen { processes: readonly GpuProcess[] | undefined, /** The processes' shares of time are known. */ shares: boolean, busy: ReadonlyMap<string, number> }

/**
 * What others do on each card. `pids` gives the process ids of our runs as this host counts them, before and after the
 * look, since they come and go; `working` are the cards on which our runs compute now: on others all that happens is
 * somebody else's. A card of which nothing is known is left out. Rejects only when `pids` does.
 */
export async function lookAtCards(cards: readonly FoundCard[], pids: () => Promise<ReadonlySet<number>>, working: ReadonlySet<string>, options: LookOptions = {}): Promise<Map<string, CardUse>> {
  const asked = { deadlineMs: LOOK_DEADLINE_MS, ...options }
  const before = await pids()
  const looks: [FoundCard[], Seen][] = []
  for (const [vendor, look] of [['nvidia', seeNvidia], ['amd', seeAmd]] as const) {
    const own = cards.filter(({ card }) => card.vendor === vendor)
    if (own.length > 0) looks.push([own, await look(asked, own)])
  }
  const ours = new Set([...before, ...await pids()])
  const uses = new Map<string, CardUse>()
  for (const [own, { processes, shares, busy }] of looks) {
    for (const { id, index } of own) {
      const foreign = processes?.filter(({ card, pid }) => (card === id || card === index || card === EVERY_CARD) && !ours.has(pid))
      const whole = working.has(id) ? undefined : busy.get(id)
      if (foreign === undefined && whole === undefined) continue
      const byProcess = shares ? foreign?.reduce((sum, { busyPercent }) => sum + busyPercent, 0) : undefined
      uses.set(id, { busyPercent: whole ?? byProcess, computeBytes: (foreign ?? []).reduce((sum, { compute, memoryBytes }) => sum + (compute ? memoryBytes : 0), 0) })
    }
  }
  return uses
}

async function seeNvidia(options: LookOptions): Promise<Seen> {
  const [pmon, usage] = await Promise.all([
    askTool('nvidia-smi', ['pmon', '-c', '1', '-s', 'um'], options), askTool('nvidia-smi', ['--query-gpu=uuid,utilization.gpu', '--format=csv,noheader,nounits'], options)
  ])
  const busy = usage.kind === 'answered' && usage.exitCode === 0 ? parseUtilisation(usage.stdout) : new Map<string, number>()
  const table = pmon.kind === 'answered' && pmon.exitCode === 0 ? parsePmon(pmon.stdout) : undefined
  if (table !== undefined) return { processes: table, shares: true, busy }
  const apps = await askTool('nvidia-smi', ['--query-compute-apps=pid,used_memory,gpu_uuid', '--format=csv,noheader,nounits'], options)
  return { processes: apps.kind === 'answered' && apps.exitCode === 0 ? parseComputeApps(apps.stdout) : undefined, shares: false, busy }
}

async function seeAmd(options: LookOptions, cards: readonly FoundCard[]): Promise<Seen> {
  const answer = await askTool('rocm-smi', ['--showpids', '--json'], options)
  const busy = new Map<string, number>()
  for (const { id, nodes } of cards) {
    const node = nodes?.find((path) => path.includes('renderD'))
    const percent = node === undefined ? '' : await attribute(join(options.sysDir ?? '/sys', 'class/drm', basename(node), 'device'), 'gpu_busy_percent')
    if (/^\d{1,3}$/.test(percent)) busy.set(id, Number(percent))
  }
  return { processes: answer.kind === 'answered' ? parseRocmPids(answer.stdout) : undefined, shares: false, busy }
}

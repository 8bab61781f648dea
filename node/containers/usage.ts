/** What the control groups said about a container, as far as they said it. */
export interface ContainerUsage {
  cpuMs?: number
  peakBytes?: number
  /** Processes ended for want of memory: the container's, or the whole host's. */
  oomKills?: number
  /** How often the container's own limit was what stood in the way. */
  limitHits?: number
}

const NS_IN_MS = 1e6
const US_IN_MS = 1e3

/** The number behind `key` in a file of lines `key number`, or alone in a file where `key` is undefined. */
function figure(text: string, key?: string): number | undefined {
  const found = (key === undefined ? /^(\d{1,19})\s*$/ : new RegExp(`^${key} (\\d{1,19})$`, 'm')).exec(text)
  const value = Number(found?.[1])
  return Number.isFinite(value) ? value : undefined
}

/** Reads one control group file, of version 1 or 2, into `usage`. */
export function readUsage(usage: ContainerUsage, path: string, text: string): void {
  const set = (key: keyof ContainerUsage, value: number | undefined): void => { if (value !== undefined) usage[key] = value }
  const name = path.slice(path.lastIndexOf('/') + 1)
  const ns = name === 'cpuacct.usage' ? figure(text) : undefined
  const us = name === 'cpu.stat' ? figure(text, 'usage_usec') : undefined
  if (ns !== undefined) set('cpuMs', ns / NS_IN_MS)
  if (us !== undefined) set('cpuMs', us / US_IN_MS)
  if (name === 'memory.max_usage_in_bytes' || name === 'memory.peak') set('peakBytes', figure(text))
  if (name === 'memory.events') set('limitHits', figure(text, 'oom'))
  if (name === 'memory.oom_control' || name === 'memory.events') set('oomKills', figure(text, 'oom_kill'))
}

/** Usage is counted in batches of pages, so that the highest figure seen may lie a little below the limit. */
const FULL_FRACTION = 0.95

/**
 * Whether processes were ended because the container used up its own memory. When the host as a whole ran out, kernels count
 * the same kills; then the limit was never reached, and the job is not at fault.
 */
export function usedUpMemory({ oomKills = 0, peakBytes, limitHits }: ContainerUsage, limitBytes: number): 'own' | 'host' | undefined {
  if (oomKills === 0) return undefined
  if (peakBytes === undefined && limitHits === undefined) return 'own'
  return (limitHits ?? 0) > 0 || (peakBytes ?? 0) >= FULL_FRACTION * limitBytes ? 'own' : 'host'
}

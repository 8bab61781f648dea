import { MIN_API_VERSION } from './limits.ts'
import type { EngineInfo, EngineVersion } from './engine-client.ts'
import { filtersCalls } from './engine-finder.ts'
import { hasTools } from './engine-volumes.ts'

/** A hole that a job could use, and the first release of each line in which it is closed. */
interface Hole { part: 'Engine' | 'runc' | 'containerd' | 'crun' | 'Desktop', cve: string, what: string, closedIn: readonly string[] }

/**
 * Sources: the projects' own advisories. A version is unsafe when no entry of its line (same major and minor) or an older
 * line closes the hole. Left out: what needs a registry login, a build or a plugin that Hearth never asks for.
 */
const HOLES: readonly Hole[] = [
  { part: 'runc', cve: 'CVE-2024-21626', what: 'a job can leave its container through a leaked directory', closedIn: ['1.1.12'] },
  { part: 'runc', cve: 'CVE-2025-31133, CVE-2025-52565, CVE-2025-52881', what: 'hidden kernel files can be uncovered while a container starts', closedIn: ['1.2.8', '1.3.3', '1.4.0'] },
  { part: 'containerd', cve: 'CVE-2022-23648', what: 'an image can show the host\'s files to its container', closedIn: ['1.4.13', '1.5.10', '1.6.1'] },
  { part: 'containerd', cve: 'CVE-2024-40635', what: 'very large user ids become root', closedIn: ['1.6.38', '1.7.27', '2.0.4'] },
  { part: 'Engine', cve: 'CVE-2021-41091', what: 'other users of this PC can run what images hold', closedIn: ['20.10.9'] },
  { part: 'Engine', cve: 'CVE-2022-24769', what: 'containers start with capabilities they can inherit', closedIn: ['20.10.14'] },
  { part: 'crun', cve: 'CVE-2025-24965', what: 'a job can leave its container through .krun_config.json', closedIn: ['1.20'] },
  { part: 'Desktop', cve: 'CVE-2025-9074', what: 'containers with a network reach the engine itself', closedIn: ['4.44.3'] }
]

function numbers(version: string): number[] {
  return (/\d+(?:\.\d+)*/.exec(version)?.[0] ?? '').split('.').filter((part) => part !== '').map(Number)
}

function compare(a: readonly number[], b: readonly number[]): number {
  for (let n = 0; n < Math.max(a.length, b.length); n++) if ((a[n] ?? 0) !== (b[n] ?? 0)) return (a[n] ?? 0) - (b[n] ?? 0)
  return 0
}

/** Whether `version` comes before every release that closes the hole, by lines of major and minor. */
function isOpen(version: string, closedIn: readonly string[]): boolean {
  const own = numbers(version)
  if (own.length === 0) return false
  const fixes = closedIn.map(numbers)
  const sameLine = fixes.find((fix) => fix[0] === own[0] && (fix[1] ?? 0) === (own[1] ?? 0))
  if (sameLine !== undefined) return compare(own, sameLine) < 0
  // an old line that got no fix of its own, or a line newer than the newest fix
  return !fixes.some((fix) => compare(own, fix) > 0 && compare(fix, fixes.at(-1) ?? fix) === 0)
}

function versionsOf(version: EngineVersion): Map<Hole['part'], string> {
  const versions = new Map<Hole['part'], string>()
  for (const { Name, Version } of version.Components ?? []) {
    const part = (['Engine', 'runc', 'containerd', 'crun'] as const).find((each) => each === Name)
    if (part !== undefined) versions.set(part, Version)
  }
  const desktop = /Docker Desktop (\d[\d.]*)/.exec(version.Platform?.Name ?? '')?.[1]
  if (desktop !== undefined) versions.set('Desktop', desktop)
  return versions
}

/** One sentence for each known hole of the engine's parts. A distribution's own build may have closed it without a new number. */
export function engineWarnings(version: EngineVersion): string[] {
  const versions = versionsOf(version)
  return HOLES.flatMap(({ part, cve, what, closedIn }) => {
    const own = versions.get(part)
    if (own === undefined || !isOpen(own, closedIn)) return []
    const patched = /[a-z~]/i.test(own.replace(/^v/, '').replace(/-?(?:rc|alpha|beta)[.\d]*$/, ''))
    return [`${part} ${own} has ${cve}: ${what}; update to ${closedIn.at(-1) ?? ''}${patched ? ', unless your distribution has closed it in this build' : ''}`]
  })
}

/** Why this engine cannot hold a job within its limits, as sentences; empty when it can. */
export function engineFaults(info: EngineInfo, version: EngineVersion): string[] {
  const faults: string[] = []
  if ((info.OSType ?? 'linux') !== 'linux') faults.push(`it runs ${info.OSType ?? 'other'} containers, not Linux ones`)
  if (compare(numbers(version.ApiVersion ?? '0'), numbers(MIN_API_VERSION)) < 0) faults.push(`its API is ${version.ApiVersion ?? 'unknown'}, older than ${MIN_API_VERSION} (Docker 20.10)`)
  if (compare(numbers(MIN_API_VERSION), numbers(version.MinAPIVersion ?? '0')) < 0) faults.push(`its API begins at ${version.MinAPIVersion ?? 'unknown'}, newer than ${MIN_API_VERSION}`)
  if (info.MemoryLimit !== true) faults.push('it cannot limit memory')
  if (info.SwapLimit !== true) faults.push('it cannot limit swap')
  if (info.CpuCfsQuota !== true) faults.push('it cannot limit processor time')
  if (info.PidsLimit !== true) faults.push('it cannot limit processes')
  if (!filtersCalls(info)) faults.push('it cannot filter system calls (seccomp)')
  if (!hasTools(version.Arch ?? info.Architecture ?? '')) faults.push(`its processor (${version.Arch ?? info.Architecture ?? 'unknown'}) is none that Hearth has its own programs for`)
  return faults
}

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { packageDir } from './defaults.ts'

/** The profile of system calls for container jobs, as the text that the engine takes (config/seccomp/job.json), comments left out. */
export function readSeccompProfile(): string {
  const profile = JSON.parse(readFileSync(join(packageDir(), 'config', 'seccomp', 'job.json'), 'utf8')) as { syscalls: Record<string, unknown>[] }
  return JSON.stringify({ ...profile, syscalls: profile.syscalls.map((rule) => Object.fromEntries(Object.entries(rule).filter(([key]) => key !== 'comment'))) })
}

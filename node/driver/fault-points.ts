import { writeFileSync } from 'node:fs'

/** Called between any two things whose order matters after a crash. */
export type FaultPoint = (name: string) => void

/**
 * Tests kill a node at any line that matters: `TEST_HEARTH_KILL_AT=n` ends this process with SIGKILL at the n-th point it
 * reaches, `TEST_HEARTH_COUNT_POINTS=file` keeps the number reached in a file. Without either it costs nothing.
 */
export function faultPointsFrom(env: NodeJS.ProcessEnv): FaultPoint {
  const killAt = Number(env['TEST_HEARTH_KILL_AT'] ?? 0)
  const countFile = env['TEST_HEARTH_COUNT_POINTS']
  if (killAt === 0 && countFile === undefined) return () => undefined
  let reached = 0
  const names: string[] = []
  return (name) => {
    reached++
    if (countFile !== undefined) {
      names.push(name)
      writeFileSync(countFile, `${names.join('\n')}\n`)
    }
    if (reached === killAt) process.kill(process.pid, 'SIGKILL')
  }
}

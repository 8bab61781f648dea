import { randomUUID } from 'node:crypto'
import { KIB, MIB } from '../../../src/units.ts'
import type { ContainerSandbox } from '../container-sandbox.ts'
import type { ProbeRunner } from './probe.ts'

/** The driver's own tool maps some hundred MiB, and starts a thread or two. */
const LIMITS = { cores: 1, memoryBytes: 512 * MIB, outBytes: 0, outFiles: 0, logBytes: 64 * KIB, pids: 32 }

/**
 * Probes run as jobs do, so that what is proven is what a job gets: same settings, same kind of user. `imageId` is a
 * local image with a shell (`sha256:…`); one with a C library lets the driver's own tool name the card.
 */
export function sandboxProbe(sandbox: Pick<ContainerSandbox, 'run' | 'settled'>, imageId: string): ProbeRunner {
  return {
    async run({ gpus, command, deadlineMs }) {
      const parts: Uint8Array[] = []
      const [file = '', ...rest] = command
      const { outcome } = await sandbox.run({
        runId: `gpu-probe-${randomUUID()}`, imageId, entrypoint: [file], command: rest, env: {}, inputs: [], secrets: [], gpus, limits: { ...LIMITS, wallMs: deadlineMs }
      }, { onLog: (_stream, bytes) => { parts.push(bytes) } })
      // the card is free for a job when the container is gone, not before
      await sandbox.settled()
      if (outcome.kind === 'abstained') throw new Error(outcome.message)
      if (outcome.kind === 'trapped') throw new Error(`the probe was ended: ${outcome.trap}`)
      return { exitCode: outcome.exitCode, output: Buffer.concat(parts).toString('utf8') }
    }
  }
}

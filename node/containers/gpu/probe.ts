import { MINUTE_MS } from '../../../src/units.ts'
import { assignCards } from './assignment.ts'
import type { CardAccess, GpuAssignment } from './assignment.ts'
import type { DetectedGpus } from './detect.ts'
import { accessCandidates, engineRefusal } from './engine-gpus.ts'
import type { GpuEngine } from './engine-gpus.ts'
import type { FoundCard, GpuProblem } from './found.ts'
import type { LocalCard } from './leases.ts'

/** A first container with a card waits for its driver to wake; an image is there already. */
const PROBE_DEADLINE_MS = MINUTE_MS
/** Cards of which a proof is remembered: those that were in this computer since the start. */
const MAX_PROOFS = 64

/** What the room for containers lends the probe: its smallest image with a shell, its hardest settings, no network. */
export interface ProbeRunner {
  /** Runs to its end, and removes the container. Rejects with the engine's own words when it cannot be made or started. */
  run(request: { gpus: GpuAssignment, command: readonly string[], deadlineMs: number }): Promise<{ exitCode: number, output: string }>
}

/** Tells which nodes a job could open, as the user it would be, and which cards the driver's own tool sees in there. */
const SCRIPT = [
  'for n in /dev/nvidia[0-9]* /dev/nvidiactl /dev/nvidia-uvm /dev/dxg /dev/kfd /dev/dri/renderD*; do',
  'if [ -c "$n" ]; then if [ -r "$n" ] && [ -w "$n" ]; then echo "node $n"; else echo "closed $n"; fi; fi; done',
  'if command -v nvidia-smi >/dev/null 2>&1; then nvidia-smi -L 2>&1; fi',
  'exit 0'
].join('\n')
export const PROBE_COMMAND: readonly string[] = ['/bin/sh', '-c', SCRIPT]

export type Proof = { kind: 'proven' } | { kind: 'failed', code: GpuProblem['code'], message: string }

function failed(code: GpuProblem['code'], message: string): Proof {
  return { kind: 'failed', code, message }
}

/**
 * Whether the probe's output shows this card and no other. `nvidia-smi -L` names cards by UUID; an image without a C
 * library cannot run it, and then the nodes must do: one card's, and `sure` that the engine was asked for it by UUID.
 */
export function readProof(output: string, card: FoundCard, { wsl, sure }: { wsl: boolean, sure: boolean }): Proof {
  const words = output.split('\n').map((line) => line.trim().split(' '))
  const open = words.filter(([word]) => word === 'node').map(([, node = '']) => node)
  const closed = words.find(([word]) => word === 'closed')?.[1]
  if (closed !== undefined) return failed('E_GPU_NODES', `a job may not open ${closed}`)
  if (card.card.vendor === 'amd') {
    const missing = card.nodes?.find((node) => !open.includes(node))
    if (missing !== undefined) return failed('E_GPU_PROBE', `a container with it has no ${missing}`)
    const extra = open.find((node) => node.includes('/renderD') && card.nodes?.includes(node) !== true)
    return extra === undefined ? { kind: 'proven' } : failed('E_GPU_SHARED', `a container with it also sees ${extra}`)
  }
  const uuids = [...output.matchAll(/\(UUID: (GPU-[0-9a-f-]{36})\)/gi)].map(([, uuid]) => uuid?.toLowerCase())
  const cards = open.filter((node) => /^\/dev\/nvidia\d+$/.test(node))
  const foreign = uuids.find((uuid) => uuid !== card.id.toLowerCase())
  if (foreign !== undefined || cards.length > 1) return failed('E_GPU_SHARED', 'a container with it sees other cards too')
  const nodes = wsl ? open.includes('/dev/dxg') : cards.length === 1 && open.includes('/dev/nvidiactl') && open.includes('/dev/nvidia-uvm')
  if (!nodes) return failed('E_GPU_PROBE', 'a container with it has not all of its device nodes')
  return uuids.length > 0 || sure ? { kind: 'proven' } : failed('E_GPU_PROBE', 'a container with it cannot tell which card it has')
}

/** Tries each card in a container before it is advertised. A proof holds until card, driver or engine change; a failure is tried again. */
export class GpuProber {
  readonly #runner: ProbeRunner
  readonly #proofs = new Map<string, CardAccess>()

  constructor(runner: ProbeRunner) {
    this.#runner = runner
  }

  /**
   * One card after the other: the probes are small, and a driver that wakes several cards at once may fail. `all`: every
   * card of this computer, where only some are to be proven. Never rejects.
   */
  async prove(detected: DetectedGpus & { all?: readonly FoundCard[] }, engine: GpuEngine): Promise<{ cards: LocalCard[], problems: GpuProblem[] }> {
    const cards: LocalCard[] = []
    const problems: GpuProblem[] = [...detected.problems]
    for (const card of detected.cards) {
      const proven = await this.#prove(card, detected, engine)
      if ('code' in proven) problems.push(proven)
      else cards.push({ id: card.id, card: card.card, access: proven })
    }
    return { cards, problems }
  }

  async #prove(card: FoundCard, { cards, all = cards, wsl }: DetectedGpus & { all?: readonly FoundCard[] }, engine: GpuEngine): Promise<CardAccess | GpuProblem> {
    const { vendor, model, driver } = card.card
    const key = JSON.stringify([card.id, driver, engine])
    const known = this.#proofs.get(key)
    if (known !== undefined) return known
    const alone = all.filter((other) => other.card.vendor === vendor).length === 1
    let problem: GpuProblem = { code: 'E_GPU_PROBE', vendor, message: `${model} is there, but this engine cannot hand it to a container`, hint: engine.desktop ? 'Use an engine that runs on this computer itself, not in a machine of its own' : '' }
    for (const [tried, access] of accessCandidates(card, engine, { wsl, alone }).entries()) {
      const outcome = await this.#try(card, access, wsl, alone)
      if (outcome === undefined) {
        this.#proofs.set(key, access)
        if (this.#proofs.size > MAX_PROOFS) this.#proofs.delete(this.#proofs.keys().next().value ?? '')
        return access
      }
      // the first way is the one that the engine should know: what it says is worth most, unless it was merely absent
      if (tried === 0 || problem.code === 'E_GPU_CDI') problem = outcome
    }
    return problem
  }

  async #try(card: FoundCard, access: CardAccess, wsl: boolean, alone: boolean): Promise<GpuProblem | undefined> {
    const { vendor, model } = card.card
    try {
      const { output } = await this.#runner.run({ gpus: assignCards([{ id: card.id, access }]), command: PROBE_COMMAND, deadlineMs: PROBE_DEADLINE_MS })
      const proof = readProof(output, card, { wsl, sure: alone || (access.kind === 'nvidia' && access.uuid === card.id) || (access.kind === 'cdi' && access.device.endsWith(`=${card.id}`)) })
      return proof.kind === 'proven' ? undefined : { code: proof.code, vendor, message: `${model} is there, but ${proof.message}`, hint: 'See `doctor`; the container toolkit or the engine may be too old for this card' }
    } catch (err) {
      return engineRefusal(model, vendor, err instanceof Error ? err.message : String(err))
    }
  }
}

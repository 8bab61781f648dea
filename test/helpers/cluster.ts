import { once } from 'node:events'
import { join } from 'node:path'
import type { Cluster, ClusterNode } from '../../node/demo/cluster.ts'
import type { JobDetail, Timestamped } from '../../node/api/contract.ts'

export const EXAMPLES = join(import.meta.dirname, '../../config/examples')
export const MODULES = join(import.meta.dirname, '../fixtures/wasm')
export const LENDS = ['--share.cores=2', '--share.memory=1 GiB']
export const LENDS_NOTHING = ['--share.enabled=false']

/** Without the PeerId: what a node that comes back listens on again. */
export function listenAddress({ address }: ClusterNode): string {
  return address.replace(/\/p2p\/.*/, '')
}

export async function startProvider(cluster: Cluster, you: ClusterNode, name: string, more: { flags?: string[], env?: Record<string, string>, dataDir?: string } = {}): Promise<ClusterNode> {
  return await cluster.start({ name, bootstrap: [you.address], ...more, flags: [...LENDS, ...more.flags ?? []] })
}

/** The same node again, after its process has ended. */
export async function restart(cluster: Cluster, node: ClusterNode, setup: { flags: string[], bootstrap?: string[] }): Promise<ClusterNode> {
  return await cluster.start({ name: `${node.name}-again`, dataDir: node.dataDir, listen: listenAddress(node), ...setup })
}

/** Follows a job to its end. */
export async function ended(node: ClusterNode, job: string, on?: (notice: Timestamped) => void): Promise<JobDetail> {
  for await (const notice of node.api.events({ job })) on?.(notice)
  return await node.api.job(job)
}

/** The first notice of a job for which `holds`; throws when the job ends without one. */
export async function happens<N extends Timestamped>(node: ClusterNode, job: string, holds: (notice: Timestamped) => notice is N): Promise<N>
export async function happens(node: ClusterNode, job: string, holds: (notice: Timestamped) => boolean): Promise<Timestamped>
export async function happens(node: ClusterNode, job: string, holds: (notice: Timestamped) => boolean): Promise<Timestamped> {
  for await (const notice of node.api.events({ job })) if (holds(notice)) return notice
  throw new Error(`job ${job} ended before: ${JSON.stringify((await node.api.job(job)).error)}`)
}

export function taskNotice(state: string, peer?: string): (notice: Timestamped) => boolean {
  return (notice) => notice.kind === 'task' && notice.state === state && (peer === undefined || notice.peer === peer)
}

/** How a process ended: its exit code, or the signal that ended it. */
export async function exit({ process: child }: ClusterNode): Promise<number | NodeJS.Signals | null> {
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
  return child.exitCode ?? child.signalCode
}

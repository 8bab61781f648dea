import { connect, isIP, type Socket } from 'node:net'
import { pipeline, type Duplex } from 'node:stream'
import { DIAL_TIMEOUT_MS, MAX_DIALS } from './limits.ts'
import type { TrafficMeter } from './traffic.ts'

/** One connection to exactly this address: no name is looked up again. Undefined when it cannot be made in time. */
function dialOne(address: string, port: number, signal: AbortSignal): Promise<Socket | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ host: address, port, family: isIP(address), allowHalfOpen: true, noDelay: true })
    const end = (result: Socket | undefined): void => {
      clearTimeout(timer)
      signal.removeEventListener('abort', fail)
      if (result === undefined) socket.destroy()
      resolve(result)
    }
    const fail = (): void => { end(undefined) }
    const timer = setTimeout(fail, DIAL_TIMEOUT_MS)
    signal.addEventListener('abort', fail, { once: true })
    // stays: an error after the connection is made ends the tunnel by its streams, and must not end the node
    socket.on('error', fail)
    socket.once('connect', () => { end(socket) })
    if (signal.aborted) fail()
  })
}

/** The first of these addresses that answers. They were checked: nothing else may be put here. */
export async function dial(addresses: readonly string[], port: number, signal: AbortSignal): Promise<Socket | undefined> {
  for (const address of addresses.slice(0, MAX_DIALS)) {
    if (signal.aborted) return undefined
    const socket = await dialOne(address, port, signal)
    if (socket !== undefined) return socket
  }
  return undefined
}

/**
 * Joins both ends until both ways have ended, one breaks, nothing moves for `idleMs`, or an end is destroyed from outside.
 * Each way ends alone (a client may close its half and still read). `onIdle`: it ended for want of bytes.
 */
export function joinEnds(job: Duplex, server: Duplex, meter: TrafficMeter, idleMs: number, onIdle: () => void): Promise<void> {
  return new Promise((resolve) => {
    let open = 2
    const end = (): void => {
      clearTimeout(timer)
      job.destroy()
      server.destroy()
      resolve()
    }
    const timer = setTimeout(() => { onIdle(); end() }, idleMs)
    const moved = (): void => { timer.refresh() }
    const ended = (err: unknown): void => { if (err !== undefined && err !== null || --open === 0) end() }
    pipeline(job, meter.stream('sentBytes', moved), server, ended)
    pipeline(server, meter.stream('receivedBytes', moved), job, ended)
  })
}

import type { Descriptor } from './fd-table.ts'
import { MAX_SUBSCRIPTIONS } from './limits.ts'
import { CLOCK, ERRNO, RIGHT, SIZE, SUBSCRIPTION, SUBSCRIPTION_ABSOLUTE_TIME, type Errno } from './wasi-abi.ts'
import { unsigned, type WasiState } from './wasi-state.ts'

interface PollEvent { userdata: bigint, type: number, error: Errno, bytes: number }
interface Deadline { userdata: bigint, elapsedNs: bigint }

/** Files and streams are always ready; what cannot be read or written is an error of that subscription. */
function fdEvent(userdata: bigint, type: number, target: Descriptor | undefined): PollEvent {
  const right = type === SUBSCRIPTION.read ? RIGHT.read : RIGHT.write
  const ready = target?.kind === 'stream' ? type === SUBSCRIPTION.write : target?.kind === 'file' && (target.rights & right) !== 0n
  const bytes = target?.kind === 'file' && type === SUBSCRIPTION.read ? Math.max(0, target.node.body.sizeBytes - target.position) : 0
  return { userdata, type, error: ready ? ERRNO.success : ERRNO.badf, bytes: ready ? bytes : 0 }
}

/**
 * `poll_oneoff` without waiting: if only clocks are subscribed, the virtual clock jumps to the earliest deadline.
 * All subscriptions are read before any event is written, so the two arrays may overlap.
 */
export function pollCalls({ memory, fds, clock }: WasiState) {
  function deadline(at: number, userdata: bigint): Deadline | undefined {
    const id = memory.u32(at + 16)
    if (id > CLOCK.threadCpu) return undefined
    const timeNs = memory.u64(at + 24)
    const absolute = (memory.u16(at + 40) & SUBSCRIPTION_ABSOLUTE_TIME) !== 0
    return { userdata, elapsedNs: absolute ? clock.elapsedAt(id === CLOCK.realtime, timeNs) : clock.elapsedNs + timeNs }
  }

  return {
    poll_oneoff(subscriptions: number, events: number, count: number, result: number): Errno {
      const total = unsigned(count)
      if (total === 0 || total > MAX_SUBSCRIPTIONS) return ERRNO.inval
      const from = unsigned(subscriptions)
      const to = unsigned(events)
      if (!memory.has(from, total * SIZE.subscription) || !memory.has(to, total * SIZE.event) || !memory.has(unsigned(result), 4)) return ERRNO.fault
      const ready: PollEvent[] = []
      const deadlines: Deadline[] = []
      for (let at = from; at < from + total * SIZE.subscription; at += SIZE.subscription) {
        const userdata = memory.u64(at)
        const type = memory.u8(at + 8)
        if (type > SUBSCRIPTION.write) return ERRNO.inval
        const timer = type === SUBSCRIPTION.clock ? deadline(at, userdata) : undefined
        if (timer !== undefined) deadlines.push(timer)
        else if (type === SUBSCRIPTION.clock) ready.push({ userdata, type, error: ERRNO.inval, bytes: 0 })
        else ready.push(fdEvent(userdata, type, fds.get(memory.u32(at + 16))))
      }
      if (ready.length === 0) clock.advanceTo(deadlines.reduce((first, { elapsedNs }) => elapsedNs < first ? elapsedNs : first, deadlines[0]?.elapsedNs ?? 0n))
      for (const { userdata, elapsedNs } of deadlines) if (elapsedNs <= clock.elapsedNs) ready.push({ userdata, type: SUBSCRIPTION.clock, error: ERRNO.success, bytes: 0 })
      for (const [n, event] of ready.entries()) {
        const at = to + n * SIZE.event
        memory.bytes.fill(0, at, at + SIZE.event)
        memory.setU64(at, event.userdata)
        memory.setU16(at + 8, event.error)
        memory.setU8(at + 10, event.type)
        memory.setNumber(at + 16, event.bytes)
      }
      memory.setU32(unsigned(result), ready.length)
      return ERRNO.success
    }
  }
}

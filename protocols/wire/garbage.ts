import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

/**
 * The memory of received and encrypted chunks lies outside the heap, and V8 frees it only with a collection. Bulk traffic makes few
 * objects and many megabytes, so collections of the young, which would do, never come, and full ones come every 10 to 20 MiB:
 * measured, they take 40 % of both ends' CPU and hold other messages up for 20 ms and more at a time. A young one takes 1 ms.
 */
const COLLECT_EVERY_BYTES = 4 * 1024 * 1024

type Collect = (options: { type: 'minor' }) => void

function isCollect(value: unknown): value is Collect {
  return typeof value === 'function'
}

/** V8's own collector, which a context made under this flag has; undefined in a runtime that does not give it. */
function findCollector(): Collect | undefined {
  try {
    setFlagsFromString('--expose-gc')
    const found: unknown = runInNewContext('gc')
    setFlagsFromString('--no-expose-gc')
    return isCollect(found) ? found : undefined
  } catch {
    return undefined
  }
}

let collector: Collect | undefined | 'unknown' = 'unknown'
let bytes = 0
let isScheduled = false

function collect(): void {
  isScheduled = false
  if (collector === 'unknown') collector = findCollector()
  collector?.({ type: 'minor' })
}

/** Counts bytes that went through a stream in either direction, and has their memory freed now and then. One count for the process. */
export function countTraffic(traffic: number): void {
  bytes += traffic
  if (bytes < COLLECT_EVERY_BYTES || isScheduled) return
  bytes = 0
  isScheduled = true
  // not here, where the newest chunk is still in use
  setImmediate(collect)
}

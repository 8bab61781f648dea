import { execFile } from 'node:child_process'
import { closeSync, openSync, readFileSync, readSync } from 'node:fs'
import { endianness } from 'node:os'

export interface ProcessSample { residentBytes: number, cpuMs: number, parentPid: number }

/** Clock ticks in /proc are this long on every Linux (USER_HZ is 100). */
const TICK_MS = 10
const STAT_BYTES = 1024

/** The kernel's page size, from the auxiliary vector: 4 KiB on most machines, 16 or 64 on some ARM boards. */
function pageBytes(): number {
  const AT_PAGESZ = 6n
  try {
    const vector = readFileSync('/proc/self/auxv')
    const read = (at: number): bigint => endianness() === 'LE' ? vector.readBigUInt64LE(at) : vector.readBigUInt64BE(at)
    for (let at = 0; at + 16 <= vector.length; at += 16) if (read(at) === AT_PAGESZ) return Number(read(at + 8))
  } catch { /* not readable: the common size */ }
  return 4096
}

/** Reads one process's memory and processor time again and again, cheaply: on Linux one `pread` of a file that stays open. */
export class ProcessWatch {
  readonly #pid: number
  #fd = -1
  readonly #pageBytes: number = 4096
  /** The last answer of `ps`, where there is no /proc. */
  #last: ProcessSample | undefined
  #asking = false
  readonly #buffer = Buffer.alloc(STAT_BYTES)

  constructor(pid: number, procfs = process.platform === 'linux') {
    this.#pid = pid
    if (!procfs) return
    this.#pageBytes = pageBytes()
    try { this.#fd = openSync(`/proc/${pid}/stat`, 'r') } catch { /* gone already: no samples */ }
  }

  /** Undefined when the process is gone or the platform cannot say (yet). */
  sample(): ProcessSample | undefined {
    if (this.#fd >= 0) return this.#readStat()
    if (process.platform !== 'win32') this.#ask()
    return this.#last
  }

  close(): void {
    if (this.#fd >= 0) closeSync(this.#fd)
    this.#fd = -1
  }

  #readStat(): ProcessSample | undefined {
    let text: string
    try { text = this.#buffer.toString('latin1', 0, readSync(this.#fd, this.#buffer, 0, STAT_BYTES, 0)) } catch { return undefined }
    // The second field is the program's name in parentheses and may hold anything: count from the last one.
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
    const cpuTicks = Number(fields[11]) + Number(fields[12])
    return { residentBytes: Number(fields[21]) * this.#pageBytes, cpuMs: cpuTicks * TICK_MS, parentPid: Number(fields[1]) }
  }

  #ask(): void {
    if (this.#asking) return
    this.#asking = true
    execFile('ps', ['-o', 'rss=,ppid=,time=', '-p', String(this.#pid)], (err, stdout) => {
      this.#asking = false
      const match = /^\s*(\d+)\s+(\d+)\s+(?:(\d+)-)?(?:(\d+):)?(\d+):(\d+(?:\.\d+)?)\s*$/.exec(stdout)
      if (err !== null || match === null) { this.#last = undefined; return }
      const [, kib, parentPid, days = '0', hours = '0', minutes, seconds] = match
      this.#last = { parentPid: Number(parentPid), residentBytes: Number(kib) * 1024, cpuMs: (((Number(days) * 24 + Number(hours)) * 60 + Number(minutes)) * 60 + Number(seconds)) * 1000 }
    })
  }
}

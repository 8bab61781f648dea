import { MAX_OUT_DEPTH, MAX_OUT_PATH_BYTES, TRAPS } from './limits.ts'
import { isOutName } from './out-name.ts'

/** What a child needs to know; host paths are names in its own run directory. */
export interface ChildSpec {
  args: string[]
  env: Record<string, string>
  stdinBytes: number | undefined
  /** Path below `/in` and size; the file is `in/<index>`. */
  inputs: [path: string, sizeBytes: number][]
  memoryBytes: number
  outBytes: number
  outFiles: number
  logBytes: number
  seedHex: string
  baseTimeMs: number
}

/** One output: a directory, or the file `work/<number>` of the run directory. */
export interface ChildEntry { path: string, file: { number: number, sizeBytes: number } | undefined }

export interface ChildUsage { cpuMs: number, residentBytes: number, memoryBytes: number, stdoutBytes: number, stderrBytes: number }

export type ChildDone =
  | { kind: 'exited', exitCode: number, usage: ChildUsage }
  | { kind: 'trapped', trap: string, detail: string, usage: ChildUsage }
  | { kind: 'abstained', code: `E_${string}`, message: string, usage: ChildUsage }

/** Longest text a child may send for people to read. */
export const MAX_DETAIL_CHARS = 2000

export function encodeEntry({ path, file }: ChildEntry): Buffer {
  const head = Buffer.alloc(13)
  head.writeUInt8(file === undefined ? 0 : 1, 0)
  head.writeUInt32LE(file?.number ?? 0, 1)
  head.writeDoubleLE(file?.sizeBytes ?? 0, 5)
  return Buffer.concat([head, Buffer.from(path)])
}

/** Undefined for anything but a well-formed entry with a path that a program may create. */
export function decodeEntry(body: Buffer): ChildEntry | undefined {
  if (body.length < 14 || body.length > 13 + MAX_OUT_PATH_BYTES) return undefined
  const kind = body.readUInt8(0)
  const number = body.readUInt32LE(1)
  const sizeBytes = body.readDoubleLE(5)
  const bytes = body.subarray(13)
  const path = bytes.toString('utf8')
  if (kind > 1 || !Number.isSafeInteger(sizeBytes) || sizeBytes < 0 || !Buffer.from(path).equals(bytes)) return undefined
  const parts = path.split('/')
  if (parts.length > MAX_OUT_DEPTH || !parts.every(isOutName)) return undefined
  return { path, file: kind === 1 ? { number, sizeBytes } : undefined }
}

const isCount = (value: unknown): value is number => typeof value === 'number' && Number.isFinite(value) && value >= 0 && value <= Number.MAX_SAFE_INTEGER

/** Text for a terminal: printable, and no longer than a screen. */
function plainText(value: unknown): string | undefined {
  return typeof value === 'string' ? value.slice(0, MAX_DETAIL_CHARS).replaceAll(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/g, '?') : undefined
}

function readUsage(value: unknown): ChildUsage | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const { cpuMs, residentBytes, memoryBytes, stdoutBytes, stderrBytes } = value as Record<string, unknown>
  if (!isCount(cpuMs) || !isCount(residentBytes) || !isCount(memoryBytes) || !isCount(stdoutBytes) || !isCount(stderrBytes)) return undefined
  return { cpuMs, residentBytes, memoryBytes, stdoutBytes, stderrBytes }
}

/** Undefined for anything but one of the outcomes a sound child can report. */
export function decodeDone(body: Buffer): ChildDone | undefined {
  let value: unknown
  try { value = JSON.parse(body.toString('utf8')) } catch { return undefined }
  if (typeof value !== 'object' || value === null) return undefined
  const { kind, exitCode, trap, detail, code, message, usage: rawUsage } = value as Record<string, unknown>
  const usage = readUsage(rawUsage)
  if (usage === undefined) return undefined
  if (kind === 'exited' && isCount(exitCode) && Number.isInteger(exitCode) && exitCode < 2 ** 32) return { kind, exitCode, usage }
  const text = plainText(kind === 'trapped' ? detail : message)
  if (text === undefined) return undefined
  if (kind === 'trapped' && typeof trap === 'string' && (TRAPS.some((known) => known === trap) || /^E_MODULE_[A-Z_]{1,32}$/.test(trap))) return { kind, trap, detail: text, usage }
  if (kind === 'abstained' && typeof code === 'string' && /^E_SANDBOX_[A-Z_]{1,32}$/.test(code)) return { kind, code: `E_${code.slice(2)}`, message: text, usage }
  return undefined
}

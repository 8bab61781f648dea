import { open } from 'node:fs/promises'
import { basename } from 'node:path'
import { HearthError } from '../../src/errors.ts'
import { PARAMS } from '../../src/params.ts'
import { formatSize } from '../../src/units.ts'
import type { Local } from './local-source.ts'

const WASM_MAGIC = '0061736d'
const WASM_MODULE_VERSION = '01000000'
const WASM_COMPONENT_LAYER = '0d000100'

/** Throws `E_JOB_MODULE` unless the file begins as a WebAssembly module does; says what it is instead where that is plain. */
export async function checkModule(module: Local, key = 'module'): Promise<void> {
  const fail = (message: string, hint: string): never => { throw new HearthError('E_JOB_MODULE', `${key}: ${module.written} ${message}`, hint) }
  if (module.sizeBytes > PARAMS.maxModuleBytes) fail(`has ${formatSize(module.sizeBytes)}, more than ${formatSize(PARAMS.maxModuleBytes)}`, 'Strip it (wasm-opt --strip-debug), and move data into inputs')
  const text = (await beginningOf(module.path, 8)).toString('hex')
  if (text.startsWith(WASM_MAGIC)) {
    if (text.endsWith(WASM_MODULE_VERSION)) return
    fail(text.endsWith(WASM_COMPONENT_LAYER) ? 'is a WebAssembly component, not a module' : 'is WebAssembly of another version', 'Build it for WASI preview 1 (target wasm32-wasip1)')
  }
  const isElf = text.startsWith('7f454c46')
  const isText = basename(module.path).endsWith('.wat') || text.startsWith('286d6f64')
  fail(module.sizeBytes === 0 ? 'is empty' : isElf ? 'is a program for this machine, not WebAssembly' : isText ? 'is WebAssembly text, not its binary form' : 'is not WebAssembly', isText ? 'Assemble it: wat2wasm' : 'Compile for WASI preview 1, for instance clang --target=wasm32-wasi')
}

/** Magic numbers of what `docker save | gzip`, or zstd, give. */
const COMPRESSED = ['1f8b', '28b52ffd']
const TAR_MAGIC_AT = 257
const TAR_MAGIC = 'ustar'

/** Throws `E_JOB_IMAGE` unless the file begins as an archive does. What it holds is checked where it is loaded. */
export async function checkImage(image: Local): Promise<void> {
  const head = await beginningOf(image.path, TAR_MAGIC_AT + TAR_MAGIC.length)
  if (head.subarray(TAR_MAGIC_AT).toString('latin1') === TAR_MAGIC || COMPRESSED.some((magic) => head.toString('hex').startsWith(magic))) return
  throw new HearthError('E_JOB_IMAGE', `image: ${image.written} ${image.sizeBytes === 0 ? 'is empty' : 'is no tar, plain or packed by gzip or zstd'}`, 'Make one with docker save -o image.tar NAME, or with tar of a root file system')
}

async function beginningOf(path: string, bytes: number): Promise<Buffer> {
  const file = await open(path, 'r')
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(bytes), 0, bytes, 0)
    return buffer.subarray(0, bytesRead)
  } finally {
    await file.close()
  }
}

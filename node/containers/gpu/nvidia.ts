import { PARAMS } from '../../../src/params.ts'
import { MIB } from '../../../src/units.ts'
import { driverName, modelName, plain } from './found.ts'
import type { Found, FoundCard, GpuProblem } from './found.ts'
import { askTool } from './tool.ts'
import type { ToolOptions } from './tool.ts'

const MAX_REASON_CHARS = 160
/** Lines read: cards, and what the tool says of broken ones. */
const MAX_LINES = 4 * PARAMS.maxGpus
const FIELDS = ['uuid', 'name', 'memory.total', 'driver_version']
const MIG_FIELD = 'mig.mode.current'
const FORMAT = '--format=csv,noheader,nounits'
const UUID = /^GPU-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i

function problem(code: GpuProblem['code'], message: string, hint: string): GpuProblem {
  return { code, vendor: 'nvidia', message, hint }
}

/** `[N/A]`, `[Unknown Error]`, `[GPU requires reset]`: what stands for a value that the driver does not have. */
function bracketed(value: string): string | undefined {
  return /^\[(.*)\]$/.exec(value)?.[1]
}

function parseLine(line: string, index: number, withMig: boolean): FoundCard | GpuProblem {
  const tail = withMig ? 3 : 2
  const parts = line.split(',').map((part) => part.trim())
  const uuid = parts[0] ?? ''
  const [memory = '', driver = '', mig = ''] = parts.slice(-tail)
  if (parts.length < tail + 2 || !UUID.test(uuid)) return problem('E_GPU_DRIVER', `nvidia-smi says: ${plain(line, MAX_REASON_CHARS)}`, 'Run `nvidia-smi` to see which card fails; a reboot often brings it back')
  const model = modelName(parts.slice(1, -tail).join(', '), 'NVIDIA GPU')
  if (mig === 'Enabled') return problem('E_GPU_MIG', `${model} is split by MIG, and only whole cards are lent`, `Turn MIG off with: nvidia-smi -i ${uuid} -mig 0`)
  const broken = bracketed(memory)
  if (broken !== undefined && !/^(?:N\/A|Not Supported)$/i.test(broken)) return problem('E_GPU_DRIVER', `${model} does not answer its driver: ${plain(broken, MAX_REASON_CHARS)}`, 'Reboot, and look for "NVRM: Xid" in the log of the kernel if it comes again')
  // a chip that shares the processor's memory has none of its own to name: it serves jobs that ask for no certain amount
  const vramBytes = Math.min(/^\d{1,9}$/.test(memory) ? Number(memory) * MIB : 0, PARAMS.maxMemoryBytes)
  return { id: uuid, index, card: { vendor: 'nvidia', model, vramBytes, driver: bracketed(driver) === undefined ? driverName(driver) : '' } }
}

/**
 * The lines of `nvidia-smi --query-gpu=uuid,name,memory.total,driver_version[,mig.mode.current]`, memory in MiB.
 * A name may hold commas: the other fields are counted from the ends.
 */
export function parseNvidiaCards(stdout: string, withMig: boolean): Found {
  const cards: FoundCard[] = []
  const problems: GpuProblem[] = []
  let index = 0
  for (const line of stdout.split('\n').map((each) => each.trim()).filter((each) => each !== '').slice(0, MAX_LINES)) {
    const parsed = parseLine(line, index, withMig)
    if (line.startsWith('GPU-')) index += 1
    if ('code' in parsed) problems.push(parsed)
    else if (!cards.some(({ id }) => id === parsed.id)) cards.push(parsed)
  }
  return { cards, problems }
}

function failure(exitCode: number, said: string): GpuProblem {
  const reason = plain(said, MAX_REASON_CHARS)
  if (/version mismatch/i.test(said)) return problem('E_GPU_DRIVER', 'the NVIDIA driver was updated while its old version runs', 'Reboot, so that driver and library are of one version')
  if (/couldn't communicate with the NVIDIA driver/i.test(said)) return problem('E_GPU_DRIVER', 'nvidia-smi cannot reach the NVIDIA driver', 'Install the driver for this kernel, then reboot; with Secure Boot its module must be signed')
  return problem('E_GPU_DRIVER', `nvidia-smi failed (exit code ${exitCode})${reason === '' ? '' : `: ${reason}`}`, 'Run `nvidia-smi` yourself, and mend what it says')
}

/** What NVIDIA's driver knows; `asked` is false where its tool is not installed. A tool without cards is no problem. */
export async function findNvidia(options: ToolOptions): Promise<Found & { asked: boolean }> {
  for (const withMig of [true, false]) {
    const answer = await askTool('nvidia-smi', [`--query-gpu=${[...FIELDS, ...withMig ? [MIG_FIELD] : []].join(',')}`, FORMAT], options)
    if (answer.kind === 'absent') return { cards: [], problems: [], asked: false }
    if (answer.kind === 'silent') return { cards: [], problems: [problem('E_GPU_TOOL', answer.reason, 'Run `nvidia-smi` yourself: a driver that hangs needs a reboot')], asked: true }
    const { exitCode, stdout, stderr } = answer
    // drivers before 450 know no MIG
    if (withMig && exitCode !== 0 && /not a valid field/i.test(stdout + stderr)) continue
    if (/No devices were found/i.test(stdout + stderr)) return { cards: [], problems: [], asked: true }
    const found = parseNvidiaCards(stdout, withMig)
    // a lost card is said among the lines of those that work, with an exit code that is not 0
    if (exitCode === 0 || found.cards.length > 0) return { ...found, asked: true }
    return { cards: [], problems: [failure(exitCode, stdout + stderr)], asked: true }
  }
  return { cards: [], problems: [problem('E_GPU_TOOL', 'nvidia-smi does not know the fields that are asked for', 'Update the NVIDIA driver')], asked: true }
}

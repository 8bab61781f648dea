import { arePathsApart, MAX_SECRETS } from '../documents/job.ts'
import { PARAMS } from '../params.ts'
import { formatSize, KIB } from '../units.ts'
import { nearest } from './nearest.ts'
import type { JobSpec } from './spec.ts'
import type { Fault, Problem } from './spec-problems.ts'
import { defaultQuorum, ENV_NAME, MAX_ENV, MAX_INPUTS, placeFault, SECRET_NAME } from './spec-schema.ts'
import type { JobFile } from './spec-schema.ts'
import { exactDuration } from './spec-units.ts'

/** Rules between keys of a job file. Each returns its problems; all are told. */
export function checkRules(file: JobFile): Problem[] {
  return [...engineRules(file), ...secretRules(file), ...resourceRules(file), ...placesRules(file), ...mapRules(file), ...countRules(file), ...compareRules(file), ...placementRules(file), ...sizeRules(file)]
}

function problem(fault: Fault, path: string, message: string, hint: string): Problem {
  return { fault, path, message, hint }
}

const WASM_INSTEAD = {
  entrypoint: 'Use args', command: 'Use args', network: 'WebAssembly programs have no network: remove it', secrets: 'Inputs are read by the hosts; a container can be given secrets',
  registryLogin: 'Remove it', imageSignatures: 'Remove it'
} as const

function secretRules(file: JobFile): Problem[] {
  const names = Object.keys(file.secrets ?? {})
  const found = names.filter((name) => !SECRET_NAME.test(name)).map((name) => problem('VALUE', 'secrets', `secrets: "${name}" is not a plain name`, 'Use letters, digits, "_", "-" and "."'))
  if (names.length > MAX_SECRETS) found.push(problem('RANGE', 'secrets', `secrets has ${names.length} entries, more than ${MAX_SECRETS}`, 'Put several into one file'))
  if (file.registryLogin === undefined) return found
  if (!names.includes(file.registryLogin)) found.push(problem('CONFLICT', 'registryLogin', `registryLogin names "${file.registryLogin}", which is none of the secrets`, `Add it: secrets: { ${file.registryLogin}: login.txt }, a file with name:password`))
  if (file.image?.kind !== 'registry') found.push(problem('CONFLICT', 'registryLogin', 'registryLogin is given, but the image comes from no registry', 'Remove it'))
  return found
}

function engineRules(file: JobFile): Problem[] {
  const { module, image } = file
  if (module === undefined && image === undefined) {
    return [file.engine === 'container'
      ? problem('MISSING', 'image', 'image is missing', 'Name the container\'s image: image: name@sha256:…, or the path of an archive')
      : problem('MISSING', 'module', 'module is missing', 'Name the program: module: path/to/program.wasm (or image: for a container)')]
  }
  if (module !== undefined && image !== undefined) return [problem('CONFLICT', 'image', 'both module and image are given', 'A job runs one program: keep one of the two')]
  const kind = module === undefined ? 'container' : 'wasm'
  if (file.engine !== undefined && file.engine !== kind) {
    return [problem('CONFLICT', 'engine', `engine is ${file.engine}, but ${kind === 'wasm' ? 'a module' : 'an image'} is given`, kind === 'wasm' ? 'Remove engine, or give an image' : 'Remove engine, or give a module')]
  }
  const found: Problem[] = []
  if (kind === 'wasm') {
    for (const key of ['entrypoint', 'command', 'network', 'secrets', 'registryLogin', 'imageSignatures'] as const) if (file[key] !== undefined) found.push(problem('CONFLICT', key, `${key} is for containers, and this is a wasm job`, WASM_INSTEAD[key]))
  }
  if (file.args !== undefined && file.command !== undefined) found.push(problem('CONFLICT', 'command', 'both args and command are given', 'They are two words for one thing: keep one'))
  return found
}

function resourceRules(file: JobFile): Problem[] {
  const { cores, memory, gpu } = file.resources ?? {}
  const found: Problem[] = []
  const vendors = file.placement?.hardware?.gpuVendors ?? []
  if (vendors.length > 0 && gpu === undefined) found.push(problem('CONFLICT', 'placement.hardware.gpuVendors', 'placement.hardware.gpuVendors is given, but no gpu is asked for', 'Add resources.gpu, or remove it'))
  if (vendors.length > 0 && gpu?.vendor !== undefined && !vendors.includes(gpu.vendor)) found.push(problem('CONFLICT', 'resources.gpu.vendor', `resources.gpu.vendor is ${gpu.vendor}, which placement.hardware.gpuVendors leaves out`, 'Keep one of the two'))
  if (file.module === undefined) return found
  if (cores !== undefined && cores !== 1) found.push(problem('RANGE', 'resources.cores', `resources.cores is ${cores}, but a wasm task runs on one core`, 'Use map to split the work into many tasks'))
  if (memory !== undefined && memory > PARAMS.maxWasmMemoryBytes) found.push(problem('RANGE', 'resources.memory', `resources.memory is ${formatSize(memory)}, more than the 4 GiB that WebAssembly can address`, 'Write "4 GiB" or less'))
  if (gpu !== undefined) found.push(problem('CONFLICT', 'resources.gpu', 'resources.gpu is given, but a wasm task can not use a graphics card', 'Use a container: image instead of module'))
  return found
}

function placesRules(file: JobFile): Problem[] {
  const found: Problem[] = []
  const places = Object.keys(file.inputs ?? {})
  if (places.length > MAX_INPUTS) found.push(problem('RANGE', 'inputs', `inputs has ${places.length} entries, more than ${MAX_INPUTS}`, 'Put the files into one folder and name that'))
  for (const place of places) {
    const hint = placeFault(place, '/in')
    if (hint !== undefined) found.push(problem('PATH', `inputs.${place}`, `inputs: "${place}" is not a place below /in`, hint))
  }
  if (!arePathsApart(places)) {
    const [inner = '', outer = ''] = places.flatMap((place) => places.filter((other) => place.startsWith(`${other}/`)).map((other) => [place, other]))[0] ?? []
    found.push(problem('CONFLICT', 'inputs', `inputs: "${inner}" lies inside the input "${outer}"`, 'Give each input a place of its own'))
  }
  const outputs = file.outputs ?? []
  for (const output of duplicates(outputs)) found.push(problem('DUPLICATE', 'outputs', `outputs names "${output}" twice`, 'Remove one'))
  const names = Object.keys(file.env ?? {})
  if (names.length > MAX_ENV) found.push(problem('RANGE', 'env', `env has ${names.length} variables, more than ${MAX_ENV}`, 'Put the data into an input file'))
  for (const name of names) if (!ENV_NAME.test(name)) found.push(problem('VALUE', 'env', `env: "${name}" is not a variable's name`, 'Use letters, digits and _, not beginning with a digit'))
  return found
}

function duplicates(items: readonly string[]): string[] {
  return [...new Set(items.filter((item, i) => items.indexOf(item) !== i))]
}

const PLACEHOLDERS = ['index', 'item', 'item.name'] as const
const PLACEHOLDER = /\{([A-Za-z_][A-Za-z0-9_.]*)\}/g

/**
 * With a map, whatever looks like a placeholder must be one; without, only what is (nearly) one of ours is refused, so that
 * `awk '{print}'` stays what it is.
 */
function templateRules(file: JobFile): Problem[] {
  const texts: [string, string][] = [
    ...(file.args ?? file.command ?? []).map((arg, i): [string, string] => [`${file.args === undefined ? 'command' : 'args'}[${i}]`, arg]),
    ...Object.entries(file.env ?? {}).map(([name, value]): [string, string] => [`env.${name}`, value]),
    ...(file.compare?.args ?? []).map((arg, i): [string, string] => [`compare.args[${i}]`, arg])
  ]
  return texts.flatMap(([path, text]) => [...text.matchAll(PLACEHOLDER)].flatMap(([whole, name = '']) => {
    const isKnown = (PLACEHOLDERS as readonly string[]).includes(name)
    const near = isKnown ? name : nearest(name, PLACEHOLDERS)
    if (file.map === undefined) return near === undefined ? [] : [problem('TEMPLATE', path, `${path} uses ${whole}, but the job has no map`, 'Add map, which gives each task its item, or remove the placeholder')]
    if (isKnown) return []
    return [problem('TEMPLATE', path, `${path} uses ${whole}, which is not a placeholder`, near === undefined ? 'Placeholders are {index}, {item} and {item.name}; for a literal brace put a space after it' : `Did you mean "{${near}}"?`)]
  }))
}

function mapRules(file: JobFile): Problem[] {
  const found = templateRules(file)
  if (file.map === undefined) return found
  const given = (['range', 'list', 'files'] as const).filter((key) => file.map?.[key] !== undefined)
  if (given.length === 0) found.unshift(problem('MISSING', 'map', 'map is empty', 'Give it a range, a list or files'))
  if (given.length > 1) found.unshift(problem('CONFLICT', 'map', `map has ${given.join(' and ')}`, 'Keep one of them'))
  if (file.map.list?.length === 0) found.unshift(problem('RANGE', 'map.list', 'map.list is empty', 'Add an entry: each becomes a task'))
  if (file.map.files?.kind === 'cid') found.unshift(problem('PATH', 'map.files', 'map.files must be a folder here, not a cid', 'Write a path relative to the job file'))
  return found
}

function countRules(file: JobFile): Problem[] {
  const found: Problem[] = []
  const { replicas, quorum } = file
  if (replicas !== undefined && quorum !== undefined && quorum > replicas) found.push(problem('CONFLICT', 'quorum', `quorum is ${quorum}, more than the ${replicas} replicas`, `Write replicas: ${quorum}, or a smaller quorum`))
  if (file.adaptive === true && (quorum ?? defaultQuorum(replicas ?? 1)) < 2) found.push(problem('CONFLICT', 'adaptive', 'adaptive is true, but the quorum is 1 already', 'Ask for replicas: 3, or remove adaptive'))
  const { queue, run, total } = file.limits ?? {}
  for (const [key, value] of [['queue', queue], ['run', run]] as const) {
    if (total !== undefined && value !== undefined && value > total) found.push(problem('CONFLICT', `limits.${key}`, `limits.${key} is ${exactDuration(value)}, longer than limits.total, ${exactDuration(total)}`, 'Make limits.total the longest'))
  }
  return found
}

function compareRules({ compare, segments }: JobFile): Problem[] {
  if (compare === undefined) return []
  if (compare.with === undefined && compare.verify === undefined) return [problem('MISSING', 'compare', 'compare names no program', 'Give it with, a program that compares two results, or verify, one that checks a single one')]
  if (compare.with !== undefined && compare.verify !== undefined) return [problem('CONFLICT', 'compare', 'compare has with and verify', 'Keep one of them')]
  return compare.verify !== undefined && segments !== undefined ? [problem('CONFLICT', 'segments', 'segments is given, but compare.verify judges each result by itself', 'Remove one of the two')] : []
}

function placementRules(file: JobFile): Problem[] {
  const { allow = [], deny = [], regions = [], providers = [] } = file.placement ?? {}
  const found: Problem[] = []
  const vendors = file.placement?.hardware?.gpuVendors ?? []
  for (const [key, items] of [['allow', allow], ['deny', deny], ['regions', regions], ['providers', providers], ['hardware.gpuVendors', vendors]] as const) {
    for (const item of duplicates(items)) found.push(problem('DUPLICATE', `placement.${key}`, `placement.${key} names ${item} twice`, 'Remove one'))
  }
  for (const peer of allow.filter((item) => deny.includes(item))) found.push(problem('CONFLICT', 'placement.deny', `placement allows and denies ${peer}`, 'Remove it from one of the two'))
  const wanted = file.quorum ?? defaultQuorum(file.replicas ?? 1)
  const enough = providers.length > 0 || allow.length === 0 || allow.length >= wanted
  if (!enough && found.length === 0) found.push(problem('CONFLICT', 'placement.allow', `placement.allow names ${allow.length} ${allow.length === 1 ? 'host' : 'hosts'}, but ${wanted} different ones must agree`, 'Allow more hosts, or ask for fewer replicas'))
  return found
}

/** Room left for all that is not text: about what the longest fixed part of a document takes. */
const FIXED_BYTES = 128 * KIB
/** A link with its size, kind and keys. */
const INPUT_BYTES = 128

/** Texts may not add up to more than a job document holds. Files of a map are counted when they are read. */
function sizeRules(file: JobFile): Problem[] {
  const encoder = new TextEncoder()
  const bytesOf = (texts: readonly string[]): number => texts.reduce((sum, text) => sum + encoder.encode(text).length + 5, 0)
  const parts: [string, number][] = [
    ['map.list', bytesOf(file.map?.list ?? [])],
    ['args', bytesOf([...(file.args ?? []), ...(file.command ?? []), ...(file.entrypoint ?? []), ...(file.compare?.args ?? [])])],
    ['env', bytesOf(Object.entries(file.env ?? {}).flat())],
    ['inputs', bytesOf(Object.keys(file.inputs ?? {})) + Object.keys(file.inputs ?? {}).length * INPUT_BYTES],
    ['outputs', bytesOf(file.outputs ?? [])]
  ]
  const total = parts.reduce((sum, [, bytes]) => sum + bytes, 0)
  const most = PARAMS.maxJobBytes - FIXED_BYTES
  if (total <= most) return []
  const [largest] = parts.toSorted((a, b) => b[1] - a[1])
  return [problem('SIZE', largest?.[0] ?? '', `the job's texts have ${formatSize(total)}, more than the ${formatSize(most)} that a job may hold`, `Shorten ${largest?.[0] ?? 'it'}: put the data into an input file`)]
}

/** What is legal but perhaps not meant. */
export function warningsOf(spec: JobSpec): string[] {
  const found: string[] = []
  const texts = [...spec.args, ...Object.values(spec.env)]
  if (spec.map !== undefined && !texts.some((text) => /\{(index|item|item\.name)\}/.test(text))) {
    found.push(spec.map.kind === 'files'
      ? 'No argument or variable uses {item}: each task must find its file below /in by itself'
      : 'No argument or variable uses {index} or {item}: all tasks of the map do the same')
  }
  const { replicas, quorum } = spec.replication
  if (quorum === 1 && spec.replication.spotCheckShare === 0) {
    if (spec.compare?.by === 'program') found.push('compare.with is of no use where one result is enough: ask for replicas: 2')
    if (spec.segments !== undefined) found.push('segments is of no use where one result is enough: ask for replicas: 2')
  }
  if (replicas > 1 && quorum === 1) found.push(`The first of ${replicas} results is taken unchecked: a quorum of 2 would compare them`)
  return found
}

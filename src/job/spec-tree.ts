/** A job over a list of 10,000 items is the largest thing people write. */
const MAX_NODES = 100_000
const MAX_DEPTH = 32

export interface TreeFault { path: (string | number)[], message: string, hint: string }

/**
 * What makes a value other than plain data of a bounded size (as YAML or JSON hold it), or undefined. A program may hand us
 * anything: a Date, a cycle, or a million items would else fail somewhere deep, or be taken for something it is not.
 */
export function faultOfTree(root: unknown): TreeFault | undefined {
  let nodes = 0
  const walk = (value: unknown, path: (string | number)[]): TreeFault | undefined => {
    if (++nodes > MAX_NODES || path.length > MAX_DEPTH) return { path: [], message: `holds more than ${MAX_NODES} values, or nests more than ${MAX_DEPTH} deep`, hint: 'Split it, or put the data into an input file' }
    if (Array.isArray(value)) return firstFault(value.keys(), (i) => walk(value[i], [...path, i]))
    if (value === null || typeof value === 'string' || typeof value === 'boolean') return undefined
    if (typeof value === 'number') return Number.isFinite(value) ? undefined : { path, message: `${value} is not a number that can be used`, hint: 'Write a finite number' }
    if (typeof value !== 'object' || !isPlain(value)) return { path, message: 'is not plain data', hint: 'Use only texts, numbers, booleans, lists and plain objects' }
    const entries = Object.entries(value).filter(([, child]) => child !== undefined)
    return firstFault(entries, ([key, child]) => key === '__proto__' ? { path, message: '"__proto__" can not be a key', hint: 'Remove it' } : walk(child, [...path, key]))
  }
  return walk(root, [])
}

function firstFault<T>(items: Iterable<T>, check: (item: T) => TreeFault | undefined): TreeFault | undefined {
  for (const item of items) {
    const fault = check(item)
    if (fault !== undefined) return fault
  }
  return undefined
}

function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === null || prototype === Object.prototype
}

import { isRecord } from './layers.ts'
import type { Layer } from './layers.ts'

export interface Merged {
  tree: Record<string, unknown>
  /** The layer that decided the key at a path, deletions included. */
  sourceOf: (path: string) => Layer | undefined
}

/**
 * Later layers over earlier ones: keys in keys are merged however deep, everything else (false, 0 and lists too) is
 * replaced, and `null` deletes. Nothing of a layer is changed.
 */
export function merge(layers: readonly Layer[]): Merged {
  const sources = new Map<string, Layer>()
  let tree: Record<string, unknown> = {}
  for (const layer of layers) tree = overlay(tree, layer.tree, '', layer, sources)
  return {
    tree,
    sourceOf: (path) => {
      for (let key = path; key !== ''; key = key.slice(0, Math.max(0, key.search(/[.[][^.[]*$/)))) {
        const source = sources.get(key)
        if (source !== undefined) return source
      }
      return undefined
    }
  }
}

function overlay(below: Readonly<Record<string, unknown>>, above: Readonly<Record<string, unknown>>, base: string, layer: Layer, sources: Map<string, Layer>): Record<string, unknown> {
  const result = { ...below }
  for (const [key, value] of Object.entries(above)) {
    const path = base === '' ? key : `${base}.${key}`
    const under = Object.hasOwn(below, key) ? below[key] : undefined
    if (isRecord(value)) {
      sources.set(path, layer)
      result[key] = overlay(isRecord(under) ? under : {}, value, path, layer, sources)
      continue
    }
    for (const known of sources.keys()) if (known.startsWith(`${path}.`)) sources.delete(known)
    sources.set(path, layer)
    if (value === null || value === undefined) delete result[key]
    else result[key] = value
  }
  return result
}

import { HearthError } from '../../src/errors.ts'
import { nearest } from '../../src/job/nearest.ts'
import type { JobSpec } from '../../src/job/spec.ts'
import type { JobDocument } from '../../src/documents/job.ts'

/** What a placement's `allow` holds at most, sets included. */
const MAX_ALLOWED = 256

/**
 * The document's placement: named sets become part of `allow`, without those denied.
 * Throws `E_JOB_PROVIDERS` for a set that is not configured, or when nobody is left.
 */
export function resolvePlacement(placement: JobSpec['placement'], sets: Readonly<Record<string, readonly string[]>>): JobDocument['placement'] {
  const { providers, ...rest } = placement
  if (providers === undefined) return rest
  const named = providers.flatMap((name) => {
    if (Object.hasOwn(sets, name)) return sets[name] ?? []
    const meant = nearest(name, Object.keys(sets))
    const known = Object.keys(sets)
    throw new HearthError('E_JOB_PROVIDERS', `placement.providers: there is no provider set "${name}"`,
      meant !== undefined ? `Did you mean "${meant}"?` : known.length === 0 ? 'Name sets in the configuration: requester.providerSets' : `Sets in the configuration: ${known.join(', ')}`)
  })
  const denied = new Set(rest.deny)
  const allow = [...new Set([...rest.allow ?? [], ...named])].filter((peer) => !denied.has(peer))
  if (allow.length === 0) throw new HearthError('E_JOB_PROVIDERS', `placement.providers: ${providers.join(' and ')} hold nobody whom the job does not deny`, 'Add hosts to the set in the configuration: requester.providerSets')
  if (allow.length > MAX_ALLOWED) throw new HearthError('E_JOB_PROVIDERS', `placement.providers: ${allow.length} hosts, more than ${MAX_ALLOWED}`, 'Name smaller sets')
  return { ...rest, allow }
}

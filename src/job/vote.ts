/** One revealed result of a task: who, and the hash of what, or of the first result that equals it. `partial`: of a part of it alone. */
export interface Vote { provider: string, hash: string, partial?: true }

export type Tally =
  /** At least `quorum` providers agree, and more than on anything else. */
  | { kind: 'accepted', hash: string, winners: string[], losers: string[] }
  /** This many more votes are needed at least. */
  | { kind: 'open', missing: number }

/**
 * m-first voting: the first result that `quorum` distinct providers gave is accepted. Votes of one round come at once, so
 * two results can reach the quorum together: then one more vote decides. A provider that voted twice counts once, with its
 * first vote. Source of the error bound: Sarmenta 2002; with a share phi of providers that agree on
 * a lie, error = sum over j = m .. 2m-1 of C(2m-1, j) phi^j (1-phi)^(2m-1-j).
 *
 * A partial vote counts for the whole result whose part it confirms: it refutes the others there, so that, were that result
 * wrong elsewhere, all who voted otherwise would be liars too, as many as the bound has. It wins nothing by itself, since
 * nobody has the rest, but stands against what it differs from.
 */
export function tally(votes: readonly Vote[], quorum: number): Tally {
  const voters = new Map<string, string>()
  const whole = new Set<string>()
  for (const vote of votes) {
    if (voters.has(vote.provider)) continue
    voters.set(vote.provider, vote.hash)
    if (vote.partial !== true) whole.add(vote.hash)
  }
  const groups = new Map<string, string[]>()
  for (const [provider, hash] of voters) groups.set(hash, [...groups.get(hash) ?? [], provider])
  const sorted = [...groups].sort(([, a], [, b]) => b.length - a.length)
  const first = sorted.find(([hash]) => whole.has(hash))
  const rival = Math.max(0, ...sorted.flatMap((group) => group === first ? [] : [group[1].length]))
  if (first === undefined) return { kind: 'open', missing: quorum }
  const [hash, winners] = first
  if (winners.length < quorum) return { kind: 'open', missing: quorum - winners.length }
  if (rival >= winners.length) return { kind: 'open', missing: rival - winners.length + 1 }
  return { kind: 'accepted', hash, winners, losers: [...voters.keys()].filter((provider) => voters.get(provider) !== hash) }
}

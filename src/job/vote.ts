/** One revealed result of a task: who, and the hash of what. */
export interface Vote { provider: string, hash: string }

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
 */
export function tally(votes: readonly Vote[], quorum: number): Tally {
  const voters = new Map<string, string>()
  for (const vote of votes) if (!voters.has(vote.provider)) voters.set(vote.provider, vote.hash)
  const groups = new Map<string, string[]>()
  for (const [provider, hash] of voters) groups.set(hash, [...groups.get(hash) ?? [], provider])
  const [first, second] = [...groups].sort(([, a], [, b]) => b.length - a.length)
  if (first === undefined) return { kind: 'open', missing: quorum }
  const [hash, winners] = first
  if (winners.length < quorum) return { kind: 'open', missing: quorum - winners.length }
  if (second !== undefined && second[1].length === winners.length) return { kind: 'open', missing: 1 }
  return { kind: 'accepted', hash, winners, losers: [...voters.keys()].filter((provider) => voters.get(provider) !== hash) }
}

/** One revealed result of a task: who, and the hash of what. */
export interface Vote { provider: string, hash: string }

export type Tally =
  /** At least `quorum` providers agree. */
  | { kind: 'accepted', hash: string, winners: string[], losers: string[] }
  /** The largest group lacks this many more. */
  | { kind: 'open', missing: number }

/**
 * m-first voting: the first result that `quorum` distinct providers gave is accepted. A provider that voted twice
 * counts once, with its first vote. Source of the error bound: Sarmenta 2002; with a share phi of providers that agree on
 * a lie, error = sum over j = m .. 2m-1 of C(2m-1, j) phi^j (1-phi)^(2m-1-j).
 */
export function tally(votes: readonly Vote[], quorum: number): Tally {
  const voters = new Map<string, string>()
  for (const vote of votes) if (!voters.has(vote.provider)) voters.set(vote.provider, vote.hash)
  const groups = new Map<string, string[]>()
  for (const [provider, hash] of voters) groups.set(hash, [...groups.get(hash) ?? [], provider])
  let largest = 0
  for (const [hash, winners] of groups) {
    if (winners.length >= quorum) {
      return { kind: 'accepted', hash, winners, losers: [...voters.keys()].filter((provider) => voters.get(provider) !== hash) }
    }
    largest = Math.max(largest, winners.length)
  }
  return { kind: 'open', missing: quorum - largest }
}

/** How a simulated peer treats others. All run the same `Peer`; the rest of the computer, or its owner, does the harm. */
export type Behaviour =
  | { kind: 'honest' }
  /** Gives a wrong result for this share of tasks; those of one ring tell the same lie, without a ring each its own. */
  | { kind: 'liar', share: number, ring?: number }
  /** Commits, and never shows what to. */
  | { kind: 'mute' }
  /** Reveals something other than it committed to, for this share of tasks. */
  | { kind: 'two-faced', share: number }
  /** Agrees, then says nothing more. */
  | { kind: 'silent' }
  /** Bids, then refuses every proposal. */
  | { kind: 'refuser' }
  /** Runs take this many times as long. */
  | { kind: 'straggler', factor: number }
  /** This share of its runs fails by its own trouble; `blames` tells that it blames the program. */
  | { kind: 'flaky', share: number, blames: boolean }
  /** Bids for this many times the slots it has. */
  | { kind: 'overbidder', factor: number }
  /** Hears every message there is, and says this share of them again in its own name. */
  | { kind: 'forger', share: number }
  /** Loses power during this share of its runs. */
  | { kind: 'crasher', share: number, downMs: number }
  /** Pays this many tickets of its life, then none. */
  | { kind: 'deadbeat', afterTickets: number }
  /** This share of its tickets has a field changed to its advantage, signed all the same. */
  | { kind: 'counterfeiter', share: number }
  /** Signs two tickets for one commit. */
  | { kind: 'double-signer' }
  /** Takes its deposit and bond out of the contract from then on. */
  | { kind: 'withdrawer', atMs: number }
  /** Signs on as if its deposit had no end, and adds nothing to it. */
  | { kind: 'overdrawer' }
  /** Claims all the work that its slots could have done, and delivers none. */
  | { kind: 'claimant' }
  /** Takes tickets and never says so. */
  | { kind: 'unacknowledging' }
  /** After each ticket that lost it claims to have lost it in a crash, so that it would be drawn again. */
  | { kind: 'redrawer' }
  /** Offers a commit again that has a ticket. */
  | { kind: 'recommitter' }
  /** Puts its one bond behind every agreement, as if there were no other. */
  | { kind: 'overexposer' }

/** Its own results are always true: it must never be found wrong. */
export function tellsTruth({ kind }: Behaviour): boolean {
  return kind !== 'liar' && kind !== 'two-faced'
}

/** A job can count on it in the long run. */
export function isReliable({ kind }: Behaviour): boolean {
  return kind === 'honest' || kind === 'straggler'
}

const PAYER_CHEATS: ReadonlySet<Behaviour['kind']> = new Set(['deadbeat', 'counterfeiter', 'double-signer', 'withdrawer', 'overdrawer', 'forger'])
const PROVIDER_CHEATS: ReadonlySet<Behaviour['kind']> = new Set(['liar', 'mute', 'two-faced', 'silent', 'refuser', 'overbidder', 'claimant', 'unacknowledging', 'redrawer', 'recommitter', 'overexposer', 'forger'])

/** As one who pays it keeps to the rules. */
export function paysHonestly({ kind }: Behaviour): boolean {
  return !PAYER_CHEATS.has(kind)
}

/** As one who is paid it keeps to the rules, though its computer may fail it. */
export function earnsHonestly({ kind }: Behaviour): boolean {
  return !PROVIDER_CHEATS.has(kind)
}

import { SECOND_MS, MINUTE_MS, DAY_MS, MIB, KIB, GIB, TIB } from './units.ts'

/**
 * What peers must agree on: bounds and deadlines of the protocol. Hashed into `paramsHash`, which every agreement names,
 * so two peers with other params never start a job. Node configuration is elsewhere: nothing here is anyone's taste.
 */
export const PARAMS = {
  protocolVersion: 1,

  // Documents. A frame stays below the 4 MiB at which a libp2p byte stream aborts, so each cap does too.
  maxJobBytes: MIB,
  maxOfferBytes: 8 * KIB,
  maxAdBytes: 4 * KIB,
  maxMessageBytes: 64 * KIB,
  /** A result up to these sizes may travel inside the message that reveals it. */
  maxInlineBytes: 16 * KIB,
  maxInlineBlocks: 16,
  maxTasks: 10_000,
  maxReplicas: 16,

  // A job's resources and times: far beyond a home PC, small enough that sums stay exact.
  maxCores: 1024,
  maxMemoryBytes: 4 * TIB,
  maxDiskBytes: 16 * TIB,
  maxGpus: 16,
  maxModuleBytes: 64 * MIB,
  maxInputBytes: 16 * TIB,
  /** Hosts time a run by one timer, which goes up to 2^31 ms. */
  maxRunMs: 24 * DAY_MS,
  maxTotalMs: 90 * DAY_MS,
  maxLogBytes: 16 * MIB,
  minMemoryBytes: MIB,
  maxWasmMemoryBytes: 4 * GIB,

  // Market. A bid reserves nothing, so it may not live long.
  bidLifeMs: 30 * SECOND_MS,
  adLifeMs: 90 * SECOND_MS,
  offerLifeMs: 30 * SECOND_MS,
  acceptWithinMs: 3 * SECOND_MS,
  /** Clocks of honest peers may differ by this much. */
  clockSkewMs: 120 * SECOND_MS,

  // Leases. A provider that is silent for the first is asked; for the second is lost.
  beatMs: 5 * SECOND_MS,
  silenceMs: 15 * SECOND_MS,
  /** A broken connection may come back within this before its leases move. */
  reconnectMs: 3 * SECOND_MS,
  revealWithinMs: 10 * SECOND_MS,
  agreementIdleMs: 60 * SECOND_MS,
  /** How long a provider keeps an unsettled result for a requester that is away. */
  keepResultMs: 10 * MINUTE_MS
} as const

/** `paramsHash` is the SHA-256 of this text: sorted names and values, one a line. */
export const PARAMS_TEXT = Object.entries(PARAMS).map(([name, value]) => `${name}=${value}\n`).sort().join('')

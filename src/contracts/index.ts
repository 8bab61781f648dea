/**
 * What others need of the contracts: names, ABIs and creation code. The chain client brings its own library to use them.
 * Both brokers have the same functions; only the constructor and where the money comes from differ.
 */
export { NativeTicketBroker } from './generated/NativeTicketBroker.ts'
export { TokenTicketBroker } from './generated/TokenTicketBroker.ts'

/** `enum Bucket` of Ledger.sol. */
export const BUCKET = { deposit: 0, bond: 1, jobBond: 2 } as const

/** `enum Refusal` of Tickets.sol, by its number: why a ticket is not paid. */
export const REFUSALS = ['none', 'used', 'lost', 'expired', 'tooFarAhead', 'wrongSignature', 'underfunded'] as const
export type TicketRefusal = typeof REFUSALS[number]

/** The EIP-712 domain of a broker, but for the chain id and its address. */
export const DOMAIN_NAME = 'Hearth'
export const DOMAIN_VERSION = '1'

/**
 * The chain, for the node: load this with `await import()` and only where a chain is configured. It brings ethers along.
 * The local chain, `devnet.ts`, is loaded apart: it brings ethers' wallets too.
 */
export { Accounts } from './accounts.ts'
export type { AccountAction, ActionEstimate, ActionOutcome, ActOptions, Balances } from './accounts.ts'
export { parseAddress } from './address.ts'
export { COIN, formatAmount, formatWhen, parseAmount } from './amounts.ts'
export type { Asset } from './amounts.ts'
export type { Block } from './block.ts'
export type { BrokerTerms, Bucket, Holdings, Unlock } from './broker.ts'
export { ChainClient } from './client.ts'
export type { ChainOptions, ChainStatus } from './client.ts'
export { separatorOf } from './connect.ts'
export type { BrokerFacts, Deployment } from './connect.ts'
export { DEFAULT_TERMS, deploy, keySigner } from './deploy.ts'
export type { Deployed, DeployOptions, DeployTerms } from './deploy.ts'
export type { GasCaps } from './fees.ts'
export type { MoneySigner } from './signing.ts'
export type { AccountSnapshot, SeenSnapshot } from './snapshots.ts'
export { memoryStore } from './store.ts'
export type { ChainStore } from './store.ts'
export type { RedemptionReport, Winner } from './winners.ts'

/** Brokers for tests: deploying them, signing for them with ethers, calling them and reading what they say. */
import { AbiCoder, Interface, Signature, Wallet, concat, getAddress, hexlify, keccak256 } from 'ethers'
import type { InterfaceAbi, Result, TypedDataDomain, TypedDataField } from 'ethers'
import { NativeTicketBroker, REFUSALS, TokenTicketBroker } from '../../src/contracts/index.ts'
import { RpcError } from '../helpers/rpc.ts'
import type { Chain, Log, Receipt } from './anvil.ts'
import type { SeededRandom } from '../helpers/seeded.ts'

export const coder = AbiCoder.defaultAbiCoder()
export const HOUR = 3600
export const DAY = 24 * HOUR
export const TERMS = { delay: 7 * DAY, grace: DAY, feeBps: 0, feeRecipient: `0x${'00'.repeat(20)}` }
export type Terms = typeof TERMS
export const ALWAYS = 2n ** 64n - 1n
export const ZERO_ADDRESS = `0x${'00'.repeat(20)}`

export interface Ticket { payer: string, payee: string, faceValue: bigint, winProb: bigint, expiry: bigint, commit: string, salt: string, context: string }
/** `struct Winner` of Tickets.sol. */
export interface Winner { payer: string, payee: string, faceValue: bigint, winProb: bigint, expiry: bigint, rand: string, salt: string, context: string, r: string, s: string, v: number }

/** A signed ticket and its opened secret, as the contract takes them. */
export function opened(ticket: Ticket, rand: string, signature: string): Winner {
  const { r, s, v } = Signature.from(signature)
  const { commit: _, ...rest } = ticket
  return { ...rest, rand, r, s, v }
}

/** The ticket that a winner came from. */
export function ticketOf(winner: Winner): Ticket {
  const { payer, payee, faceValue, winProb, expiry, rand, salt, context } = winner
  return { payer, payee, faceValue, winProb, expiry, commit: commitOf(rand), salt, context }
}

export const TICKET_TYPES: Record<string, TypedDataField[]> = {
  Ticket: [
    { name: 'payer', type: 'address' }, { name: 'payee', type: 'address' }, { name: 'faceValue', type: 'uint128' }, { name: 'winProb', type: 'uint64' },
    { name: 'expiry', type: 'uint64' }, { name: 'commit', type: 'bytes32' }, { name: 'salt', type: 'bytes32' }, { name: 'context', type: 'bytes32' }
  ]
}
const party = [{ name: 'agreement', type: 'bytes32' }, { name: 'provider', type: 'address' }, { name: 'requester', type: 'address' }]
export const REFUND_TYPES: Record<string, TypedDataField[]> = { Refund: [...party, { name: 'amount', type: 'uint128' }, { name: 'expiry', type: 'uint64' }] }
export const STATEMENT_TYPES: Record<string, TypedDataField[]> = { Statement: [...party, { name: 'sequence', type: 'uint64' }, { name: 'paid', type: 'uint128' }] }

/** Keys that are the same in every run. */
export function walletOf(name: string): Wallet {
  return new Wallet(keccak256(new TextEncoder().encode(`hearth test key ${name}`)))
}

export const randomBytes32 = (random: SeededRandom): string => hexlify(random.bytes(32))
export const commitOf = (rand: string): string => keccak256(coder.encode(['bytes32'], [rand]))

/** The draw as PAYMENT.md has it, by ethers' hashing. */
export function wins(digest: string, rand: string, winProb: bigint): boolean {
  return BigInt(keccak256(concat([rand, digest]))) >> 192n <= winProb
}

/** A contract answered with a typed error, or with none. */
export class Reverted extends Error {
  readonly reason: string
  readonly args: Result | undefined
  constructor(reason: string, args?: Result) {
    super(args === undefined || args.length === 0 ? reason : `${reason}(${args.join(', ')})`)
    this.reason = reason
    this.args = args
  }
}

/** The same promise, with a contract's refusal as `Reverted`. */
async function typed<T>(abi: Interface, promise: Promise<T>): Promise<T> {
  try {
    return await promise
  } catch (err) {
    if (!(err instanceof RpcError) || err.data === undefined) throw err
    const parsed = err.data === '0x' ? null : abi.parseError(err.data)
    throw parsed === null ? new Reverted(err.message) : new Reverted(parsed.name, parsed.args)
  }
}

/** A contract at an address, called by name. */
export class At {
  readonly chain: Chain
  readonly address: string
  readonly abi: Interface
  constructor(chain: Chain, address: string, abi: Interface | InterfaceAbi) {
    this.chain = chain
    this.address = getAddress(address)
    this.abi = abi instanceof Interface ? abi : new Interface(abi)
  }

  encode(name: string, args: unknown[] = []): string {
    return this.abi.encodeFunctionData(name, args)
  }

  /** The first value that a function returns. */
  async read(name: string, args: unknown[] = [], from?: string): Promise<Result> {
    const data = await typed(this.abi, this.chain.call({ to: this.address, data: this.encode(name, args), ...from === undefined ? {} : { from } }))
    return this.abi.decodeFunctionResult(name, data)
  }

  /** Mines a call; throws `Reverted` when the contract refuses. */
  send(from: string, name: string, args: unknown[] = [], value = 0n): Promise<Receipt> {
    return typed(this.abi, this.chain.send({ from, to: this.address, data: this.encode(name, args), value }))
  }

  /** Mines a call with this much gas, whatever comes of it. */
  sendWithGas(from: string, name: string, args: unknown[], gas: bigint): Promise<Receipt> {
    return this.chain.send({ from, to: this.address, data: this.encode(name, args), gas })
  }

  events(receipt: { logs: Log[] }): { name: string, args: Result }[] {
    return receipt.logs.flatMap((log) => {
      const parsed = log.address.toLowerCase() === this.address.toLowerCase() ? this.abi.parseLog(log) : null
      return parsed === null ? [] : [{ name: parsed.name, args: parsed.args }]
    })
  }
}

/** Says why a promise of a contract call was refused: `Name`, `Name(args)`, or for tickets `TicketRefused(reason)`. */
export async function refusal(promise: Promise<unknown>): Promise<string> {
  try {
    await promise
  } catch (err) {
    if (!(err instanceof Reverted)) throw err
    if (err.reason === 'TicketRefused') return `TicketRefused(${REFUSALS[Number(err.args?.[1])] ?? '?'})`
    return err.message
  }
  return 'accepted'
}

export interface Snapshot { deposit: bigint, bond: bigint, jobBond: bigint, reserved: bigint, credit: bigint, heldUntil: bigint, openClaims: bigint, unlocks: { amount: bigint, lockedUntil: bigint }[] }

/** A deployed broker with the helpers that its tests share. */
export class Broker extends At {
  readonly domain: TypedDataDomain
  constructor(chain: Chain, address: string, abi: InterfaceAbi | Interface) {
    super(chain, address, abi)
    this.domain = { name: 'Hearth', version: '1', chainId: chain.chainId, verifyingContract: this.address }
  }

  /** A ticket signed by `signer`, by default one that wins, is worth 1,000 wei and lives a day. */
  async winner(signer: Wallet, payee: string, random: SeededRandom, changes: Partial<Ticket> = {}): Promise<Winner> {
    const rand = randomBytes32(random)
    const ticket: Ticket = {
      payer: signer.address, payee, faceValue: 1000n, winProb: ALWAYS, expiry: BigInt(await this.chain.now() + DAY),
      commit: commitOf(rand), salt: randomBytes32(random), context: randomBytes32(random), ...changes
    }
    return opened(ticket, rand, await signer.signTypedData(this.domain, TICKET_TYPES, ticket))
  }

  async snapshot(account: string): Promise<Snapshot> {
    const [value] = await this.read('snapshot', [account])
    return { ...(value as Result).toObject(), unlocks: ((value as Result).getValue('unlocks') as Result[]).map((unlock) => unlock.toObject()) } as Snapshot
  }

  redeem(from: string, winner: Winner): Promise<Receipt> {
    return this.send(from, 'redeem', [winner])
  }
}

export async function deployNative(chain: Chain, terms: Partial<Terms> = {}, bytecode: string = NativeTicketBroker.bytecode): Promise<Broker> {
  const abi = new Interface(NativeTicketBroker.abi)
  const { address } = await typed(abi, chain.deploy(chain.accounts[0]!, concat([bytecode, abi.encodeDeploy([{ ...TERMS, ...terms }])])))
  return new Broker(chain, address, abi)
}

export async function deployToken(chain: Chain, token: string, terms: Partial<Terms> = {}, bytecode: string = TokenTicketBroker.bytecode): Promise<Broker> {
  const abi = new Interface(TokenTicketBroker.abi)
  const { address } = await typed(abi, chain.deploy(chain.accounts[0]!, concat([bytecode, abi.encodeDeploy([token, { ...TERMS, ...terms }])])))
  return new Broker(chain, address, abi)
}

import { HearthError } from '../../src/errors.ts'
import type { ErrorCode } from '../../src/errors.ts'
import { readError } from './broker.ts'
import type { ContractError } from './broker.ts'
import { formatAmount, formatWhen } from './amounts.ts'
import type { Asset } from './amounts.ts'
import type { RpcAnswer } from './rpc.ts'

type Words = readonly [code: ErrorCode, message: string, hint: string]

function toBigInt(value: unknown): bigint {
  return typeof value === 'bigint' ? value : 0n
}

/** What each error of the broker means to the person who asked for it. */
function wordsOf({ name, args }: ContractError, asset: Asset): Words | undefined {
  const amount = (i: number): string => formatAmount(toBigInt(args[i]), asset)
  const when = (i: number): string => formatWhen(Number(toBigInt(args[i])))
  switch (name) {
    case 'ZeroAmount': return ['E_CHAIN_AMOUNT', 'There is nothing to move', 'Give an amount above zero; a payout needs credit']
    case 'TooMuch': return ['E_CHAIN_AMOUNT', 'The amount is beyond what the contract can hold', 'Use a smaller amount']
    case 'ZeroAddress': return ['E_CHAIN_ADDRESS', 'The zero address takes no money', 'Give an address that somebody has the key of']
    case 'WrongValue': return ['E_CHAIN_ASSET', `The contract was to receive ${amount(0)} and got ${amount(1)}`, 'A token that takes a fee on transfers cannot be used, and a broker of a token takes no coin']
    case 'TransferFailed': return ['E_CHAIN_RECIPIENT', 'The recipient refused the money', 'Send it to a plain account, or to a contract that accepts the coin']
    case 'UnlockPending': return ['E_CHAIN_UNLOCK_PENDING', `Another amount of it is being unlocked until ${when(0)}`, 'Withdraw that first, or cancel it to ask for another amount']
    case 'NoUnlock': return ['E_CHAIN_NO_UNLOCK', 'No withdrawal was asked for', 'Ask to unlock an amount first; it can be withdrawn after the delay']
    case 'Locked': return ['E_CHAIN_LOCKED', `It is locked until ${when(0)}`, 'Those who were paid with it have until then to redeem their tickets; try again after that']
    case 'ClaimsOpen': return ['E_CHAIN_CLAIMS', `A payee has claimed a default; deposit and bond are held until ${when(0)} at the latest`, 'Top up the deposit: the claim ends when the ticket is paid']
    case 'Insufficient': return ['E_CHAIN_INSUFFICIENT', `Only ${amount(0)} of it can be taken`, 'Ask for no more than that']
    case 'UnknownSigner': return ['E_CHAIN_SIGNER', 'That key is not registered to sign for this account', 'See the account\'s signers']
    case 'NotRequester': return ['E_CHAIN_REFUND', 'Only the requester named in a refund can claim it', 'Use the key that made the agreement']
    case 'RefundExpired': return ['E_CHAIN_REFUND', 'The refund has expired', 'Ask the provider for a new one']
    case 'StatementMismatch': case 'AboveAcknowledged': case 'WrongRefundSignature': case 'WrongStatementSignature': return ['E_CHAIN_REFUND', `The refund does not hold (${name})`, 'The provider signed something else than what it acknowledged; its record shows it']
    case 'NothingDue': return ['E_CHAIN_REFUND', 'Nothing more of this refund is due', '']
    case 'ERC20InsufficientBalance': return ['E_CHAIN_INSUFFICIENT', `The account has only ${amount(1)}`, 'Send more of the token to it first']
    case 'Error': return ['E_CHAIN_REVERTED', `The contract refused: ${String(args[0]).replaceAll(/[^\x20-\x7e]+/g, ' ').slice(0, 160)}`, '']
    default: return undefined
  }
}

/** The refusal of a call in words for people: E_CHAIN_… by what the contract said, E_CHAIN_REVERTED where it said nothing known. */
export function refusalError(answer: Extract<RpcAnswer, { ok: false }>, asset: Asset): HearthError {
  const found = readError(answer.data)
  const words = found === undefined ? undefined : wordsOf(found, asset)
  if (words !== undefined) return new HearthError(...words)
  const why = found === undefined ? answer.message : found.name
  return new HearthError('E_CHAIN_REVERTED', `The contract or its chain refused: ${why}`, 'Is the contract the one that payment.contract should name, and has the account coin for gas?')
}

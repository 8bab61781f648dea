/**
 * What a ticket costs either side, against ethers and against bare libsecp256k1: processor time of this thread. All are
 * measured in turn, in many short rounds, so that what else the machine does meets all alike; the mean counts, because the
 * kernel counts this time in ticks.
 */
import { verifyTypedData, Wallet } from 'ethers'
import { domainSeparator } from '../../src/codec/eip712.ts'
import { toHex } from '../../src/codec/hasher.ts'
import { Timers } from '../../src/core/timers.ts'
import { Turn } from '../../src/core/turn.ts'
import { Budget } from '../../src/payment/budget.ts'
import { payMessageCodec } from '../../src/documents/pay-message.ts'
import type { PayMessage, PayMessageOf } from '../../src/documents/pay-message.ts'
import type { Post } from '../../src/payment/post.ts'
import { Recipient } from '../../src/payment/recipient.ts'
import { Sender } from '../../src/payment/sender.ts'
import { stateDigest } from '../../src/documents/payment-state.ts'
import type { PaymentTerms } from '../../src/documents/terms.ts'
import { TicketHasher } from '../../src/documents/ticket.ts'
import type { Ticket } from '../../src/documents/ticket.ts'
import { Winners } from '../../src/payment/winners.ts'
import { nativeHasher } from '../../node/keys/index.ts'
import { moneyAddress, signDigest } from '../../node/keys/money.ts'
import { curve, wasmCurve } from '../../node/keys/secp256k1.ts'
import { TicketChecker } from '../../node/keys/ticket-checker.ts'
import { ticketSecrets } from '../../node/keys/ticket-secrets.ts'
import { row } from './stats.ts'

const ROUNDS = 100
const ROUND = 200
const DOMAIN = { name: 'Hearth', version: '1', chainId: 31_337n, verifyingContract: `0x${'11'.repeat(20)}` }
const SEPARATOR = domainSeparator(nativeHasher, DOMAIN)
const TYPES = {
  Ticket: [
    { name: 'payer', type: 'address' }, { name: 'payee', type: 'address' }, { name: 'faceValue', type: 'uint128' }, { name: 'winProb', type: 'uint64' },
    { name: 'expiry', type: 'uint64' }, { name: 'commit', type: 'bytes32' }, { name: 'salt', type: 'bytes32' }, { name: 'context', type: 'bytes32' }
  ]
}
const TERMS: PaymentTerms = {
  mode: 'tickets', unit: { kind: 'resource-ms', size: 10_000 }, unitPriceWei: 10n ** 12n, faceValueWei: 28_672n * 10n ** 11n, winProb: (1n << 52n) - 1n,
  ticketLifeSec: 86_400, openCommits: 8, aheadUnits: 1, holdback: 3000, refund: 5000, prepayCapWei: 10n ** 30n
}
const FUNDS = { depositWei: 10n ** 30n, bondWei: 10n ** 30n }
const KEY = nativeHasher.sha256(Buffer.from('payer'))
const PROVIDER_KEY = nativeHasher.sha256(Buffer.from('provider'))
const PAYER = moneyAddress(KEY)
const AGREEMENT = `0x${'a9'.repeat(32)}`
const JOB = 'bafyreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy'
const EXPOSURE = { sequence: 1, ownWei: TERMS.prepayCapWei, totalWei: TERMS.prepayCapWei, expiresWallMs: Number.MAX_SAFE_INTEGER }
const EARNING = { agreement: AGREEMENT, job: JOB, payer: PAYER, payee: `0x${'cc'.repeat(20)}`, terms: TERMS, exposure: EXPOSURE, acceptance: { agreement: AGREEMENT, provider: PAYER, requester: PAYER, ...EXPOSURE, signature: '0x' } }
const NOW = { monoMs: 0, wallMs: 1_800_000_000_000 }
const ENTROPY = new Uint8Array(32).fill(1)

interface Action { name: string, calls: number, act: (i: number) => unknown, /** Not measured. */ before: () => void, at: number, usedUs: number }
const actions: Action[] = []

function action(name: string, calls: number, act: (i: number) => unknown, before: () => void = () => undefined): Action {
  const made = { name, calls, act, before, at: 0, usedUs: 0 }
  actions.push(made)
  return made
}

function cpuUs(): number {
  const { user, system } = process.threadCpuUsage()
  return user + system
}

/** Each action goes on counting its calls from round to round. */
async function measure(): Promise<void> {
  for (let round = 0; round < ROUNDS; round++) {
    for (const measured of actions) {
      measured.before()
      const startedUs = cpuUs()
      for (let n = 0; n < measured.calls; n++) {
        const done = measured.act(measured.at++)
        if (done instanceof Promise) await done
      }
      measured.usedUs += cpuUs() - startedUs
    }
  }
}

const tickets = new TicketHasher(nativeHasher, SEPARATOR)
const checker = new TicketChecker(SEPARATOR)
const draws = ticketSecrets(nativeHasher.sha256(Buffer.from('seed')))
function mailbox(): { post: Post, said: PayMessage[] } {
  const said: PayMessage[] = []
  return { said, post: { send: (_turn, _to, message) => { said.push(message) }, add: (_turn, _key, _to, message) => { said.push(message) }, done: () => undefined, has: () => false } }
}
const { post, said } = mailbox()
let events = 0
const turn = (): Turn => new Turn(NOW, nativeHasher.sha256(ENTROPY.fill(events++ & 255)), nativeHasher)
const lastSaid = <K extends PayMessage['kind']>(kind: K, from = said): PayMessageOf<K> => from.findLast((message): message is PayMessageOf<K> => message.kind === kind)!

/** Both machines in lockstep, as many tickets as are measured, so that what is timed is what happens. */
function issueAll(count: number): PayMessageOf<'ticket'>[] {
  const recipient = Recipient.open(turn(), { post, draws, tickets, winners: new Winners() }, { ...EARNING, requester: 'payer' })
  const sender = Sender.open(turn(), { post, timers: new Timers(), budget: new Budget({}) }, { ...EARNING, providerAddress: '0x', provider: 'provider' })
  sender.offered(turn(), recipient.lots)
  const issued: PayMessageOf<'ticket'>[] = []
  while (issued.length < count) {
    const message = lastSaid('ticket')
    issued.push({ ...message, signature: checker.sign(message.ticket, (digest) => signDigest(KEY, digest)) })
    recipient.ticket(turn(), message, FUNDS)
    const credit = lastSaid('credit')
    said.length = 0
    sender.credited(turn(), credit)
    sender.worked(turn(), sender.issued * TERMS.unit.size)
  }
  return issued
}

const all = issueAll(ROUNDS * ROUND)
const [first] = all
if (first === undefined) throw new Error('no ticket')
const wallet = new Wallet(toHex(KEY))
const asEthers = ({ faceValueWei, expirySec, ...rest }: Ticket): Record<string, unknown> => ({ ...rest, faceValue: faceValueWei, expiry: expirySec })
const digest = tickets.digest(first.ticket)
const bare = curve.sign(digest, KEY)

const FEW = 5
const ethersVerify = action('ethers verifyTypedData', FEW, (i) => { verifyTypedData(DOMAIN, TYPES, asEthers(all[i]!.ticket), all[i]!.signature!) })
const ethersSign = action('ethers signTypedData', FEW, (i) => wallet.signTypedData(DOMAIN, TYPES, asEthers(all[i]!.ticket)))
const recovery = action(`libsecp256k1 (${curve.name}), bare recovery`, ROUND, () => { curve.recover(digest, bare.signature, bare.recoveryId) })
const signing = action(`libsecp256k1 (${curve.name}), bare signature`, ROUND, () => { curve.sign(digest, KEY) })
action('libsecp256k1 (wasm), bare recovery', FEW, () => { wasmCurve.recover(digest, bare.signature, bare.recoveryId) })
action('digest of a ticket', ROUND, (i) => { tickets.digest(all[i]!.ticket) })
const signed = action('digest and signature of a ticket', ROUND, (i) => { checker.sign(all[i]!.ticket, (raw) => signDigest(KEY, raw)) })
action('HMAC and draw', ROUND, (i) => { draws.wins(AGREEMENT, i & 1023, digest, TERMS.winProb) })

// the provider: screen, signature, screen again inside, draw, credit, records, fresh commits, acknowledgement
const recipient = Recipient.open(turn(), { post, draws, tickets, winners: new Winners() }, { ...EARNING, requester: 'payer' })
const validation = action('provider: a ticket checked, drawn, credited', ROUND, (i) => {
  const message = all[i]!
  const screened = recipient.screen(nativeHasher, message, FUNDS, NOW)
  if (!screened.ok) throw new Error('an honest ticket was refused')
  if (!checker.check(message.ticket, message.signature, message.ticket.payer, screened.value.digest).ok) throw new Error('an honest signature was refused')
  recipient.ticket(turn(), message, FUNDS)
  said.length = 0
})

// the payer: due, caps, mark, salt, context, records, and the signature. A round's acknowledgements come before the next round
const WINDOW = 20
const AHEAD = { ...TERMS, aheadUnits: WINDOW, openCommits: 2 * WINDOW }
const [ours, theirs] = [mailbox(), mailbox()]
const rival = Recipient.open(turn(), { post: theirs.post, draws, tickets, winners: new Winners() }, { ...EARNING, terms: AHEAD, requester: 'payer' })
const payer = Sender.open(turn(), { post: ours.post, timers: new Timers(), budget: new Budget({}) }, { ...EARNING, terms: AHEAD, providerAddress: '0x', provider: 'provider' })
payer.offered(turn(), rival.lots)
const issuing = action('payer: a ticket issued and signed', WINDOW, (i) => {
  payer.worked(turn(), (i + 1) * TERMS.unit.size)
  checker.sign(lastSaid('ticket', ours.said).ticket, (raw) => signDigest(KEY, raw))
}, () => {
  for (const message of ours.said.splice(0)) {
    if (message.kind !== 'ticket') continue
    rival.ticket(turn(), message, FUNDS)
    payer.credited(turn(), theirs.said.pop() as PayMessageOf<'credit'>)
  }
})
// what surrounds them on the wire, and is paid for with the message
const raw = payMessageCodec.encode(first)
action(`ticket message, ${raw.length} bytes: decode`, ROUND, () => { payMessageCodec.decode(raw) })
const state = { agreement: AGREEMENT, sequence: 1, tickets: 1, expectedPaid: 1n << 100n, heldBack: 1n << 90n, refunded: 0n }
action('state of an acknowledgement: digest and signature', ROUND, () => { signDigest(PROVIDER_KEY, stateDigest(nativeHasher, SEPARATOR, state)) })

await measure()
const meanUs = ({ usedUs, at }: Action): number => usedUs / at
const times = (a: Action, b: Action): number => meanUs(a) / meanUs(b)
const notes = new Map([
  [validation, `${times(ethersVerify, validation).toFixed(1)} x ethers (at least 15), ${times(recovery, validation).toFixed(2)} of bare (at least 0.50)`],
  [signed, `${times(ethersSign, signed).toFixed(1)} x ethers (bare libsecp256k1: ${times(ethersSign, signing).toFixed(1)} x)`],
  [issuing, `${times(ethersSign, issuing).toFixed(1)} x ethers, which keeps no books; ${times(signing, issuing).toFixed(2)} of bare (at least 0.50)`]
])
for (const measured of actions) row(measured.name, `${meanUs(measured).toFixed(1)} us`, notes.get(measured))
if (payer.issued < ROUNDS * WINDOW) throw new Error(`only ${payer.issued} tickets were issued`)
const failed = times(ethersVerify, validation) < 15 || times(recovery, validation) < 0.5 || times(signing, issuing) < 0.5
if (failed) console.log('  below its target')
process.exitCode = failed ? 1 : 0

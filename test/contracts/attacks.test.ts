/**
 * Attacks on the broker. Each is run twice: against the broker, where it must gain nothing, and against a copy with its
 * defence taken out, where it must succeed: so no attack passes because it is done wrong.
 */
import { Interface, concat, toBeHex } from 'ethers'
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import { BUCKET, NativeTicketBroker } from '../../src/contracts/index.ts'
import { seededRandom } from '../helpers/seeded.ts'
import { attackers, planted } from './attackers.ts'
import type { Edit, Planted } from './attackers.ts'
import type { Artifact } from './compile.ts'
import { onChain } from './anvil.ts'
import type { Chain } from './anvil.ts'
import { At, Broker, REFUND_TYPES, STATEMENT_TYPES, TERMS, TICKET_TYPES, Reverted, ZERO_ADDRESS, opened, ticketOf, walletOf } from './broker.ts'
import type { Winner } from './broker.ts'

const CURVE_ORDER = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n
const DEPOSIT = 10_000n
const wallet = walletOf('payer')
const payer = wallet.address
const payee = walletOf('payee').address
const thief = walletOf('thief')
const provider = walletOf('provider')
const parts = attackers('ReentrantPayee', 'RevertingPayee', 'CostlyPayee', 'Starver')

let chain: Chain
let stranger: string

interface Scene { readonly broker: Broker, readonly random: ReturnType<typeof seededRandom> }
/** True when the attack reached its aim. */
type Attack = (scene: Scene) => Promise<boolean>

/** Mines a call; false when the contract refuses. */
async function works(promise: Promise<unknown>): Promise<boolean> {
  try {
    await promise
    return true
  } catch (err) {
    if (err instanceof Reverted) return false
    throw err
  }
}

const edit = (file: string, find: string, put: string): Edit => ({ file, find, put })
const credit = async (broker: Broker, account: string): Promise<bigint> => (await broker.snapshot(account)).credit
const highS = (winner: Winner): Winner => ({ ...winner, s: toBeHex(CURVE_ORDER - BigInt(winner.s), 32), v: 55 - winner.v })

async function deploy(name: string, args: unknown[]): Promise<At> {
  const abi = new Interface(parts[name]!.abi)
  return new At(chain, (await chain.deploy(stranger, concat([parts[name]!.bytecode, abi.encodeDeploy(args)]))).address, abi)
}

/** The attack on the DAO: a contract with a credit of 1,000 is paid out, and asks again within, while 10,000 of others lie in the broker. */
function drainBy(first: 'payout' | 'payoutFor', within: 'payout' | 'payoutFor'): Attack {
  return async ({ broker, random }) => {
    const attacker = await deploy('ReentrantPayee', [broker.address])
    await broker.redeem(stranger, await broker.winner(wallet, attacker.address, random))
    await works(attacker.send(stranger, 'attack', [broker.encode(first, [attacker.address]), broker.encode(within, [attacker.address]), 4n]))
    return await chain.balance(attacker.address) > 1000n
  }
}
const drainByPayout = drainBy('payout', 'payout')

async function takeAnothersCredit({ broker, random }: Scene): Promise<boolean> {
  await broker.redeem(stranger, await broker.winner(wallet, payee, random))
  const before = [await chain.balance(payee), await chain.balance(thief.address)]
  await chain.rpc('anvil_setNextBlockBaseFeePerGas', ['0x0'])
  await works(broker.send(thief.address, 'payoutFor', [payee]))
  const [paid, taken] = [await chain.balance(payee), await chain.balance(thief.address)]
  // the thief pays gas: what it would have taken is what the payee lacks
  return paid - before[0]! !== 1000n || taken > before[1]!
}

async function drainByWithdrawal({ broker }: Scene): Promise<boolean> {
  const attacker = await deploy('ReentrantPayee', [broker.address])
  await broker.send(stranger, 'fund', [attacker.address, 1000n], 1000n)
  await attacker.send(stranger, 'call', [broker.encode('requestUnlock', [BUCKET.deposit, 1000n])])
  await chain.increaseTime(TERMS.delay + 1)
  const withdraw = broker.encode('withdraw', [BUCKET.deposit, attacker.address])
  await works(attacker.send(stranger, 'attack', [withdraw, withdraw, 4n]))
  return await chain.balance(attacker.address) > 1000n
}

const GUARD_OF_PAYOUT = edit('Ledger.sol', 'function payout(address to) external nonReentrant', 'function payout(address to) external')
const GUARD_OF_PAYOUT_FOR = edit('Ledger.sol', 'function payoutFor(address account) external nonReentrant', 'function payoutFor(address account) external')
const ORDER_OF_PAYOUT = [
  edit('Ledger.sol', '        _setIncome(account, 0, jobBond);\n', ''),
  edit('Ledger.sol', 'emit PaidOut(account, to, amount);\n        _send(to, amount);', 'emit PaidOut(account, to, amount);\n        _send(to, amount);\n        _setIncome(account, 0, jobBond);')
]
const ORDER_OF_WITHDRAW = [
  edit('Ledger.sol', '        delete _unlocks[msg.sender][bucket];\n        _take(bucket, msg.sender, amount);\n', ''),
  // Two wrongs of the old kind: paid first, and booked without a check.
  edit('Ledger.sol', 'emit Withdrawn(bucket, msg.sender, to, amount);\n        _send(to, amount);', 'emit Withdrawn(bucket, msg.sender, to, amount);\n        _send(to, amount);\n        delete _unlocks[msg.sender][bucket];\n        if (_free(bucket, msg.sender) >= amount) _take(bucket, msg.sender, amount);')
]

async function twiceInOneBatch({ broker, random }: Scene): Promise<boolean> {
  const winner = await broker.winner(wallet, payee, random)
  await broker.send(stranger, 'redeemBatch', [[winner, winner]])
  return await credit(broker, payee) > 1000n
}

async function twiceByMalleability({ broker, random }: Scene): Promise<boolean> {
  const winner = await broker.winner(wallet, payee, random)
  await broker.send(stranger, 'redeemBatch', [[winner, highS(winner)]])
  return await credit(broker, payee) > 1000n
}

/** The payer signs once, for a chain that is not this one. */
async function fromAnotherChain({ broker, random }: Scene): Promise<boolean> {
  const ticket = ticketOf(await broker.winner(wallet, payee, random))
  const { rand } = await broker.winner(wallet, payee, random)
  const signed = { ...ticket, commit: ticketOf({ ...opened(ticket, rand, `0x${'11'.repeat(64)}1b`) }).commit }
  return works(broker.redeem(stranger, opened(signed, rand, await wallet.signTypedData({ ...broker.domain, chainId: 1 }, TICKET_TYPES, signed))))
}

/** The chain forks: the same contract with the same deposits lives on under a new chain id. */
async function afterFork({ broker, random }: Scene): Promise<boolean> {
  const winner = await broker.winner(wallet, payee, random)
  await chain.rpc('anvil_setChainId', [4242])
  try {
    return (await broker.read('check', [winner]))[1] === 0n
  } finally {
    await chain.rpc('anvil_setChainId', [chain.chainId])
  }
}

async function fromAnotherContract({ broker, random }: Scene): Promise<boolean> {
  const winner = await broker.winner(wallet, payee, random)
  const signed = opened(ticketOf(winner), winner.rand, await wallet.signTypedData({ ...broker.domain, verifyingContract: '0x0000000000000000000000000000000000000001' }, TICKET_TYPES, ticketOf(winner)))
  return works(broker.redeem(stranger, signed))
}

async function expiryZero({ broker, random }: Scene): Promise<boolean> {
  return works(broker.redeem(stranger, await broker.winner(wallet, payee, random, { expiry: 0n })))
}

async function expiryFarAhead({ broker, random }: Scene): Promise<boolean> {
  return works(broker.redeem(stranger, await broker.winner(wallet, payee, random, { expiry: 2n ** 64n - 1n })))
}

async function loserPaid({ broker, random }: Scene): Promise<boolean> {
  return works(broker.redeem(stranger, await broker.winner(wallet, payee, random, { winProb: 0n })))
}

/** The payer sees the secret in the mempool and uses it up with a ticket of one wei on the same commit. */
async function burnByCommitReuse({ broker, random }: Scene): Promise<boolean> {
  const winner = await broker.winner(wallet, payee, random)
  const wei = { ...ticketOf(winner), faceValue: 1n }
  await broker.redeem(payer, opened(wei, winner.rand, await wallet.signTypedData(broker.domain, TICKET_TYPES, wei)))
  return !await works(broker.redeem(payee, winner))
}

/** The payer leaves one wei in its deposit; a ticket that pays a part and is used up is worth that wei. */
async function burnByPartialPayout({ broker, random }: Scene): Promise<boolean> {
  const winner = await broker.winner(wallet, payee, random)
  await broker.redeem(payer, await broker.winner(wallet, thief.address, random, { faceValue: DEPOSIT - 1n }))
  await works(broker.redeem(payer, winner))
  await broker.send(stranger, 'fund', [payer, DEPOSIT], DEPOSIT)
  return !await works(broker.redeem(payee, winner))
}

async function cancelAnothersUnlock({ broker }: Scene): Promise<boolean> {
  await broker.send(payer, 'requestUnlock', [BUCKET.deposit, DEPOSIT])
  await broker.send(thief.address, 'fund', [payer, 1n], 1n)
  return (await broker.snapshot(payer)).unlocks[BUCKET.deposit]!.amount !== DEPOSIT
}

/** A ticket that its payee accepted while nothing was unlocking, in its last second. */
async function withdrawBeforeTheLastTicket({ broker, random }: Scene): Promise<boolean> {
  await broker.send(payer, 'requestUnlock', [BUCKET.deposit, DEPOSIT])
  const until = (await broker.snapshot(payer)).unlocks[BUCKET.deposit]!.lockedUntil
  const winner = await broker.winner(wallet, payee, random, { expiry: until })
  await chain.setNextTime(Number(until))
  const gone = await works(broker.send(payer, 'withdraw', [BUCKET.deposit, payer]))
  return gone && (await broker.read('check', [winner]))[1] !== 0n
}

async function revokeAfterPaying({ broker, random }: Scene): Promise<boolean> {
  await broker.send(payer, 'addSigner', [thief.address])
  const winner = await broker.winner(wallet, payee, random)
  const byKey = opened(ticketOf(winner), winner.rand, await thief.signTypedData(broker.domain, TICKET_TYPES, ticketOf(winner)))
  await broker.send(payer, 'revokeSigner', [thief.address])
  await chain.increaseTime(60)
  return !await works(broker.redeem(payee, byKey))
}

/** A payee that hoarded two winners shows the second when the first has emptied the deposit of an honest payer. */
async function burnAnHonestPayer({ broker, random }: Scene): Promise<boolean> {
  const [one, two] = [await broker.winner(wallet, payee, random, { faceValue: 6000n }), await broker.winner(wallet, payee, random, { faceValue: 6000n })]
  await broker.redeem(payee, one)
  await works(broker.send(payee, 'noticeDefault', [two]))
  await works(broker.send(payee, 'claimDefault', [ticketOf(two)]))
  return (await broker.snapshot(payer)).bond === 0n
}

/** A payer whose unlock is nearly over drains its deposit and takes the bond home while the grace runs. */
async function rescueTheBond({ broker, random }: Scene): Promise<boolean> {
  await broker.send(payer, 'requestUnlock', [BUCKET.bond, 3000n])
  const until = (await broker.snapshot(payer)).unlocks[BUCKET.bond]!.lockedUntil
  const winner = await broker.winner(wallet, payee, random, { faceValue: DEPOSIT, expiry: until })
  await broker.redeem(payer, await broker.winner(wallet, thief.address, random))
  await chain.setNextTime(Number(until))
  await broker.send(payee, 'noticeDefault', [winner])
  await chain.setNextTime(Number(until) + 1)
  return works(broker.send(payer, 'withdraw', [BUCKET.bond, payer]))
}

async function claimOfAnother({ broker, random }: Scene): Promise<boolean> {
  const winner = await broker.winner(wallet, payee, random, { faceValue: DEPOSIT + 1n })
  await broker.send(payee, 'noticeDefault', [winner])
  await chain.increaseTime(TERMS.grace + 1)
  await works(broker.send(thief.address, 'claimDefault', [ticketOf(winner)]))
  return await credit(broker, thief.address) > 0n
}

async function signedRefund(broker: Broker, requester: string, amount: bigint, paid: bigint): Promise<unknown[]> {
  const parties = { agreement: `0x${'a1'.repeat(32)}`, provider: provider.address, requester }
  const refund = { ...parties, amount, expiry: BigInt(await chain.now() + TERMS.delay) }
  const statement = { ...parties, sequence: 0n, paid }
  return [refund, await provider.signTypedData(broker.domain, REFUND_TYPES, refund), statement, await provider.signTypedData(broker.domain, STATEMENT_TYPES, statement)]
}

/** A liar refunds its whole bond to a friend before the slash arrives. */
async function refundBeforeSlash({ broker }: Scene): Promise<boolean> {
  await broker.send(thief.address, 'claimRefund', await signedRefund(broker, thief.address, 2000n, 2000n))
  await works(broker.send(thief.address, 'collectRefund', [`0x${'a1'.repeat(32)}`, provider.address, thief.address]))
  return !await works(broker.send(stranger, 'slash', [provider.address, 2000n, payee]))
}

async function refundTwice({ broker }: Scene): Promise<boolean> {
  const call = await signedRefund(broker, thief.address, 500n, 500n)
  for (let i = 0; i < 2; i++) await works(broker.send(thief.address, 'claimRefund', call))
  return (await broker.snapshot(provider.address)).reserved > 500n
}

async function refundOfMoreThanPaid({ broker }: Scene): Promise<boolean> {
  return works(broker.send(thief.address, 'claimRefund', await signedRefund(broker, thief.address, 2000n, 1n)))
}

/** The provider uses up the agreement with a refund of one wei before the one that it promised. */
async function refundOfOneWeiFirst({ broker }: Scene): Promise<boolean> {
  const promised = await signedRefund(broker, payee, 500n, 500n)
  await works(broker.send(provider.address, 'claimRefund', await signedRefund(broker, payee, 1n, 500n)))
  return !await works(broker.send(payee, 'claimRefund', promised))
}

/** A provider has a friend slash it, to have its bond at once. */
async function slashMyself({ broker }: Scene): Promise<boolean> {
  await broker.send(stranger, 'slash', [provider.address, 2000n, thief.address])
  return await credit(broker, thief.address) === 2000n
}

/** Nobody's signature for nobody's deposit: ecrecover gives the zero address for rubbish. */
async function signAsNobody({ broker, random }: Scene): Promise<boolean> {
  await works(broker.send(stranger, 'fund', [ZERO_ADDRESS, 500n], 500n))
  const winner = await broker.winner(wallet, thief.address, random, { payer: ZERO_ADDRESS, faceValue: 500n })
  return works(broker.redeem(stranger, { ...winner, r: `0x${'00'.repeat(32)}` }))
}

/** One payee that takes no coins stands between two honest ones. */
async function blockABatch({ broker, random }: Scene): Promise<boolean> {
  const bad = await deploy('RevertingPayee', [])
  const batch = [await broker.winner(wallet, payee, random), await broker.winner(wallet, bad.address, random), await broker.winner(wallet, payee, random)]
  const done = await works(broker.send(stranger, 'redeemBatch', [batch]))
  if (done) await bad.send(stranger, 'payout', [broker.address, stranger])
  return !done
}

/** Anyone may send a batch: with so little gas that a ticket fails inside, and is still put down as done. */
async function starve({ broker, random }: Scene): Promise<boolean> {
  const { address } = await deploy('CostlyPayee', [])
  const winners = [await broker.winner(wallet, address, random), await broker.winner(wallet, address, random)]
  const digests = await Promise.all(winners.map(async (winner) => String((await broker.read('hashTicket', [ticketOf(winner)]))[0])))
  const starver = await deploy('Starver', [])
  const [probes, through, burned] = await starver.read('sweep', [broker.address, broker.encode('redeemBatch', [winners]), digests, address, 1000n, 20_000n, 700_000n, 499n])
  assert.ok(Number(through) > 100 && Number(through) < Number(probes) - 100, `the sweep passes both sides of what a batch takes: ${through} of ${probes}`)
  return burned !== 0n
}

const STATE_READ = '        state = _states[digest];\n        address payer'
const BATCH_BODY = `(bytes32 digest, Refusal reason, uint256 state, uint256 deposit) = _judge(winner);
            if (reason != Refusal.None) {`

/** Attack, its defence taken out. */
const ATTACKS: Record<string, { attack: Attack, edits: Edit[], slashes?: true }> = {
  'reenter payout': { attack: drainByPayout, edits: [GUARD_OF_PAYOUT, ...ORDER_OF_PAYOUT] },
  'reenter payoutFor': { attack: drainBy('payoutFor', 'payoutFor'), edits: [GUARD_OF_PAYOUT_FOR, ...ORDER_OF_PAYOUT] },
  'reenter payoutFor by payout': { attack: drainBy('payout', 'payoutFor'), edits: [GUARD_OF_PAYOUT_FOR, ...ORDER_OF_PAYOUT] },
  'payout of another': { attack: takeAnothersCredit, edits: [edit('Ledger.sol', 'return _payOut(account, account);', 'return _payOut(account, msg.sender);')] },
  'reenter withdraw': { attack: drainByWithdrawal, edits: [edit('Ledger.sol', 'function withdraw(Bucket bucket, address to) external nonReentrant', 'function withdraw(Bucket bucket, address to) external'), ...ORDER_OF_WITHDRAW] },
  'duplicate in one batch': { attack: twiceInOneBatch, edits: [edit('Tickets.sol', '        _states[digest] = USED;\n', '')] },
  'high s': {
    attack: twiceByMalleability,
    edits: [
      edit('Signers.sol', '(address signer,,) = ECDSA.tryRecover(digest, v, r, s);', 'address signer = ecrecover(digest, v, r, s);'),
      edit('Tickets.sol', STATE_READ, '        state = _states[keccak256(abi.encode(digest, winner.s))];\n        address payer'),
      edit('Tickets.sol', '_use(digest, state, payer);', '_use(keccak256(abi.encode(digest, winner.s)), state, payer);')
    ]
  },
  'another chain': { attack: fromAnotherChain, edits: [edit('Signers.sol', 'VERSION_HASH, block.chainid, address(this)', 'VERSION_HASH, uint256(1), address(this)')] },
  'fork of the chain': { attack: afterFork, edits: [edit('Signers.sol', 'return block.chainid == _deployedChainId ? _deployedSeparator : _buildSeparator();', 'return _deployedSeparator;')] },
  'another contract': { attack: fromAnotherContract, edits: [edit('Signers.sol', 'block.chainid, address(this))', 'block.chainid, address(1))')] },
  'expiry 0': { attack: expiryZero, edits: [edit('Tickets.sol', 'if (block.timestamp > expiry &&', 'if (expiry != 0 && block.timestamp > expiry &&')] },
  'expiry far ahead': { attack: expiryFarAhead, edits: [edit('Tickets.sol', 'if (expiry > block.timestamp + delay) return Refusal.TooFarAhead;', '')] },
  'a loser': { attack: loserPaid, edits: [edit('Tickets.sol', 'if (!wins(digest, winner.rand, winner.winProb)) return Refusal.Lost;', '')] },
  'burn by commit reuse': {
    attack: burnByCommitReuse,
    edits: [edit('Tickets.sol', STATE_READ, '        state = _states[winner.rand];\n        address payer'), edit('Tickets.sol', '_use(digest, state, payer);', '_use(winner.rand, state, payer);')]
  },
  'burn by partial payout': {
    attack: burnByPartialPayout,
    edits: [
      edit('Tickets.sol', 'if (reason == Refusal.None && deposit < winner.faceValue) reason = Refusal.Underfunded;', ''),
      edit('Tickets.sol', '        faceValue = winner.faceValue;\n', '        faceValue = winner.faceValue < deposit ? winner.faceValue : deposit;\n')
    ]
  },
  'cancel an unlock by funding': { attack: cancelAnothersUnlock, edits: [edit('Ledger.sol', '        _receive(amount);\n', '        _receive(amount);\n        delete _unlocks[account][bucket];\n')] },
  'withdraw in the last second': { attack: withdrawBeforeTheLastTicket, edits: [edit('Ledger.sol', 'block.timestamp <= unlock.lockedUntil', 'block.timestamp < unlock.lockedUntil')] },
  'revoke after paying': { attack: revokeAfterPaying, edits: [edit('Signers.sol', 'uint64(block.timestamp) + _revocationDelay', 'uint64(block.timestamp)')] },
  'burn an honest payer': { attack: burnAnHonestPayer, edits: [edit('Tickets.sol', 'if (block.timestamp <= graceUntil) revert GraceRuns(uint64(graceUntil));', '')] },
  'rescue the bond': { attack: rescueTheBond, edits: [edit('Ledger.sol', 'if (bucket != Bucket.JobBond) _requireNoClaims(msg.sender);', '')] },
  'claim of another': { attack: claimOfAnother, edits: [edit('Tickets.sol', 'if (!_speaksFor(ticket.payee, msg.sender)) revert NotPayee();', ''), edit('Tickets.sol', '_payIn(ticket.payee, paid - fee, fee);', '_payIn(msg.sender, paid - fee, fee);')] },
  'refund before the slash': { attack: refundBeforeSlash, slashes: true, edits: [edit('Refunds.sol', 'if (block.timestamp <= claim.lockedUntil) revert Locked(claim.lockedUntil);', '')] },
  'refund twice': { attack: refundTwice, edits: [edit('Refunds.sol', '        claim.reserved += uint128(amount);\n', '')] },
  'refund above what was paid': { attack: refundOfMoreThanPaid, edits: [edit('Refunds.sol', 'if (refund.amount > statement.paid) revert AboveAcknowledged(statement.paid);', '')] },
  'refund of a wei first': {
    attack: refundOfOneWeiFirst,
    edits: [edit('Refunds.sol', 'if (msg.sender != refund.requester) revert NotRequester();', ''), edit('Refunds.sol', 'if (refund.amount <= claim.reserved) revert NothingDue();', 'if (claim.reserved != 0) revert NothingDue();')]
  },
  'slash myself': { attack: slashMyself, slashes: true, edits: [edit('Ledger.sol', '_burn(provider, share);', 'share = 0;')] },
  'sign as nobody': { attack: signAsNobody, edits: [edit('Signers.sol', '        if (signer == address(0)) return false;\n', ''), edit('Ledger.sol', '        if (amount == 0) revert ZeroAmount();\n        if (account == address(0)) revert ZeroAddress();\n', '')] },
  'block a batch': { attack: blockABatch, edits: [edit('Tickets.sol', 'if (credit != 0) _credit(payee, credit);', 'if (credit != 0) _send(payee, credit);')] },
  'starve a batch of gas': {
    attack: starve,
    edits: [
      edit('Tickets.sol', BATCH_BODY, `(bytes32 digest, Refusal reason, uint256 state, uint256 deposit) = _judge(winner);
            if (reason == Refusal.None) {
                _states[digest] = USED;
                try this.settleOne(winner, digest, state, deposit) {} catch {}
                continue;
            }
            if (reason != Refusal.None) {`),
      edit('Tickets.sol', '    /// First step of a claim', `    function settleOne(Winner calldata winner, bytes32 digest, uint256 state, uint256 deposit) external {
        _draw(winner, winner.payee, digest, state, deposit);
        _send(winner.payee, winner.faceValue);
    }

    /// First step of a claim`)
    ]
  }
}

const plants: Planted = Object.fromEntries(Object.entries(ATTACKS).map(([name, { edits }]) => [name, edits]))
/** `deployed` is the code that is published, without the door to the slash. */
const copies: Record<string, Pick<Artifact, 'abi' | 'bytecode'>> = { deployed: NativeTicketBroker, ...planted({ ...plants, 'payout unguarded': [GUARD_OF_PAYOUT], 'payout out of order': ORDER_OF_PAYOUT }, 'SlashableNativeBroker') }

/** Runs an attack on a fresh broker: a payer with a deposit of 10,000 and a bond of 3,000, a provider with a job bond of 2,000. */
async function run(copy: string, attack: Attack): Promise<boolean> {
  const id = await chain.snapshot()
  try {
    const artifact = copies[copy]!
    const abi = new Interface(artifact.abi)
    const { address } = await chain.deploy(stranger, concat([artifact.bytecode, abi.encodeDeploy([TERMS])]))
    const broker = new Broker(chain, address, abi)
    await broker.send(stranger, 'fund', [payer, DEPOSIT], DEPOSIT)
    await broker.send(stranger, 'addBond', [payer, 3000n], 3000n)
    await broker.send(stranger, 'addJobBond', [provider.address, 2000n], 2000n)
    return await attack({ broker, random: seededRandom(6) })
  } finally {
    await chain.revert(id)
  }
}

onChain(test, async (started) => {
  chain = started
  stranger = chain.accounts[1]!
  for (const account of [payer, payee, thief.address, provider.address]) await chain.setBalance(account, 10n ** 20n)
})

for (const [name, { attack, slashes }] of Object.entries(ATTACKS)) {
  test(`${name}: gains nothing, and would without its defence`, async () => {
    assert.not(await run(slashes === undefined ? 'deployed' : 'sound', attack), 'the broker fell')
    assert.ok(await run(name, attack), 'the attack fails even without the defence, so it proves nothing')
  })
}

test('against the attack on the DAO each of the two defences is enough', async () => {
  assert.not(await run('payout unguarded', drainByPayout))
  assert.not(await run('payout out of order', drainByPayout))
})

test('the copies are of the broker that is deployed, with one door more', () => {
  const names = (abi: Artifact['abi']): string[] => {
    const found: string[] = []
    new Interface(abi).forEachFunction((fragment) => { found.push(fragment.format('sighash')) })
    return found
  }
  assert.equal(names(copies['sound']!.abi).filter((name) => !names(copies['deployed']!.abi).includes(name)), ['slash(address,uint256,address)'])
})

test.run()

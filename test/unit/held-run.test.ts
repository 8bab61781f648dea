/** A host that says for ever that its owner is there does not keep a task for ever. */
import { test } from 'uvu'
import * as assert from 'uvu/assert'
import type { PeerEvent } from '../../src/core/event.ts'
import { ZERO_ADDRESS, ZERO_BYTES32 } from '../../src/documents/agreement.ts'
import type { Identity } from '../../src/documents/identity.ts'
import type { Message } from '../../src/documents/message.ts'
import { NO_CONTAINERS } from '../../src/documents/share.ts'
import { freshTask } from '../../src/job/task.ts'
import { Peer } from '../../src/peer.ts'
import { addressOf, peerIdOf } from '../../src/sim/computer.ts'
import { documentOf } from '../../src/sim/documents.ts'
import { countingHasher } from '../../src/sim/hasher.ts'
import { cidOf } from '../../src/sim/truth.ts'
import { HOUR_MS, MIB, MINUTE_MS, SECOND_MS } from '../../src/units.ts'
import { PLAIN_JOB } from '../helpers/plain-job.ts'

const WALL_MS = 1_800_000_000_000
const AGREEMENT = `0x${'ab'.repeat(32)}`
const JOB = cidOf('job')
const hardware = { cores: 1, memoryBytes: MIB, diskBytes: 1, gpus: [] }
const host = { ownerActive: false, minuteOfDay: 0, weekday: 0, diskFreeBytes: 1 }
const identity: Identity = { peer: peerIdOf(0), address: addressOf(0), payee: addressOf(0), peerSignature: new Uint8Array(64), moneySignature: '' }

/** A requester, one task of whose job is leased to a host; its runs may take a second. */
function requester(): Peer {
  const peer = new Peer({
    self: { identity, separator: new Uint8Array(32), chainId: 0, contract: ZERO_ADDRESS, paramsHash: ZERO_BYTES32 }, hasher: countingHasher(), hardware, requester: { bidWindowMs: 1, maxProviders: 1 }, free: { allow: 'anyone', coreMsADay: 1 },
    policy: { enabled: false, paused: false, ...hardware, gpus: false, engines: ['wasm'], region: 'any', maxRunMs: 1, maxInputBytes: 1, allow: [], deny: [], hours: [], onlyWhenIdle: false, ...NO_CONTAINERS, busyPrograms: [], maxRequesterFaultShare: 1 }
  })
  const document = { ...documentOf({ ...PLAIN_JOB, limits: { queueMs: MINUTE_MS, runMs: SECOND_MS, totalMs: 48 * HOUR_MS, logBytes: 0 } }, peerIdOf(0), 0), createdWallMs: WALL_MS }
  const agreement = {
    v: 1, job: JOB, requester: peerIdOf(0), provider: peerIdOf(1), requesterAddress: addressOf(0), providerAddress: addressOf(1), payee: addressOf(1), chainId: 0, contract: ZERO_ADDRESS, paramsHash: ZERO_BYTES32,
    programRoot: ZERO_BYTES32, initialRoot: ZERO_BYTES32, meterVersion: 0, attempt: 0, slots: 1, taskPriceWei: 0n, terms: { mode: 'free' }, createdWallMs: WALL_MS, expiresWallMs: WALL_MS + 48 * HOUR_MS
  }
  const replica = { agreement: AGREEMENT, provider: peerIdOf(1), payee: addressOf(1), attempt: 0, sinceMonoMs: 0, check: false, state: { kind: 'leased' } }
  peer.restore([
    [`job/${JOB}`, { v: 1, id: JOB, document, createdWallMs: WALL_MS, offerRound: 1, begun: true, state: { kind: 'running' } }],
    [`deal/${AGREEMENT}`, { v: 1, id: AGREEMENT, job: JOB, provider: peerIdOf(1), payee: addressOf(1), agreement, state: 'active' }],
    [`task/${JOB}/0`, { v: 1, job: JOB, task: { ...freshTask(0), attempts: 1, replicas: [replica] } }]
  ])
  return peer
}

/** Says it every five seconds; the time at which the requester looked elsewhere. */
function givenUpAfter(message: Message): number {
  const peer = requester()
  const luck = new Uint8Array(32)
  const tells = (monoMs: number, event: PeerEvent): boolean => peer.handle(event, { monoMs, wallMs: WALL_MS + monoMs }, luck).effects.some((effect) => effect.kind === 'notify' && effect.notice.kind === 'task' && effect.notice.state === 'retry')
  tells(0, { kind: 'start', hardware, host })
  tells(0, { kind: 'message', from: peerIdOf(1), message: { kind: 'progress', agreement: AGREEMENT, task: 0, attempt: 0, phase: 'running', fraction: 0 } })
  for (let monoMs = 1; monoMs < 24 * HOUR_MS; monoMs += 5 * SECOND_MS) {
    if (tells(monoMs, { kind: 'message', from: peerIdOf(1), message }) || tells(monoMs + 2500, { kind: 'tick' })) return monoMs
  }
  return Number.POSITIVE_INFINITY
}

for (const [what, message] of [
  ['that its card is in use', { kind: 'progress', agreement: AGREEMENT, task: 0, attempt: 0, phase: 'held', fraction: 0 }],
  ['that it is suspended', { kind: 'beat', agreement: AGREEMENT, running: [{ task: 0, attempt: 0 }], suspended: true }]
] as const) {
  test(`a host that says again and again ${what} is waited for a while, and no longer`, () => {
    const afterMs = givenUpAfter({ ...message, ...'running' in message ? { running: [...message.running] } : {} } as Message)
    assert.ok(afterMs > 2 * MINUTE_MS && afterMs < 20 * MINUTE_MS, `${afterMs} ms`)
  })
}

test.run()

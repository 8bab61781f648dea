import { hash } from 'node:crypto'
import { gossipsub } from '@chainsafe/libp2p-gossipsub'
import type { GossipSub, GossipSubComponents, GossipsubOpts, PublishResult } from '@chainsafe/libp2p-gossipsub'
import { createTopicScoreParams } from '@chainsafe/libp2p-gossipsub/score'
import { ANY_REGION, GRAYLIST_SCORE, HEARTBEAT_MS, INVALID_WEIGHT, marketsOf, MAX_INBOUND_BYTES, MAX_OUTBOUND_BYTES, MAX_TOPIC_BYTES_A_PEER, SEEN_MS, topicOf } from './constants.ts'

/** What the package's type leaves out and the object has. */
export interface ScoredGossipSub extends GossipSub {
  getScore(peer: string): number
  getMeshPeers(topic: string): string[]
  publish(topic: string, data?: Uint8Array, options?: { floodPublish?: boolean }): Promise<PublishResult>
}

export interface GossipParams {
  /** Many honest peers share one IP: a LAN, a lab, one machine. */
  sharedIp: boolean
  /** The node's own region: its topics and those of `any` are scored. */
  region: string
  /** How often a peer misbehaved lately, on any protocol. */
  faultsOf: (peer: string) => number
}

const topicScore = createTopicScoreParams({
  topicWeight: 1,
  timeInMeshWeight: 0.01,
  timeInMeshQuantum: 1000,
  timeInMeshCap: 300,
  firstMessageDeliveriesWeight: 0.5,
  firstMessageDeliveriesDecay: 0.95,
  firstMessageDeliveriesCap: 10,
  // a quiet market is no fault of the mesh: too few deliveries cost nothing
  meshMessageDeliveriesWeight: 0,
  meshFailurePenaltyWeight: 0,
  invalidMessageDeliveriesWeight: INVALID_WEIGHT,
  // half of it is left after six minutes
  invalidMessageDeliveriesDecay: 0.998
})

/** Of topic and data: an offer repeated on a topic where it is invalid must not make the valid one a duplicate. */
function messageDigest(topic: string, data: Uint8Array): Buffer {
  return hash('sha256', Buffer.concat([Buffer.from(`${topic}\0`), data]), 'buffer')
}

/**
 * GossipSub for offers. Messages carry no libp2p author or signature: the offer inside is signed by its requester, and
 * checking two signatures of one fact would cost twice.
 */
export function offerGossipSub({ sharedIp, region, faultsOf }: GossipParams): (components: GossipSubComponents) => ScoredGossipSub {
  const scored = [...marketsOf(ANY_REGION), ...(region === ANY_REGION ? [] : marketsOf(region))]
  const options: Partial<GossipsubOpts> = {
    globalSignaturePolicy: 'StrictNoSign',
    fallbackToFloodsub: false,
    allowPublishToZeroTopicPeers: true,
    ignoreDuplicatePublishError: true,
    runOnLimitedConnection: true,
    heartbeatInterval: HEARTBEAT_MS,
    seenTTL: SEEN_MS,
    // without it each duplicate is decoded and checked again
    fastMsgIdFn: (message) => messageDigest(message.topic, message.data ?? new Uint8Array()).toString('latin1'),
    msgIdFn: (message) => messageDigest(message.topic, message.data),
    msgIdToStrFn: (id) => Buffer.from(id.buffer, id.byteOffset, id.byteLength).toString('latin1'),
    maxInboundDataLength: MAX_INBOUND_BYTES,
    maxOutboundBufferSize: MAX_OUTBOUND_BYTES,
    maxTopicBytesPerPeer: MAX_TOPIC_BYTES_A_PEER,
    decodeRpcLimits: { maxSubscriptions: 64, maxMessages: 512, maxIhaveMessageIDs: 2048, maxIwantMessageIDs: 2048, maxIdontwantMessageIDs: 512, maxControlMessages: 128, maxPeerInfos: 0 },
    scoreThresholds: { gossipThreshold: -10, publishThreshold: -20, graylistThreshold: GRAYLIST_SCORE, acceptPXThreshold: 10, opportunisticGraftThreshold: 1 },
    scoreParams: {
      topics: Object.fromEntries(scored.map((market) => [topicOf(market), topicScore])),
      appSpecificScore: (peer) => -faultsOf(peer),
      // three faults lead below the graylist, on whatever topic or protocol
      appSpecificWeight: -GRAYLIST_SCORE / 2.5,
      ...(sharedIp ? { IPColocationFactorWeight: 0 } : {})
    }
  }
  // the package's class has the methods that its interface leaves out
  return gossipsub(options) as (components: GossipSubComponents) => ScoredGossipSub
}

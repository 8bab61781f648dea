import { z } from 'zod'
import { cid, int, list, multiaddrText, peerId, wallMs, wei } from '../codec/schema.ts'
import { documentCodec } from '../codec/document.ts'
import { PARAMS } from '../params.ts'
import { identity } from './identity.ts'
import { containerImage, imageSignatures } from './image.ts'
import { movesSchema } from './moves.ts'
import { ENGINES, HARDWARE_CLASSES, region, resources } from './resources.ts'

/** The key of a sub-market: a gossip topic and a DHT key. */
export const market = z.strictObject({ engine: z.enum(ENGINES), hardware: z.enum(HARDWARE_CLASSES), region })
export type Market = z.output<typeof market>

/** `wasm/cpu/any`: the sub-market's name in topics, DHT keys and what people see. */
export function marketName(key: Market): string {
  return `${key.engine}/${key.hardware}/${key.region}`
}

/**
 * What gossip carries of a job: enough to decide on a bid, never the inputs. Signed by the requester.
 * `round` grows with every repetition for the same job, so repeats pass the duplicate filter.
 */
export const offerSchema = z.strictObject({
  v: z.literal(1),
  job: cid,
  round: int(0, 1_000_000),
  requester: peerId,
  addresses: list(multiaddrText, 8),
  market,
  resources,
  tasks: int(1, PARAMS.maxTasks),
  replicas: int(1, PARAMS.maxReplicas),
  moduleBytes: int(0, PARAMS.maxModuleBytes),
  /** Of a container job: by these its hosts' owners decide. */
  container: z.strictObject({
    image: containerImage,
    signatures: imageSignatures.optional(),
    /** Wants to reach the network, so many bytes of it. */
    networkBytes: int(0, PARAMS.maxInputBytes).optional()
  }).optional(),
  inputBytes: int(0, PARAMS.maxInputBytes),
  /** What moving bytes is charged by; absent: nothing is. */
  moves: movesSchema.optional(),
  runMs: int(1, PARAMS.maxRunMs),
  deadlineWallMs: wallMs,
  issuedWallMs: wallMs,
  priceCapWei: wei.optional(),
  /** Who would pay: its deposit can be looked up before anything is bid. Absent when nothing is paid. */
  payer: identity.optional(),
  /** The most that it pays one provider ahead of its reveals. */
  maxPrepayWei: wei.optional(),
  /** Of 65,535: providers whose hash falls below say why they decline, so that declines do not flood a large market. */
  declineShare: int(0, 65_535)
}).refine(({ market: { engine }, container }) => (engine === 'container') === (container !== undefined), 'must name an image for containers, and none for others')
export type Offer = z.output<typeof offerSchema>
export const offerCodec = documentCodec('offer', offerSchema, PARAMS.maxOfferBytes)

import { imageKey } from '../documents/image.ts'
import { taskCount } from '../documents/job.ts'
import type { JobDocument } from '../documents/job.ts'
import { movesOf } from '../documents/moves.ts'
import type { Offer } from '../documents/offer.ts'
import { unmetResources } from '../market/fit.ts'

/** Input bytes of the largest task, as an offer states them. */
export function taskInputBytes({ inputs, map }: JobDocument): number {
  const shared = inputs.reduce((sum, input) => sum + input.sizeBytes, 0)
  return shared + (map?.kind === 'files' ? map.files.reduce((most, { sizeBytes }) => Math.max(most, sizeBytes), 0) : 0)
}

/**
 * What a job's document asks for beyond its offer, in a word for logs; undefined when it keeps to it. Hosts bid for the offer,
 * their owners' lists and their capacity go by it, so nothing of the document may exceed it.
 */
export function beyondOffer(document: JobDocument, offer: Offer): string | undefined {
  const { engine, resources, limits } = document
  if (document.requester !== offer.requester) return 'requester'
  if (engine.kind !== offer.market.engine) return 'engine'
  if (taskCount(document) !== offer.tasks) return 'tasks'
  if (limits.runMs > offer.runMs) return 'run time'
  if (JSON.stringify(resources.gpu) !== JSON.stringify(offer.resources.gpu)) return 'gpu'
  if (unmetResources({ ...resources, gpu: undefined }, { ...offer.resources, gpus: [] }).length > 0) return 'resources'
  if (taskInputBytes(document) > offer.inputBytes) return 'input'
  const moved = movesOf(document)
  if (offer.moves !== undefined && (moved.onceBytes > offer.moves.onceBytes || moved.taskBytes > offer.moves.taskBytes)) return 'bytes moved'
  return engine.kind === 'wasm' ? engine.moduleBytes > offer.moduleBytes ? 'module' : undefined : beyondContainer(engine, offer)
}

function beyondContainer({ image, network }: Extract<JobDocument['engine'], { kind: 'container' }>, { container }: Offer): string | undefined {
  if (container === undefined || imageKey(image) !== imageKey(container.image)) return 'image'
  if (image.from === 'content' && (container.image.from !== 'content' || image.sizeBytes > container.image.sizeBytes)) return 'image size'
  return (network?.maxBytes ?? -1) > (container.networkBytes ?? -1) ? 'network' : undefined
}

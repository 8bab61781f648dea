import { z } from 'zod'
import { int } from '../codec/schema.ts'
import { PARAMS } from '../params.ts'
import { taskCount } from './job.ts'
import type { JobDocument } from './job.ts'

/** What a provider must fetch for a job, as its document says. Own inputs of tasks are averaged: over a job the sum is the same. */
export const movesSchema = z.strictObject({
  /** Program and shared inputs: once a provider. */
  onceBytes: int(0, 2 * PARAMS.maxInputBytes),
  taskBytes: int(0, PARAMS.maxInputBytes)
})
export type Moves = z.output<typeof movesSchema>

export function movesOf(document: JobDocument): Moves {
  const { engine, inputs, map } = document
  const sum = (all: readonly { sizeBytes: number }[]): number => all.reduce((bytes, { sizeBytes }) => bytes + sizeBytes, 0)
  const image = engine.kind === 'container' && engine.image.from === 'content' ? engine.image.sizeBytes : 0
  return {
    onceBytes: (engine.kind === 'wasm' ? engine.moduleBytes : image) + sum(inputs),
    taskBytes: map?.kind === 'files' ? Math.ceil(sum(map.files) / taskCount(document)) : 0
  }
}

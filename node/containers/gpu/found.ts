import type { ErrorCode } from '../../../src/errors.ts'
import type { GpuCard, GpuVendor } from '../../../src/documents/resources.ts'

/** A card that its driver knows. Whether containers get at it is the engine's affair. */
export interface FoundCard {
  /** The card's own identity, stable over restarts. Never leaves this computer. */
  readonly id: string
  readonly card: GpuCard
  /** The vendor's number of the card, from 0. */
  readonly index: number
  /** AMD: the nodes that a container needs, and the groups that may open them. */
  readonly nodes?: readonly string[]
  readonly groups?: readonly number[]
}

/** Why a card that is there, or may be, is not lent. */
export interface GpuProblem { readonly code: ErrorCode, readonly vendor: GpuVendor, readonly message: string, readonly hint: string }

export interface Found { readonly cards: readonly FoundCard[], readonly problems: readonly GpuProblem[] }

/** What ads may say of a model and a driver. */
const MAX_MODEL_CHARS = 64
const MAX_DRIVER_CHARS = 32

/** One line of readable text out of a tool's, for an ad or a person. */
export function plain(value: string, maxChars: number): string {
  return value.replace(/[\p{C}\ufffd]+/gu, ' ').replace(/\s+/g, ' ').trim().slice(0, maxChars).toWellFormed().trim()
}

export function modelName(value: string, otherwise: string): string {
  return plain(value, MAX_MODEL_CHARS) || otherwise
}

export function driverName(value: string): string {
  return plain(value, MAX_DRIVER_CHARS)
}

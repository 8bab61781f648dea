import { z } from 'zod'
import { bytes, bytes32, int, list } from '../codec/schema.ts'
import { documentCodec } from '../codec/document.ts'
import { PARAMS } from '../params.ts'
import { KIB } from '../units.ts'
import { MAX_SECRETS, secretName } from './job.ts'

/** Tokens and keys; what is larger is an input. */
export const MAX_SECRET_BYTES = 16 * KIB

/** What only the hosts of a job are given, and no document or content holds. */
const secret = z.strictObject({ name: secretName, bytes: bytes(MAX_SECRET_BYTES) })
export type Secret = z.output<typeof secret>

/** A provider asks for the secrets of a lease that it holds. */
export const secretRequest = z.strictObject({ v: z.literal(1), agreement: bytes32, task: int(0, PARAMS.maxTasks - 1), attempt: int(0, 65_535) })
export type SecretRequest = z.output<typeof secretRequest>
export const secretRequestCodec = documentCodec('secret request', secretRequest, 256)

export const secretList = z.strictObject({ v: z.literal(1), secrets: list(secret, MAX_SECRETS) })
const MAX_LIST_BYTES = MAX_SECRETS * (MAX_SECRET_BYTES + 128) + 64
export const secretListCodec = documentCodec('secrets', secretList, MAX_LIST_BYTES)

import { z } from 'zod'
import { MAX_MANIFEST_BYTES } from './limits.ts'
import { ImageRefusal, malformed } from './refusal.ts'
import { get, readBody, type RegistryAccess } from './registry-http.ts'
import type { RegistryPlace } from './registry-name.ts'

export interface RegistryLogin { username: string, password: string }

const tokenAnswer = z.object({ token: z.string().min(1).optional(), access_token: z.string().min(1).optional() })

/** `Bearer realm="…",service="…"`: scheme and parameters of the first challenge (RFC 9110, 11.6.1). */
export function readChallenge(header: string): { scheme: string, params: Map<string, string> } {
  const scheme = /^ *([A-Za-z]+)/.exec(header)?.[1]?.toLowerCase() ?? ''
  const params = new Map<string, string>()
  for (const [, key = '', quotedText, bare] of header.slice(0, 8192).matchAll(/([a-z_]+)=(?:"([^"]*)"|([^\s,"]+))/gi)) params.set(key.toLowerCase(), quotedText ?? bare ?? '')
  return { scheme, params }
}

function basic({ username, password }: RegistryLogin): string {
  return `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`
}

function refused(place: RegistryPlace, login: RegistryLogin | undefined): ImageRefusal {
  return new ImageRefusal('E_IMAGE_LOGIN', login === undefined ? `the registry ${place.host} has no ${place.repository} for strangers: it may need a login` : `the registry ${place.host} does not let this login read ${place.repository}`)
}

/**
 * The answer to a registry's 401: the value of `Authorization` to come again with. A token server gets the login only where
 * TLS, or the owner's word for this very registry, guards it. Throws `E_IMAGE_LOGIN`.
 */
export async function authorize(header: string, place: RegistryPlace, login: RegistryLogin | undefined, access: RegistryAccess, signal: AbortSignal): Promise<string> {
  const { scheme, params } = readChallenge(header)
  if (scheme === 'basic' && login !== undefined) return basic(login)
  const realm = params.get('realm')
  if (scheme !== 'bearer' || realm === undefined) throw refused(place, login)
  if (!URL.canParse(realm)) malformed(`the registry ${place.host} names no token server`)
  const url = new URL(realm)
  // only the owner's own registries lead to each other
  if (access.localRegistries[url.host] !== undefined && access.localRegistries[place.host] === undefined) malformed(`the registry ${place.host} names a token server of this host's own network`)
  const service = params.get('service')
  if (service !== undefined) url.searchParams.set('service', service)
  url.searchParams.set('scope', `repository:${place.repository}:pull`)
  const response = await get(url, login === undefined ? {} : { authorization: basic(login) }, access, signal)
  const body = await readBody(response, MAX_MANIFEST_BYTES, url, signal)
  if (response.statusCode !== 200) throw [400, 401, 403].includes(response.statusCode ?? 0) ? refused(place, login) : new ImageRefusal('E_IMAGE_REGISTRY', `the token server ${url.host} answers ${response.statusCode}`)
  return `Bearer ${readToken(body, url)}`
}

function readToken(body: Buffer, url: URL): string {
  let answer: unknown
  try {
    answer = JSON.parse(body.toString())
  } catch {
    answer = undefined
  }
  const parsed = tokenAnswer.safeParse(answer)
  const token = parsed.success ? parsed.data.token ?? parsed.data.access_token : undefined
  // a header's value: no spaces, no line ends
  if (token === undefined || !/^[\x21-\x7e]+$/.test(token)) malformed(`the token server ${url.host} gives no token`)
  return token
}

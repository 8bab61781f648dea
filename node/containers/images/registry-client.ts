import { createHash } from 'node:crypto'
import { createWriteStream } from 'node:fs'
import type { IncomingMessage } from 'node:http'
import { pipeline } from 'node:stream/promises'
import { MAX_MANIFEST_BYTES, MAX_REDIRECTS } from './limits.ts'
import { INDEX_TYPES, MANIFEST_TYPES, sha256, type Descriptor } from './oci.ts'
import { ImageRefusal, malformed, quoted } from './refusal.ts'
import { authorize, type RegistryLogin } from './registry-auth.ts'
import { asRefusal, get, readBody, type RegistryAccess } from './registry-http.ts'
import { placeOf, type RegistryPlace } from './registry-name.ts'

const ACCEPT = [...INDEX_TYPES, ...MANIFEST_TYPES].join(', ')

/**
 * Reads one repository of a registry (OCI distribution specification 1.1): manifests and blobs, by digest, each checked
 * against it. Throws `ImageRefusal`.
 */
export class RegistryClient {
  readonly #place: RegistryPlace
  readonly #login: RegistryLogin | undefined
  readonly #access: RegistryAccess
  #authorization: string | undefined

  constructor(name: string, login: RegistryLogin | undefined, access: RegistryAccess) {
    this.#place = placeOf(name)
    this.#login = login
    this.#access = access
  }

  async manifest(digest: string, signal: AbortSignal): Promise<Buffer> {
    const { response, url } = await this.#get(`manifests/${digest}`, { accept: ACCEPT }, signal)
    const bytes = await readBody(response, MAX_MANIFEST_BYTES, url, signal)
    if (sha256(bytes) !== digest) throw new ImageRefusal('E_IMAGE_DIGEST', `the registry ${this.#place.host} gave another manifest than ${digest}`)
    return bytes
  }

  async smallBlob(descriptor: Descriptor, maxBytes: number, signal: AbortSignal): Promise<Buffer> {
    if (descriptor.size > maxBytes) malformed(`a part of the image has ${descriptor.size} bytes, more than ${maxBytes}`)
    const { response, url } = await this.#get(`blobs/${descriptor.digest}`, {}, signal)
    const bytes = await readBody(response, descriptor.size, url, signal)
    if (sha256(bytes) !== descriptor.digest) throw this.#wrongBlob(descriptor)
    return bytes
  }

  /** Writes a blob to a new file; it never grows beyond the size that the manifest names. */
  async blob({ digest, size }: Descriptor, path: string, onBytes: (bytes: number) => void, signal: AbortSignal): Promise<void> {
    const { response, url } = await this.#get(`blobs/${digest}`, {}, signal)
    const hash = createHash('sha256')
    let got = 0
    try {
      await pipeline(response, async function* (source: AsyncIterable<Buffer>) {
        for await (const bytes of source) {
          got += bytes.length
          if (got > size) throw new ImageRefusal('E_IMAGE_DIGEST', `the registry ${url.host} sends more than the ${size} bytes of ${digest}`)
          hash.update(bytes)
          onBytes(bytes.length)
          yield bytes
        }
      }, createWriteStream(path, { flags: 'wx', mode: 0o600 }), { signal })
    } catch (err) {
      throw isOfDisk(err) ? err : asRefusal(err, url, signal)
    } finally {
      response.destroy()
    }
    if (got !== size || `sha256:${hash.digest('hex')}` !== digest) throw this.#wrongBlob({ digest })
  }

  #wrongBlob({ digest }: Pick<Descriptor, 'digest'>): ImageRefusal {
    return new ImageRefusal('E_IMAGE_DIGEST', `the registry ${this.#place.host} gave other bytes than ${digest}`)
  }

  /** With the login or token that the registry asks for, and on to where it leads. */
  async #get(path: string, headers: Record<string, string>, signal: AbortSignal): Promise<{ response: IncomingMessage, url: URL }> {
    const { host, repository } = this.#place
    const scheme = this.#access.localRegistries[host] ?? 'https'
    if (!URL.canParse(`${scheme}://${host}/`)) malformed(`${quoted(host)} is no registry`)
    const first = new URL(`${scheme}://${host}/v2/${repository}/${path}`)
    const tried = this.#authorization
    const send = async (): Promise<IncomingMessage> => await get(first, { ...headers, ...this.#authorization === undefined ? {} : { authorization: this.#authorization } }, this.#access, signal)
    let response = await send()
    if (response.statusCode === 401) {
      response.destroy()
      // another part of the image may have asked meanwhile
      if (this.#authorization === tried) this.#authorization = await authorize(response.headers['www-authenticate'] ?? '', this.#place, this.#login, this.#access, signal)
      response = await send()
    }
    return await this.#follow(first, response, headers, signal)
  }

  /** The login stays with the registry: where it leads to (a content network) has its own in the address. */
  async #follow(first: URL, head: IncomingMessage, headers: Record<string, string>, signal: AbortSignal): Promise<{ response: IncomingMessage, url: URL }> {
    let response = head
    let url = first
    for (let hops = 0; [301, 302, 303, 307, 308].includes(response.statusCode ?? 0); hops++) {
      response.destroy()
      const to = response.headers.location ?? ''
      if (hops === MAX_REDIRECTS || !URL.canParse(to, url.href)) malformed(`the registry ${first.host} leads nowhere`)
      url = new URL(to, url)
      // of the owner's own registries one may lead to another
      if (this.#access.localRegistries[url.host] !== undefined && this.#access.localRegistries[first.host] === undefined) malformed(`the registry ${first.host} leads into this host's own network`)
      response = await get(url, { ...headers, ...url.origin === first.origin && this.#authorization !== undefined ? { authorization: this.#authorization } : {} }, this.#access, signal)
    }
    if (response.statusCode === 200) return { response, url }
    response.destroy()
    throw this.#refused(response.statusCode ?? 0)
  }

  #refused(status: number): ImageRefusal {
    const { host, repository } = this.#place
    if (status === 404) return new ImageRefusal('E_IMAGE_NOT_FOUND', `the registry ${host} has no such image of ${repository}`)
    if (status === 401 || status === 403) return new ImageRefusal('E_IMAGE_LOGIN', this.#login === undefined ? `the registry ${host} does not show ${repository} to strangers` : `the registry ${host} does not let this login read ${repository}`)
    return new ImageRefusal('E_IMAGE_REGISTRY', status === 429 ? `the registry ${host} wants fewer pulls from this host (429)` : `the registry ${host} answers ${status}`)
  }
}

function isOfDisk(err: unknown): boolean {
  return err instanceof Error && 'code' in err && ['ENOSPC', 'EDQUOT', 'EIO', 'EROFS'].includes(String(err.code))
}

/** JSON of what a node answers. Bytes (a signature within an ad) become base64, big amounts their digits. */
export function toJson(value: unknown, indent = ''): string {
  return JSON.stringify(value, (_, part: unknown) => typeof part === 'bigint' ? String(part) : part instanceof Uint8Array ? Buffer.from(part).toString('base64') : part, indent)
}

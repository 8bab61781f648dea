import { MAX_NAME_BYTES } from './limits.ts'

/** Device names that Windows finds in every directory, with any extension. */
const WINDOWS_DEVICE = /^(?:con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(?:\.|$)/i
/** Control characters, separators and what Windows reserves (a colon opens an alternate stream). */
const FORBIDDEN = /[\u0000-\u001f\u007f<>:"/\\|?*]/

/**
 * Whether a program may create a file or directory of this name. The rule is the same on every host, so that one program
 * has one result; every host can store what passes; and no name can be taken for an option by a careless script.
 */
export function isOutName(name: string): boolean {
  return name !== '' && name !== '.' && name !== '..' && !name.startsWith('-') && !name.endsWith('.') && !name.endsWith(' ') &&
    !FORBIDDEN.test(name) && !WINDOWS_DEVICE.test(name) && name.isWellFormed() &&
    (name.length * 3 <= MAX_NAME_BYTES || Buffer.byteLength(name) <= MAX_NAME_BYTES)
}

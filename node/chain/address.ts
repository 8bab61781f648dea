import { getAddress } from 'ethers/address'
import { HearthError } from '../../src/errors.ts'

/** An EVM address as a person gave it, in lower case. Mixed case must carry the right check digits (EIP-55). Throws E_CHAIN_ADDRESS. */
export function parseAddress(text: string): string {
  try {
    return getAddress(text.trim()).toLowerCase()
  } catch (err) {
    throw new HearthError('E_CHAIN_ADDRESS', `"${text.slice(0, 64)}" is not an address`, 'It is 0x and 40 hexadecimal digits; in mixed case one wrong digit is noticed, so copy it whole', { cause: err })
  }
}

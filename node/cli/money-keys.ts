/** What `price` and `caps` change, by the names that people type; completion offers them too. */
export const PRICE_KEYS = ['coreHour', 'gibHour', 'gpuHour', 'moved', 'fuel'] as const
export const CAP_KEYS = ['job', 'day', 'peer'] as const
/** Takes a cap away. */
export const NO_CAP = 'none'

/** Where an image's name leads: `alpine` and `docker.io/library/alpine` are one. */
export interface RegistryPlace {
  /** `host` or `host:port`. */
  host: string
  /** `library/alpine`. */
  repository: string
}

const HUB = 'docker.io'
const HUB_HOST = 'registry-1.docker.io'

/** Docker's rule: the first part is a host when it could not be a name's. */
export function placeOf(name: string): RegistryPlace {
  const [first = '', ...rest] = name.split('/')
  const hasHost = rest.length > 0 && (/[.:]/.test(first) || first === 'localhost')
  const host = hasHost ? first : HUB
  const path = hasHost ? rest.join('/') : name
  if (host === HUB || host === `index.${HUB}`) return { host: HUB_HOST, repository: path.includes('/') ? path : `library/${path}` }
  return { host, repository: path }
}

/** Where the socket's folder appears in the container. The relay's binary knows it too (relay/relay.c). */
export const CONTAINER_DIR = '/run/hearth'
/** Where the relay listens in the container's own network namespace (relay/relay.c). */
export const RELAY_ADDRESS = '127.0.0.1:3128'
/** Processes that the relay adds to a container: one that stays, and one that is gone before the job begins. Part of its pids limit. */
export const RELAY_PIDS = 2

/** Ports of a domain that is declared without one: TLS, and the plain kind that TLS upgrades from. */
export const DEFAULT_PORTS: readonly number[] = [443, 80]
/** Mail between servers: a home's address that spams is blocked by everybody, so no job gets this port. */
export const REFUSED_PORTS: readonly number[] = [25]
/** Entries in one job's list; as many as a job file may have. */
export const MAX_RULES = 64
/** A domain name in its ASCII form (RFC 1035), without the trailing dot. */
export const MAX_DOMAIN_CHARS = 253

/** Connections of one run, with and without a tunnel; as many as the relay holds (MAX_PAIRS in relay/relay.c). Two descriptors each. */
export const MAX_CONNECTIONS = 128
/** A CONNECT with a user agent and a few more lines takes 300 bytes. */
export const MAX_HEADER_BYTES = 8_192
/** From the connection until its request is whole. Both ends are on this PC. */
export const HEADER_TIMEOUT_MS = 10_000
/** All addresses of a name, all name servers and tries. */
export const RESOLVE_TIMEOUT_MS = 10_000
/** Addresses of one name that are looked at; larger answers are cut. */
export const MAX_ADDRESSES = 16
/** Addresses of one name that are tried, and how long each: a dead one is not waited for by the others for ever. */
export const MAX_DIALS = 4
export const DIAL_TIMEOUT_MS = 5_000
/** A tunnel without a byte either way. Longer than what servers keep an idle connection open. */
export const IDLE_TIMEOUT_MS = 300_000
/** New tunnels of one run: routers of homes remember few thousand connections, and nobody's server is to be flooded. More wait. */
export const TUNNELS_BURST = 128
export const TUNNELS_PER_S = 20
/** New connections of one run to its socket. Only an attack on the node's time makes more; then the run's network ends. */
export const CONNECTIONS_BURST = 2_000
export const CONNECTIONS_PER_S = 50

/** Different refusals of one run that are told; all are counted. */
export const MAX_REFUSALS = 100
/** Of what a job asked for, in what is told about it. */
export const MAX_TARGET_CHARS = 260
/** A unix socket's path on the strictest of our systems (macOS: 104 with the final zero byte). */
export const MAX_SOCKET_PATH_BYTES = 103

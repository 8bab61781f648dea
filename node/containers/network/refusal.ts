import { MAX_TARGET_CHARS } from './limits.ts'

/** Why a job's connection was refused or ended. */
export type NetCode =
  | 'E_NET_DOMAIN' | 'E_NET_PORT' | 'E_NET_LITERAL' | 'E_NET_ADDRESS' | 'E_NET_RESOLVE' | 'E_NET_CONNECT'
  | 'E_NET_METHOD' | 'E_NET_REQUEST' | 'E_NET_SLOW' | 'E_NET_BUSY' | 'E_NET_FLOOD' | 'E_NET_BYTES' | 'E_NET_IDLE' | 'E_NET_CLOSED'

/** What the requester is told of one refused connection. It names no address: that is the host's affair. */
export interface NetRefusal {
  code: NetCode
  /** What the job asked for, printable ASCII, cut. Empty where it never said. */
  target: string
  message: string
}

interface Words { status: number, reason: string, message: string }

const WORDS: Record<NetCode, Words> = {
  E_NET_DOMAIN: { status: 403, reason: 'Forbidden', message: 'the job does not declare this domain: add it to network.allow' },
  E_NET_PORT: { status: 403, reason: 'Forbidden', message: 'the job declares this domain, but not this port: write example.org:8080 in network.allow' },
  E_NET_LITERAL: { status: 403, reason: 'Forbidden', message: 'a job reaches domains by name, never addresses' },
  E_NET_ADDRESS: { status: 403, reason: 'Forbidden', message: 'the domain has no address on the public internet' },
  E_NET_RESOLVE: { status: 502, reason: 'Bad Gateway', message: 'the domain has no address, or no name server of the host answered in time' },
  E_NET_CONNECT: { status: 504, reason: 'Gateway Timeout', message: 'the domain\'s server refuses connections, or did not answer in time' },
  E_NET_METHOD: { status: 405, reason: 'Method Not Allowed', message: 'this proxy only tunnels (CONNECT): use https, or ask the program to tunnel plain http too' },
  E_NET_REQUEST: { status: 400, reason: 'Bad Request', message: 'not a proper CONNECT request' },
  E_NET_SLOW: { status: 408, reason: 'Request Timeout', message: 'the request did not come in time' },
  E_NET_BUSY: { status: 503, reason: 'Service Unavailable', message: 'too many connections at once' },
  E_NET_FLOOD: { status: 503, reason: 'Service Unavailable', message: 'the run opened connections without end: its network is closed' },
  E_NET_BYTES: { status: 403, reason: 'Forbidden', message: 'the run has used the traffic that the job agreed to: raise network.max' },
  E_NET_IDLE: { status: 408, reason: 'Request Timeout', message: 'nothing came either way for too long' },
  E_NET_CLOSED: { status: 503, reason: 'Service Unavailable', message: 'the run has ended' }
}

/** A refusal for people. `target` may be any bytes of a stranger. */
export function refusal(code: NetCode, target: string): NetRefusal {
  return { code, target: target.slice(0, MAX_TARGET_CHARS).replaceAll(/[^\u0021-\u007E]/g, '?'), message: WORDS[code].message }
}

/** The same as a whole HTTP answer to the job, after which the connection is closed. */
export function refusalAnswer(code: NetCode): string {
  const { status, reason, message } = WORDS[code]
  const body = `hearth: ${message} [${code}]\n`
  return `HTTP/1.1 ${status} ${reason}\r\nConnection: close\r\nContent-Type: text/plain\r\nContent-Length: ${Buffer.byteLength(body)}\r\nX-Hearth-Code: ${code}\r\n\r\n${body}`
}

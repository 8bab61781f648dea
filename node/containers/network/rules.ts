import { isIP } from 'node:net'
import { domainToASCII } from 'node:url'
import { HearthError } from '../../../src/errors.ts'
import { DEFAULT_PORTS, MAX_DOMAIN_CHARS, MAX_RULES, REFUSED_PORTS } from './limits.ts'
import type { NetCode } from './refusal.ts'

/** A connection that the rules allow, or why not. `host` is the name in its one ASCII form. */
export type RuleDecision = { ok: true, host: string, port: number } | { ok: false, code: NetCode }

interface Rule { host: string, isWildcard: boolean, ports: readonly number[] }

const LABEL = /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/
/** In an authority (RFC 3986) these end the host or hide another; `domainToASCII` would cut or decode them. */
const UNFIT = /[\s/\\?#@%:[\]<>^|\u0000-\u001F\u007F]/

type Name = { kind: 'name', host: string } | { kind: 'address' } | { kind: 'unfit' }

/** As a browser reads a host (WHATWG URL): case, IDN, a trailing dot, and numbers that are addresses in decimal, octal or hex. */
function readName(text: string): Name {
  if (isIP(text) !== 0 || text.startsWith('[')) return { kind: 'address' }
  if (text === '' || UNFIT.test(text)) return { kind: 'unfit' }
  const host = domainToASCII(text.replace(/\.$/, ''))
  const labels = host.split('.')
  if (isIP(host) !== 0 || /(^|\.)(\d+|0[xX][0-9a-fA-F]*)\.?$/.test(text)) return { kind: 'address' }
  if (host.length > MAX_DOMAIN_CHARS || labels.length < 2 || !labels.every((label) => LABEL.test(label))) return { kind: 'unfit' }
  return { kind: 'name', host }
}

function refuse(entry: string, what: string, hint: string): never {
  throw new HearthError('E_NET_ALLOW', `network.allow has "${entry}", ${what}`, hint)
}

function readPort(text: string): number | undefined {
  const port = /^[1-9]\d{0,4}$/.test(text) ? Number(text) : 0
  return port > 0 && port < 65_536 ? port : undefined
}

function readRule(entry: string): Rule {
  const [, star, domain = '', portText] = /^(\*\.)?(.*?)(?::(\d+))?$/s.exec(entry) ?? []
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(entry)) refuse(entry, 'which is an address of a page', 'Write only its domain, such as example.org')
  const name = readName(domain)
  if (name.kind === 'address') refuse(entry, 'which is an IP address', 'Jobs reach domains by name: write the name')
  if (name.kind === 'unfit') refuse(entry, 'which is no full domain name', 'Write a name with its dots, such as example.org, *.example.org or example.org:8080')
  if (portText === undefined) return { host: name.host, isWildcard: star !== undefined, ports: DEFAULT_PORTS }
  const port = readPort(portText)
  if (port === undefined) refuse(entry, `whose port ${portText} is none`, 'Ports are 1 to 65535')
  if (REFUSED_PORTS.includes(port)) refuse(entry, `and port ${port} is mail between servers, which no host lends`, 'Send mail through the https interface of a mail service')
  return { host: name.host, isWildcard: star !== undefined, ports: [port] }
}

/**
 * The domains a job declares, in one form. An entry is `example.org` (that name alone, ports 443 and 80), `*.example.org`
 * (all names below it, not itself), or either with one port, `example.org:8080`.
 */
export class NetworkRules {
  readonly #rules: readonly Rule[]

  private constructor(rules: readonly Rule[]) {
    this.#rules = rules
  }

  /** Throws `E_NET_ALLOW`, naming the entry at fault. */
  static parse(allow: readonly string[]): NetworkRules {
    if (allow.length > MAX_RULES) throw new HearthError('E_NET_ALLOW', `network.allow has ${allow.length} entries, more than ${MAX_RULES}`, 'Declare fewer domains, or their parent as *.example.org')
    return new NetworkRules(allow.map(readRule))
  }

  /** Whether a job may connect to what it wrote in its CONNECT line, `host:port`. */
  decide(authority: string): RuleDecision {
    const [, hostText, portText] = /^(\[[^\]]*\]|[^:]*):([^:]*)$/.exec(authority) ?? []
    if (hostText === undefined || portText === undefined) return { ok: false, code: 'E_NET_REQUEST' }
    const port = readPort(portText)
    const name = readName(hostText)
    if (name.kind === 'address') return { ok: false, code: 'E_NET_LITERAL' }
    if (port === undefined || hostText === '' || UNFIT.test(hostText)) return { ok: false, code: 'E_NET_REQUEST' }
    if (name.kind === 'unfit') return { ok: false, code: 'E_NET_DOMAIN' }
    const { host } = name
    const fitting = this.#rules.filter((rule) => rule.isWildcard ? host.endsWith(`.${rule.host}`) : host === rule.host)
    if (fitting.length === 0) return { ok: false, code: 'E_NET_DOMAIN' }
    return fitting.some(({ ports }) => ports.includes(port)) ? { ok: true, host, port } : { ok: false, code: 'E_NET_PORT' }
  }
}

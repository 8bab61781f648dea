import { join, resolve } from 'node:path'
import { HearthError, invariant } from '../../src/errors.ts'
import { sharePolicy } from '../../src/documents/share.ts'
import type { SharePolicy } from '../../src/documents/share.ts'
import { HOUR_MS, MIB, SECOND_MS } from '../../src/units.ts'
import type { Config, Machine } from './config.ts'
import { PORT_PLACEHOLDER } from './fields.ts'
import type { Merged } from './merge.ts'
import { MAX_PROVIDER_SETS, PROVIDER_SET_NAME } from './schema.ts'
import type { ConfigFile } from './schema.ts'

/** `auto` memory: what is lent of a machine that is also used, but never less than a default job asks for. */
const AUTO_MEMORY_SHARE = 1 / 4
const MIN_AUTO_MEMORY_BYTES = 256 * MIB
const AUTO_CORES_SHARE = 1 / 2

/** The path at a key, absolute: `~` is the home folder; a relative one begins where it was written. */
export function placePath({ tree, sourceOf }: Merged, key: string, machine: Machine): string | undefined {
  const value = key.split('.').reduce<unknown>((at, part) => typeof at === 'object' && at !== null ? Reflect.get(at, part) : undefined, tree)
  if (typeof value !== 'string') return undefined
  if (value === '~' || value.startsWith('~/')) return join(machine.homeDir, value.slice(1))
  return resolve(sourceOf(key)?.baseDir ?? machine.cwd, value)
}

/** Half of the cores, whole ones where there are several: a wasm task takes one. */
function autoCores(machine: Machine): number {
  return Math.max(1, Math.floor(machine.cores * AUTO_CORES_SHARE))
}

function autoMemoryBytes(machine: Machine): number {
  return Math.max(MIN_AUTO_MEMORY_BYTES, Math.floor(machine.memoryBytes * AUTO_MEMORY_SHARE / MIB) * MIB)
}

function buildShare(file: ConfigFile['share'], machine: Machine): SharePolicy {
  return sharePolicy.parse({
    enabled: file.enabled,
    paused: false,
    cores: file.cores === 'auto' ? autoCores(machine) : file.cores,
    memoryBytes: file.memory === 'auto' ? autoMemoryBytes(machine) : file.memory,
    diskBytes: file.disk,
    gpus: file.gpus,
    engines: file.engines ?? [],
    region: file.region,
    maxRunMs: file.maxRun,
    maxInputBytes: file.maxInput,
    uploadBytesPerSecond: file.uploadLimit,
    images: file.images ?? [],
    imageSigners: file.imageSigners ?? [],
    denyImages: file.denyImages ?? [],
    anyImage: file.anyImage,
    containerNetwork: file.containerNetwork,
    maxImageBytes: file.maxImage,
    allow: file.allow ?? [],
    deny: file.deny ?? [],
    hours: file.hours ?? [],
    onlyWhenIdle: file.onlyWhenIdle,
    busyPrograms: file.busyPrograms ?? [],
    maxRequesterFaultShare: file.maxRequesterFaultShare
  })
}

function checkSets(sets: Record<string, string[]>): Record<string, string[]> {
  const names = Object.keys(sets)
  if (names.length > MAX_PROVIDER_SETS) throw new HearthError('E_CONFIG_RANGE', `requester.providerSets has ${names.length} sets, more than ${MAX_PROVIDER_SETS}`, 'Join some of them')
  const bad = names.find((name) => !PROVIDER_SET_NAME.test(name))
  if (bad !== undefined) throw new HearthError('E_CONFIG_VALUE', `requester.providerSets: "${bad}" is not a name for a set`, 'Use letters, digits, - and _')
  return sets
}

/** Two settings that exclude each other, found before a node half starts. */
function checkRules(file: ConfigFile): void {
  const { network, share } = file
  const both = (share.allow ?? []).find((peer) => share.deny?.includes(peer))
  if (both !== undefined) throw new HearthError('E_CONFIG_CONFLICT', `share allows and denies ${both}`, 'Remove it from one of the two')
  if (network.relayServer && (network.listen ?? []).length === 0) throw new HearthError('E_CONFIG_CONFLICT', 'network.relayServer is true, but network.listen is empty', 'A relay must listen: add an address, or switch it off')
}

const BASIS = 10_000

/** A mode that pays needs to know its chain. */
function buildPayment(payment: ConfigFile['payment']): Config['payment'] {
  const { mode, allow = [], quota, rpcUrl, chainId, contract, confirmations, payee, price, unit, ticketLife, holdback, refund, redeemShare, maxFeePerGas, bondShares, maxPrepay, caps, confirmAbove, pollInterval } = payment
  const both = { allow, quotaCoreMs: quota * HOUR_MS }
  if (mode === 'free') return { ...both, mode }
  const missing = Object.entries({ rpcUrl, chainId, contract }).find(([, value]) => value === undefined)?.[0]
  if (rpcUrl === undefined || chainId === undefined || contract === undefined) throw new HearthError('E_CONFIG_MISSING', `payment.mode is ${mode}, but payment.${missing} is not set`, mode === 'devnet' ? 'Start `hearth devnet`: it prints what to write' : 'Name the JSON-RPC service, the chain and the ticket broker on it')
  return {
    ...both, mode,
    chain: {
      rpcUrl, chainId, contract, confirmations,
      prices: { coreHourWei: price.coreHour, gibHourWei: price.gibHour, gpuHourWei: price.gpuHour, movedWei: price.moved, fuelWei: price.fuel },
      unitMs: unit, ticketLifeSec: Math.floor(ticketLife / SECOND_MS), holdback: Math.round(holdback * BASIS), refund: Math.round(refund * BASIS), redeemShare, maxFeePerGasWei: maxFeePerGas, bondShares, maxPrepayWei: maxPrepay,
      caps: { ...caps.job === undefined ? {} : { jobWei: caps.job }, ...caps.day === undefined ? {} : { dayWei: caps.day }, ...caps.peer === undefined ? {} : { peerDayWei: caps.peer } },
      ...payee === undefined ? {} : { payee }, ...confirmAbove === undefined ? {} : { confirmAboveWei: confirmAbove }, ...pollInterval === undefined ? {} : { pollMs: pollInterval }
    }
  }
}

/** The frozen configuration from a checked file. Throws `E_CONFIG_CONFLICT` and the like for what the schema can not say. */
export function build(file: ConfigFile, merged: Merged, machine: Machine): Config {
  checkRules(file)
  const dataDir = placePath(merged, 'dataDir', machine)
  invariant(dataDir !== undefined, 'a checked configuration has no dataDir')
  const passphraseFile = placePath(merged, 'passphraseFile', machine)
  const socket = placePath(merged, 'api.socket', machine)
  const { network, requester } = file
  return deepFreeze<Config>({
    dataDir,
    ...(passphraseFile === undefined ? {} : { passphraseFile }),
    network: {
      ...network,
      listen: (network.listen ?? []).map((address) => address.replace(PORT_PLACEHOLDER, String(network.port))),
      announce: network.announce ?? [],
      bootstrap: network.bootstrap ?? []
    },
    share: buildShare(file.share, machine),
    store: { quotaBytes: file.store.quota },
    containers: { ...file.containers.socket === undefined ? {} : { socketPath: file.containers.socket }, quotaBytes: file.containers.quota, localRegistries: file.containers.localRegistries },
    requester: { bidWindowMs: requester.bidWindow, maxProviders: requester.maxProviders, keepJobsMs: requester.keepJobs, providerSets: checkSets(requester.providerSets ?? {}) },
    payment: buildPayment(file.payment),
    api: socket === undefined ? {} : { socket },
    log: { level: file.log.level }
  })
}

function deepFreeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return value
  for (const child of Object.values(value)) deepFreeze(child)
  return Object.freeze(value)
}

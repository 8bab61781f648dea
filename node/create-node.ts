import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { peerIdFromString } from '@libp2p/peer-id'
import { SecretProtocol } from '../protocols/secret/index.ts'
import { toHex } from '../src/codec/hasher.ts'
import { refuse } from '../src/codec/result.ts'
import type { EffectOf } from '../src/core/effect.ts'
import type { PeerEvent } from '../src/core/event.ts'
import type { Message } from '../src/documents/message.ts'
import type { Hardware } from '../src/documents/resources.ts'
import type { SharePolicy } from '../src/documents/share.ts'
import { HearthError } from '../src/errors.ts'
import type { Self } from '../src/job/parts.ts'
import { marketsOf } from '../src/market/fit.ts'
import { PARAMS_TEXT } from '../src/params.ts'
import type { Secrets } from '../src/payment/draws.ts'
import { HOUR_MS } from '../src/units.ts'
import { Peer } from '../src/peer.ts'
import type { PeerOptions } from '../src/peer.ts'
import type { NodeApi } from './api/contract.ts'
import type { Config } from './config/index.ts'
import { ContentStore } from './content/index.ts'
import { Driver, systemNow } from './driver/driver.ts'
import { faultPointsFrom } from './driver/fault-points.ts'
import { Notices } from './driver/notices.ts'
import { Performer } from './driver/performer.ts'
import { AdBook } from './host/ad-book.ts'
import { lentHardware } from './host/hardware.ts'
import { HostMonitor } from './host/monitor.ts'
import { ShareStore } from './host/share-store.ts'
import { nativeHasher, nodeKeys, openSeed, secretBox } from './keys/index.ts'
import { ticketSecrets } from './keys/ticket-secrets.ts'
import type { NodeKeys, SecretBox } from './keys/index.ts'
import { domainOf, openMoney, openSettings } from './money/open-money.ts'
import type { Money } from './money/open-money.ts'
import type { MoneySettingsStore } from './money/settings-store.ts'
import { createNetwork } from './network/create-network.ts'
import type { FoundAd } from './network/ad-finder.ts'
import type { Network } from './network/network.ts'
import { Access } from './service/access.ts'
import { draftJob, prepareJob } from './service/job-store.ts'
import { takeEarly } from './service/early.ts'
import { findJob } from './service/find-job.ts'
import { dropLeftovers, JOB_OWNER } from './service/leftovers.ts'
import { ImagesService } from './service/images-service.ts'
import { MoneyService } from './service/money-service.ts'
import { Quotes } from './service/quotes.ts'
import { SecretStore } from './service/secret-store.ts'
import { NodeService } from './service/service.ts'
import { Drain } from './service/drain.ts'
import { RecordStore } from './store/record-store.ts'
import { Comparer } from './work/compare.ts'
import { InlineResults } from './work/inline-results.ts'
import { LogHub } from './work/log-hub.ts'
import type { ContainerEngine } from './work/container-engine.ts'
import { openEngines } from './work/open-engines.ts'
import { Possession } from './work/possession.ts'
import { fetchExactly, openTransfer } from './work/transfer.ts'
import type { OpenTransfer } from './work/transfer.ts'
import { Worker } from './work/worker.ts'

/** What a unit may cost is the caps' to say, and the job's own. */
const MAX_UNIT_PRICE_WEI = (1n << 128n) - 1n

/** For `ads` and `estimate`: a person waits. */
const MAX_ADS_ASKED = 64
const ASK_ADS_MS = 3_000
const FORGET_EVERY_MS = HOUR_MS

export interface HearthNode {
  readonly api: NodeApi
  readonly peerId: string
  /** Resolves when the node has stopped, by whoever asked. */
  readonly stopped: Promise<void>
  /** Takes no more work, waits for running tasks up to `withinMs`, then ends. */
  stop(withinMs: number): Promise<void>
}

export interface NodeOptions {
  version: string
  env: NodeJS.ProcessEnv
  /** The store failed while the node ran: it has stopped, since it can promise nothing any more. */
  onFatal: (err: unknown) => void
  /** Of the node's key, where it was typed rather than configured. */
  passphrase?: string
}

/** Opens every room of the node and joins them. Read it as the table of contents. */
export async function createNode(config: Config, options: NodeOptions): Promise<HearthNode> {
  const { dataDir } = config
  const { keys, secrets, box } = await loadKeys(config, options.passphrase)
  const store = await RecordStore.open(join(dataDir, 'records'))
  const content = await ContentStore.open({ dir: join(dataDir, 'content'), quotaBytes: config.store.quotaBytes })
  const share = await ShareStore.open(dataDir, config.share)
  const settings = await openSettings(config)
  const self = selfOf(config, keys)

  const peer = new Peer({ self, hasher: nativeHasher, ...lent(share.get(), { isReady: false, cards: [] }), requester: config.requester, free: { allow: config.payment.allow, coreMsADay: config.payment.quotaCoreMs }, ...paymentOf(config, secrets, settings) })
  peer.restore(await store.load())
  await dropLeftovers(content, (job) => peer.requesting.jobs.has(job))
  const jobSecrets = await SecretStore.open(join(dataDir, 'secrets'), box, (job) => peer.requesting.jobs.get(job)?.state.kind === 'running')

  const network = await createNetwork({ keys, options: networkOf(config, options.version), region: share.get().region, dataDir, separator: self.separator, chainId: self.chainId, contract: self.contract, agreementOf: (id) => peer.agreement(id), payPartiesOf: (id) => peer.payParties(id), ticketRefusal: (message) => peer.ticketRefusal(message, systemNow()) })
  network.setAd(() => undefined)
  const access = new Access(peer)
  const transfer = await openTransfer({ streams: network.streams, store: content, mayRead: (request) => access.mayRead(request), uploadBytesPerSecond: share.get().uploadBytesPerSecond, onMisconduct: (from, code, message) => { network.report(from, refuse(code, message)) } })
  const secretProtocol = await serveSecrets(network, jobSecrets, peer)
  const logs = new LogHub()
  const inline = new InlineResults(content)
  const notices = new Notices(store)
  const ads = new AdBook()

  let driver: Driver | undefined
  const dispatch = (event: PeerEvent): void => { driver?.dispatch(event) }
  const money = await openMoney({ config, settings, signer: keys, secrets, room: store.room('chain'), journalRoom: store.room('money'), peer, notify: (notice) => { notices.publish(notice) }, dispatch })
  const { wasm, containers, engines, close: closeEngines } = await openEngines({
    dataDir, maxRuns: Math.floor(share.get().cores), misbehaves: options.env['TEST_HEARTH_MISBEHAVE'],
    containers: {
      node: keys.peerId, settings: config.containers, policy: () => share.get(),
      askSecrets: async (requester, lease, signal) => await secretProtocol.ask(peerIdFromString(requester), { v: 1, ...lease }, signal),
      ownAddresses: () => network.addresses().flatMap((address) => /^\/ip[46]\/([^/]+)/.exec(address)?.[1] ?? []),
      cardsOf: (agreement) => peer.hosting.capacity.cardsOf(agreement),
      onChange: (what) => { dispatch({ kind: 'share', ...lent(share.get(), what) }) }
    }
  })
  const lends = (): void => { dispatch({ kind: 'share', ...lent(share.get(), containers) }) }
  const worker = new Worker({ dir: join(dataDir, 'work'), content, fetch: new Possession({ self: keys.peerId, isPublic: (cid) => share.get().images.includes(cid) }).proven(transfer.fetch), engines, logs, dispatch })
  const monitor = new HostMonitor({ dir: dataDir, policy: () => share.get(), onChange: (host) => { dispatch({ kind: 'host', host }) } })
  const seen = (found: FoundAd): void => {
    ads.add(found.ad, found.latencyMs, Date.now())
    dispatch({ kind: 'ad', ad: found.ad, latencyMs: found.latencyMs })
  }
  const comparer = new Comparer({ dir: join(dataDir, 'compare'), content, fetch: transfer.fetch, inline, dispatch, notify: (notice) => { notices.publish(notice) } })
  const performer = new Performer({
    network, worker, fetch: fetchExactly(transfer.fetch, content), comparer, inline, notices, dispatch, onMoney: (effect) => { money?.perform(effect) },
    candidates: (offer) => ads.serving(offer, Date.now()),
    onBid: () => { wasm.warm() },
    onAd: (ad, latencyMs) => { seen({ ad, latencyMs }) },
    onAdvertise: (effect) => { advertise(network, peer, effect) },
    jobOver: async (job) => { await jobSecrets.forget(job) },
    // also told of jobs of others, one of whom may name a job of ours
    releaseRequested: async (job) => {
      access.forget(job)
      for (const { cid, owner } of [...content.pins()]) if (owner === JOB_OWNER + job && !peer.requesting.jobs.has(job)) await content.unpin(cid, owner)
    }
  })
  const quotes = new Quotes({ requester: keys.peerId, asPayer: () => peer.paying.asPayer(self.identity), probe: async (offer, peers) => await network.probeOffer(offer, peers) })
  const drain = new Drain({ worker, dispatch })
  const stopped = Promise.withResolvers<void>()
  driver = new Driver({ peer, store, perform: (effect) => { performer.perform(effect) }, faultPoint: faultPointsFrom(options.env), onStoreFailure: options.onFatal, onWake: () => { network.refresh() } })

  hear(network, inline, quotes, dispatch, seen)
  network.serveLogs((from, request, signal) => access.logs(from, request, (lease) => logs.follow(lease, signal)))
  dispatch({ kind: 'start', hardware: lentHardware(share.get(), containers.cards), host: await monitor.look() })
  lends()
  for (const { peer: connected } of network.peers()) dispatch({ kind: 'peer-connected', peer: connected })
  monitor.start()
  const forgetting = forgetOld(peer, config.requester.keepJobsMs, dispatch)

  let stopping: Promise<void> | undefined
  const close = async (): Promise<void> => {
    await drain.run()
    monitor.stop()
    clearInterval(forgetting)
    await driver.stop()
    await money?.close()
    await worker.close()
    await comparer.close()
    await closeEngines()
    await secretProtocol.stop()
    await transfer.stop()
    await network.stop()
    await notices.close()
    await content.close()
    await store.close()
    stopped.resolve()
  }
  const stop = (withinMs: number): Promise<void> => {
    drain.within(withinMs)
    return stopping ??= close()
  }

  const api = serviceOf({ config, version: options.version, keys, peer, driver, network, content, share, notices, ads, worker, monitor, transfer, jobSecrets, containers, lends, seen, dispatch, money, quotes, stop })
  return { api, peerId: keys.peerId, stopped: stopped.promise, stop }
}

interface Rooms {
  config: Config, version: string, keys: NodeKeys, peer: Peer, driver: Driver, network: Network, content: ContentStore, share: ShareStore
  notices: Notices, ads: AdBook, worker: Worker, monitor: HostMonitor, transfer: OpenTransfer, jobSecrets: SecretStore, containers: ContainerEngine, lends: () => void, seen: (found: FoundAd) => void, dispatch: (event: PeerEvent) => void, money: Money | undefined, quotes: Quotes, stop: (withinMs: number) => Promise<void>
}

/** The node's face to its people, over the rooms. */
function serviceOf({ config, version, keys, peer, driver, network, content, share, notices, ads, worker, monitor, transfer, jobSecrets, containers, lends, seen, dispatch, money, quotes, stop }: Rooms): NodeApi {
  const settled = async (): Promise<void> => { await driver.settled() }
  const jobs = { content, requester: keys.peerId, providerSets: config.requester.providerSets, secrets: jobSecrets }
  return new NodeService({
    peer, peerId: keys.peerId, address: keys.address, mode: config.payment.mode, version, dataDir: config.dataDir, notices, dispatch, settled, quotes,
    images: new ImagesService({ store: () => containers.images, policy: () => share.get(), quotaBytes: config.containers.quotaBytes, keys, content }),
    money: new MoneyService({ config, money, peer, address: keys.address, payee: keys.identity.payee, dispatch, settled, job: (id) => findJob(peer.requesting.jobs, id) }),
    prepare: async (request, nonce, watch) => await prepareJob(jobs, request, nonce, watch),
    draft: async (request, nonce) => await draftJob(jobs, request, nonce),
    exportContent: async (cid, to, watch) => { const { files, sizeBytes } = await content.export(cid, to, watch); return { files, bytes: sizeBytes } },
    peek: async (job, task) => await takeEarly({ send: async (to, message) => { await network.send(to, message) }, notices, fetch: transfer.fetch, unpin: async (cid, owner) => { await content.unpin(cid, owner) } }, job, task),
    logs: {
      followLive: (from, lease, stream, signal) => network.followLogs(from, { v: 1, ...lease, follow: stream, fromByte: 0 }, signal),
      readFile: async (root, path, maxBytes) => {
        const file = (await content.list(root)).find((entry) => entry.path === path)
        return file === undefined ? new Uint8Array() : await content.readFile(file.cid, { maxBytes })
      }
    },
    network: {
      addresses: () => network.addresses(),
      peers: () => network.peers().map((view) => ({ ...view, latencyMs: view.latencyMs ?? 0 })),
      dial: async (address) => await network.dial(address),
      publicAddress: () => network.addresses().some((address) => !/^\/ip4\/(127|10|192\.168|172\.(1[6-9]|2\d|3[01])|169\.254)\.|^\/ip6\/(::1|f[cde])/.test(address)),
      send: async (to, message) => { await network.send(to, message) },
      fetchAd: async (peerId, signal) => await network.fetchAd(peerId, signal)
    },
    ads: () => ads.current(Date.now()),
    askForAds: async (engine) => {
      for await (const found of network.findAds({ engine, hardware: 'cpu', regions: ['any'] }, { max: MAX_ADS_ASKED, signal: AbortSignal.timeout(ASK_ADS_MS) })) seen(found)
    },
    share: {
      get: () => share.get(),
      set: async (change) => {
        const policy = await share.set(change)
        transfer.limitUpload(policy.uploadBytesPerSecond)
        if (change.gpus === true || change.engines?.includes('container') === true) await containers.look()
        lends()
        dispatch({ kind: 'host', host: await monitor.look() })
      }
    },
    running: () => worker.running,
    containers: () => containers.report(),
    storeUsage: () => content.usage(),
    stop
  })
}

async function loadKeys({ dataDir, passphraseFile, payment }: Config, typed?: string): Promise<{ keys: NodeKeys, secrets: Secrets, box: SecretBox }> {
  const passphrase = typed ?? (passphraseFile === undefined ? undefined : (await readFile(passphraseFile, 'utf8').catch((err: unknown) => {
    throw new HearthError('E_KEY_PASSPHRASE', `cannot read ${passphraseFile}`, 'Check passphraseFile in the configuration', { cause: err })
  })).replace(/\r?\n$/, ''))
  const { seed } = await openSeed({ dataDir, ...passphrase === undefined ? {} : { passphrase } })
  return { keys: await nodeKeys(seed, payment.mode === 'free' ? undefined : payment.chain.payee), secrets: ticketSecrets(seed), box: secretBox(seed) }
}

function selfOf(config: Config, keys: NodeKeys): Self {
  return { identity: keys.identity, ...domainOf(config), paramsHash: toHex(createHash('sha256').update(PARAMS_TEXT).digest()) }
}

/** What this host can do now, of what its owner lends. */
function lent(policy: SharePolicy, { isReady, cards }: Pick<ContainerEngine, 'isReady' | 'cards'>): { policy: SharePolicy, hardware: Hardware } {
  return { policy: isReady ? policy : { ...policy, engines: policy.engines.filter((engine) => engine !== 'container') }, hardware: lentHardware(policy, cards) }
}

/** How this node asks and pays, where it does. */
function paymentOf({ payment }: Config, secrets: Secrets, settings: MoneySettingsStore | undefined): Pick<PeerOptions, 'payment'> {
  if (payment.mode === 'free' || settings === undefined) return {}
  const { prices, caps } = settings.get()
  const { unitMs, ticketLifeSec, holdback, refund, redeemShare, bondShares, maxPrepayWei } = payment.chain
  return {
    payment: {
      payer: { caps, terms: { maxUnitPriceWei: MAX_UNIT_PRICE_WEI, minHoldback: holdback, maxPrepayWei } },
      earner: { prices, unitMs, ticketLifeSec, holdback, refund, maxCostShare: Math.max(1, Math.round(redeemShare * 10_000)), bondShares },
      // the core may ask what a secret draws, never for the secret
      draws: { commit: (offerId, index) => secrets.commit(offerId, index), wins: (...draw) => secrets.wins(...draw) }
    }
  }
}

/** What gets a node through a router has no use on a local network. */
function networkOf({ network }: Config, version: string): Parameters<typeof createNetwork>[0]['options'] {
  const { listen, announce, bootstrap, mdns, upnp, autonat, relayClient, relayServer, dht, local, maxConnections } = network
  return { scope: local ? 'local' : 'public', listen, announce, bootstrap, mdns, upnp: upnp && !local, autonat: autonat && !local, dht, relay: { client: relayClient && !local, server: relayServer }, maxConnections, agent: `hearth/${version}` }
}

/** Ended jobs go after a while, with what was kept for them: looked at now and every hour. */
function forgetOld(peer: Peer, keepMs: number, dispatch: (event: PeerEvent) => void): NodeJS.Timeout {
  const look = (): void => {
    const old = [...peer.requesting.jobs.values()].filter(({ state }) => state.kind !== 'running' && Date.now() - state.endedWallMs > keepMs)
    for (const { id } of old) dispatch({ kind: 'forget', job: id })
  }
  look()
  return setInterval(look, FORGET_EVERY_MS).unref()
}

/** Providers of our leases are given our jobs' secrets; as a provider this node asks for those of others. */
async function serveSecrets(network: Network, secrets: SecretStore, peer: Peer): Promise<SecretProtocol> {
  const protocol = new SecretProtocol({ network: network.streams, source: async (from, request) => await secrets.give(peer, from, request), onRefused: (from, refusal) => { network.report(from, refusal) } })
  await protocol.start()
  return protocol
}

/** Peers' words become events. */
function hear(network: Network, inline: InlineResults, quotes: Quotes, dispatch: (event: PeerEvent) => void, onAd: Parameters<Network['onAd']>[0]): void {
  // whom it serves is decided by a host when it is asked: no other message needs it
  const asked = (from: string, message: Message): void => {
    const standing = network.standing(from)
    dispatch({ kind: 'message', from, message, ...standing === undefined ? {} : { standing } })
  }
  network.onMessage((from, message) => {
    if (quotes.hears(from, message)) return
    if (message.kind === 'propose') asked(from, message)
    else dispatch({ kind: 'message', from, message: message.kind === 'reveal' ? inline.detach(message) : message })
  })
  network.onOffer((offer) => { asked(offer.requester, { kind: 'offer', offer }) })
  network.onPeer(({ kind, peer }) => { dispatch({ kind: kind === 'connected' ? 'peer-connected' : 'peer-disconnected', peer }) })
  network.onUnreachable((peer) => { dispatch({ kind: 'unreachable', peer }) })
  network.onAd(onAd)
}

/** What the core lends now becomes this node's ad and its sub-markets. */
function advertise(network: Network, peer: Peer, { open, free }: EffectOf<'advertise'>): void {
  const { policy, capacity } = peer.hosting
  network.setAd(() => policy.enabled ? { region: policy.region, engines: policy.engines, hardware: capacity.total, free, open } : undefined)
  network.setMarkets(policy.enabled ? marketsOf(policy.engines, capacity.total, policy.region) : [])
  network.refreshAd()
}

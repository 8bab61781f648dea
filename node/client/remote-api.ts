import type { NodeApi, NodeStatus, SubmitRequest, Estimate, EstimateRequest, JobSummary, JobDetail, WhyReport, LogChunk, ResultsReport, PeerSummary, AdSummary, ShareReport, Check, Timestamped, Watch } from '../api/contract.ts'
import type { Bill, CapsReport, EarningsReport, MoneyMoved, PriceReport, RefundsReport, TicketsReport, Wallet, Withdrawal } from '../api/money.ts'
import type { ImagesReport } from '../api/images.ts'
import type { Argument, CallMethod, Item, Result, StreamMethod } from '../api/methods.ts'
import { HearthError } from '../../src/errors.ts'
import { untilAborted } from '../api/until-aborted.ts'
import { Link } from './link.ts'

/**
 * The node's interface over its local socket. It connects at the first call, and again after the node was restarted;
 * calls that were under way then are rejected with E_NODE_DOWN, since only the caller knows whether to repeat them.
 */
export class RemoteApi implements NodeApi {
  readonly #path: string
  #link: Link | undefined
  #opening: Promise<Link> | undefined
  #closed = false

  constructor(path: string) {
    this.#path = path
  }

  status(): Promise<NodeStatus> { return this.#call('status', undefined) }
  submit(request: SubmitRequest, watch?: Watch): Promise<Result<'submit'>> { return this.#call('submit', request, watch) }
  estimate(request: EstimateRequest): Promise<Estimate> { return this.#call('estimate', request) }
  jobs(): Promise<JobSummary[]> { return this.#call('jobs', undefined) }
  job(id: string): Promise<JobDetail> { return this.#call('job', id) }
  why(idOrIdle: string): Promise<WhyReport> { return this.#call('why', idOrIdle) }
  logs(request: Argument<'logs'>, signal?: AbortSignal): AsyncIterable<LogChunk> { return this.#stream('logs', request, signal) }
  results(request: Argument<'results'>, watch?: Watch): Promise<ResultsReport> { return this.#call('results', request, watch) }
  cancel(id: string): Promise<void> { return this.#call('cancel', id) }
  rate(request: Argument<'rate'>): Promise<void> { return this.#call('rate', request) }
  peers(): Promise<PeerSummary[]> { return this.#call('peers', undefined) }
  ads(): Promise<AdSummary[]> { return this.#call('ads', undefined) }
  share(): Promise<ShareReport> { return this.#call('share', undefined) }
  setShare(change: Argument<'setShare'>): Promise<ShareReport> { return this.#call('setShare', change) }
  pause(): Promise<void> { return this.#call('pause', undefined) }
  resume(): Promise<void> { return this.#call('resume', undefined) }
  doctor(): Promise<Check[]> { return this.#call('doctor', undefined) }
  events(request: Argument<'events'>, signal?: AbortSignal): AsyncIterable<Timestamped> { return this.#stream('events', request, signal) }
  images(): Promise<ImagesReport> { return this.#call('images', undefined) }
  removeImages(request: Argument<'removeImages'>): Promise<Result<'removeImages'>> { return this.#call('removeImages', request) }
  signImage(request: Argument<'signImage'>): Promise<Result<'signImage'>> { return this.#call('signImage', request) }
  wallet(): Promise<Wallet> { return this.#call('wallet', undefined) }
  fund(request: Argument<'fund'>, watch?: Watch): Promise<MoneyMoved> { return this.#call('fund', request, watch) }
  withdraw(request: Argument<'withdraw'>, watch?: Watch): Promise<Withdrawal> { return this.#call('withdraw', request, watch) }
  claimRefunds(): Promise<RefundsReport> { return this.#call('claimRefunds', undefined) }
  tickets(): Promise<TicketsReport> { return this.#call('tickets', undefined) }
  earnings(): Promise<EarningsReport> { return this.#call('earnings', undefined) }
  price(): Promise<PriceReport> { return this.#call('price', undefined) }
  setPrice(change: Argument<'setPrice'>): Promise<PriceReport> { return this.#call('setPrice', change) }
  caps(): Promise<CapsReport> { return this.#call('caps', undefined) }
  setCaps(change: Argument<'setCaps'>): Promise<CapsReport> { return this.#call('setCaps', change) }
  bill(job: string): Promise<Bill> { return this.#call('bill', job) }
  dial(multiaddr: string): Promise<{ peer: string }> { return this.#call('dial', multiaddr) }
  shutdown(request: Argument<'shutdown'>): Promise<void> { return this.#call('shutdown', request) }

  /** Rejects what is under way. */
  async close(): Promise<void> {
    this.#closed = true
    const link = await this.#opening?.catch(() => undefined) ?? this.#link
    link?.close()
  }

  async #connected(): Promise<Link> {
    if (this.#closed) throw new HearthError('E_CLIENT_CLOSED', 'The client was closed', 'Connect again')
    if (this.#link !== undefined && !this.#link.ended) return this.#link
    // many calls may find the link ended at once: the first one's attempt is everyone's
    this.#opening ??= Link.open(this.#path).finally(() => { this.#opening = undefined })
    this.#link = await this.#opening
    return this.#link
  }

  async #call<M extends CallMethod>(method: M, argument: Argument<M>, watch?: Watch): Promise<Result<M>> {
    const link = await this.#connected()
    return await link.call(method, argument, watch) as Result<M>
  }

  /** Not a generator: one of those could not be returned while it waits for its next item. */
  #stream<M extends StreamMethod>(method: M, argument: Argument<M>, signal: AbortSignal | undefined): AsyncIterable<Item<M>> {
    const items: AsyncIterable<Item<M>> = {
      [Symbol.asyncIterator]: () => {
        let inner: Promise<AsyncIterator<unknown>> | undefined
        const open = async (): Promise<AsyncIterator<unknown>> => (await this.#connected()).stream(method, argument)[Symbol.asyncIterator]()
        return {
          next: async () => {
            inner ??= open()
            return await (await inner).next() as IteratorResult<Item<M>>
          },
          return: async () => {
            const iterator = await inner?.catch(() => undefined)
            await iterator?.return?.()
            return { done: true, value: undefined }
          }
        }
      }
    }
    return signal === undefined ? items : untilAborted(items, signal)
  }
}

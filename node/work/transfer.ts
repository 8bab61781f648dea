import { peerIdFromString } from '@libp2p/peer-id'
import { Transfer } from '../../protocols/transfer/index.ts'
import type { Misconduct, TransferOptions } from '../../protocols/transfer/index.ts'
import { HearthError } from '../../src/errors.ts'
import type { ContentPort, FetchContent } from './content-port.ts'

export interface OpenTransfer {
  fetch: FetchContent
  /** The owner's cap on what all readers together may take, from now on; 0 or undefined: none. */
  limitUpload(bytesPerSecond: number | undefined): void
  stop(): Promise<void>
}

export interface TransferParts {
  streams: TransferOptions['network']
  store: TransferOptions['store']
  mayRead: (request: { peer: string, cid: string, agreementId: string }) => boolean
  /** As for `limitUpload`. */
  uploadBytesPerSecond?: number | undefined
  /** Bytes of a root that went to `peer` since it was last told, about every 100 ms. */
  onServed?: (peer: string, cid: string, sentBytes: number) => void
  /** A peer gave other bytes than their address says, or broke the protocol, as source or as reader. */
  onMisconduct: (peer: string, code: Misconduct['code'], message: string) => void
}

/** The transfer protocol behind the port that workers know: PeerIds as text, failures as errors with a code. */
export async function openTransfer({ streams, store, mayRead, uploadBytesPerSecond = 0, onServed, onMisconduct }: TransferParts): Promise<OpenTransfer> {
  const transfer = await Transfer.start({
    network: streams, store,
    authorize: ({ peer, cid, agreementId }) => mayRead({ peer: peer.toString(), cid, agreementId }),
    ...uploadBytesPerSecond > 0 ? { uploadBytesPerSecond } : {},
    onServed: ({ peer, cid, sentBytes }) => { onServed?.(peer.toString(), cid, sentBytes) },
    onMisconduct: ({ peer, code, message }) => { onMisconduct(peer.toString(), code, message) }
  })
  return {
    fetch: async ({ from, onProgress, ...request }) => {
      const outcome = await transfer.fetchContent({
        ...request,
        from: from.map((peer) => peerIdFromString(peer)),
        ...onProgress === undefined ? {} : { onProgress: ({ doneBytes, totalBytes }) => { onProgress({ bytes: doneBytes, totalBytes }) } }
      })
      if (!outcome.ok) throw new HearthError(outcome.code, outcome.message, outcome.hint)
    },
    limitUpload: (bytesPerSecond = 0) => { transfer.limitUpload(bytesPerSecond > 0 ? bytesPerSecond : undefined) },
    stop: async () => { await transfer.stop() }
  }
}

/** What a result's receipt says of its size is paid for: one of another size is not the result. Throws E_RESULT_SIZE. */
export function fetchExactly(fetch: FetchContent, content: Pick<ContentPort, 'stat'>): FetchContent {
  return async (request) => {
    await fetch(request)
    const { cid, maxBytes } = request
    const sizeBytes = (await content.stat(cid))?.sizeBytes
    if (sizeBytes !== maxBytes) throw new HearthError('E_RESULT_SIZE', `the result has ${sizeBytes} bytes, its provider signed ${maxBytes}`, 'Another provider does the task')
  }
}

import { peerIdFromString } from '@libp2p/peer-id'
import { Transfer } from '../../protocols/transfer/index.ts'
import type { TransferOptions } from '../../protocols/transfer/index.ts'
import { HearthError } from '../../src/errors.ts'
import type { FetchContent } from './content-port.ts'

export interface OpenTransfer {
  fetch: FetchContent
  stop(): Promise<void>
}

export interface TransferParts {
  streams: TransferOptions['network']
  store: TransferOptions['store']
  mayRead: (request: { peer: string, cid: string, agreementId: string }) => boolean
}

/** The transfer protocol behind the port that workers know: PeerIds as text, failures as errors with a code. */
export async function openTransfer({ streams, store, mayRead }: TransferParts): Promise<OpenTransfer> {
  const transfer = await Transfer.start({ network: streams, store, authorize: ({ peer, cid, agreementId }) => mayRead({ peer: peer.toString(), cid, agreementId }) })
  return {
    fetch: async ({ from, onProgress, ...request }) => {
      const outcome = await transfer.fetchContent({
        ...request,
        from: from.map((peer) => peerIdFromString(peer)),
        ...onProgress === undefined ? {} : { onProgress: ({ doneBytes, totalBytes }) => { onProgress({ bytes: doneBytes, totalBytes }) } }
      })
      if (!outcome.ok) throw new HearthError(outcome.code, outcome.message, outcome.hint)
    },
    stop: async () => { await transfer.stop() }
  }
}

import { formatSize } from '../../../src/units.ts'
import { defineCommand } from '../command.ts'
import { UsageError } from '../usage-error.ts'
import { imagesView } from '../views/images.ts'

const ACTIONS = ['list', 'sign', 'remove', 'prune'] as const

export const imagesCommand = defineCommand({
  name: 'images',
  group: 'lending',
  summary: 'Show, sign or remove container images',
  details: [
    'Images that jobs brought stay as a cache, up to containers.quota. `share images=…` lists those that may run here, by the key that `images` shows.',
    '`sign` vouches for an image with this node\'s identity: hosts that trust you (`share imageSigners=…`) run it. Put what it prints under imageSignatures in the job file.',
    '`remove` takes one away, `prune` all that no job uses now. Images that you use yourself stay.'
  ],
  options: {},
  positionals: [
    { name: 'action', kind: 'text', of: ACTIONS, help: 'What to do: `list`, `sign`, `remove` or `prune`', optional: true },
    { name: 'image', kind: 'text', help: 'With `sign`: name@sha256:…, cid:… or the path of an archive. With `remove`: the key of an image', optional: true }
  ],
  examples: [
    { line: 'images', says: 'what is here' },
    { line: 'images sign renderer.tar', says: 'a line for the job file' },
    { line: 'images prune', says: 'make room' }
  ],
  async run(api, { action = 'list', image }, out) {
    if ((action === 'sign' || action === 'remove') && image === undefined) throw new UsageError('E_ARGUMENT_MISSING', `images ${action} needs an image`, action === 'sign' ? 'Write name@sha256:…, cid:… or the path of an archive' : 'Write a key that `images` shows')
    if ((action === 'list' || action === 'prune') && image !== undefined) throw new UsageError('E_ARGUMENT_EXTRA', `images ${action} does not take "${image}"`, 'See `images --help`')
    switch (action) {
      case 'sign': {
        const signed = await api.signImage({ image: image ?? '', baseDir: out.cwd })
        out.result(signed, () => [`key        ${signed.key}`, `signature  ${signed.signature}`])
        break
      }
      case 'remove':
      case 'prune': {
        const { freedBytes } = await api.removeImages(image === undefined ? {} : { key: image })
        out.result({ freedBytes }, () => [`${formatSize(freedBytes)} freed`])
        break
      }
      default: {
        const report = await api.images()
        out.result(report, (view) => imagesView(report, view))
      }
    }
  }
})

import { defineCommand } from '../command.ts'
import { readShare, SHARE_KEYS, SHARE_NAMES } from '../share-keys.ts'
import { shareView } from '../views/share.ts'

export const shareCommand = defineCommand({
  name: 'share',
  group: 'lending',
  summary: 'Show or change what this PC lends, to whom and when',
  details: [
    'Changes hold at once and are kept. What is agreed already runs on.',
    `Keys: ${SHARE_NAMES.map((name) => `${name} (${SHARE_KEYS[name].example})`).join(', ')}.`
  ],
  options: {},
  positionals: [{ name: 'changes', kind: 'text', help: 'KEY VALUE or KEY=VALUE, as many as you like', rest: true, optional: true }],
  examples: [
    { line: 'share', says: 'what is lent now' },
    { line: 'share cores=4 memory=8GiB', says: 'lend no more than this' },
    { line: 'share onlyWhenIdle on', says: 'never while you use the PC' },
    { line: 'share hours "22:00-08:00"', says: 'only at night' }
  ],
  async run(api, { changes }, out) {
    const change = await readShare(changes)
    const report = changes.length === 0 ? await api.share() : await api.setShare(change)
    out.result(report, (view) => shareView(report, view))
  }
})

import type { Notice } from '../../../src/core/effect.ts'
import type { Timestamped } from '../../api/contract.ts'
import { shortId } from '../ids.ts'
import { clock } from '../term/time.ts'
import { clean, truncate, width } from '../term/text.ts'
import { JOB_MARKS } from './icons.ts'
import { amount } from './money.ts'
import type { Style } from '../term/paint.ts'
import type { View } from '../term/view.ts'

interface Said { mark: string, style: Style, text: string }

function because(code: string, message: string): string {
  const text = clean(message)
  // that a job ended is no fault of its agreements
  if (code === 'E_NONE' || code === 'E_JOB_ENDED') return text === '' ? '' : `: ${text}`
  if (text === '') return ` (${code})`
  return text.includes(code) ? `: ${text}` : `: ${text} (${code})`
}

const TASK_SAYS: Record<Extract<Notice, { kind: 'task' }>['state'], Said> = {
  leased: { mark: '·', style: 'dim', text: 'goes to' },
  running: { mark: '●', style: 'ember', text: 'runs on' },
  committed: { mark: '·', style: 'dim', text: 'has a sealed result of' },
  revealed: { mark: '·', style: 'dim', text: 'has a result of' },
  done: { mark: '✓', style: 'green', text: 'done by' },
  failed: { mark: '✗', style: 'red', text: 'failed on' },
  retry: { mark: '↻', style: 'yellow', text: 'moves on from' }
}

const HOSTING_SAYS: Record<Extract<Notice, { kind: 'hosting' }>['state'], Said> = {
  accepted: { mark: '⌂', style: 'cyan', text: 'accepted from' },
  running: { mark: '⌂', style: 'cyan', text: 'runs here for' },
  finished: { mark: '⌂', style: 'cyan', text: 'finished here for' },
  failed: { mark: '⌂', style: 'red', text: 'failed here for' },
  settled: { mark: '⌂', style: 'green', text: 'settled with' }
}

const MONEY_SAYS: Record<Extract<Notice, { kind: 'money' }>['state'], Said> = {
  redeemed: { mark: '★', style: 'green', text: 'redeemed' },
  lost: { mark: '✗', style: 'red', text: 'a winner will not be paid' },
  unpaid: { mark: '!', style: 'yellow', text: 'work here waits for its payment' },
  cap: { mark: '!', style: 'yellow', text: 'a spending cap is reached' },
  'chain-down': { mark: '!', style: 'red', text: 'the chain cannot be seen' },
  'chain-up': { mark: '✓', style: 'green', text: 'the chain is seen again' },
  problem: { mark: '!', style: 'yellow', text: 'money waits' }
}

function sayMoney(notice: Extract<Notice, { kind: 'money' }>): Said {
  const said = MONEY_SAYS[notice.state]
  return { ...said, text: `${said.text}${notice.amountWei === undefined ? '' : ` ${amount(notice.amountWei)}`}${because(notice.code, notice.message)}` }
}

/** What a notice says, its job apart. */
function say(notice: Notice): Said {
  switch (notice.kind) {
    case 'job': return { ...JOB_MARKS[notice.state], text: `job ${notice.state}${because(notice.code, notice.message)}` }
    case 'tender': return { mark: '◌', style: 'yellow', text: `round ${notice.round}: ${notice.asked} asked, ${notice.bids} bid, ${notice.declines} declined` }
    case 'bid': return { mark: '+', style: 'dim', text: `bid from ${shortId(notice.peer)}` }
    case 'decline': return { mark: '-', style: 'dim', text: `${shortId(notice.peer)} declined${because(notice.code, notice.message)}` }
    case 'agreement': return { mark: '⇄', style: 'cyan', text: `agreement with ${shortId(notice.peer)} ${notice.state}${because(notice.code, notice.message)}` }
    case 'task': {
      const said = TASK_SAYS[notice.state]
      const percent = notice.state === 'running' && notice.fraction !== undefined ? `, ${Math.floor(notice.fraction * 100)} %` : ''
      return { ...said, text: `task ${notice.task} ${said.text} ${shortId(notice.peer)}${percent}${because(notice.code, notice.message === notice.state ? '' : notice.message)}` }
    }
    case 'won': return { mark: '★', style: 'green', text: `a ticket of ${shortId(notice.requester)} won ${amount(notice.faceValueWei)}` }
    case 'money': return sayMoney(notice)
    case 'early': return { mark: '◔', style: 'yellow', text: `task ${notice.task} looked at before the vote, from ${shortId(notice.peer)}: unverified` }
    case 'caught': return { mark: '!', style: 'red', text: `caught ${shortId(notice.peer)} on task ${notice.task}${because('E_NONE', notice.message)}` }
    case 'hosting': {
      const said = HOSTING_SAYS[notice.state]
      return { ...said, text: `task ${notice.task} ${said.text} ${shortId(notice.requester)}${because(notice.code, notice.message)}` }
    }
  }
}

/** One line of a timeline. `withJob` where lines of several jobs mix. */
export function noticeLine(notice: Timestamped, view: View, withJob = false): string {
  const { mark, style, text } = say(notice)
  const time = clock(notice.wallMs)
  const job = withJob && notice.job !== '' ? `${shortId(notice.job)}  ` : ''
  const room = Math.max(8, view.width - width(time) - width(job) - 4)
  const strong = notice.kind === 'caught' || (notice.kind === 'job' && notice.state !== 'running' && notice.state !== 'tendering')
  const cut = truncate(text, room)
  return `${view.paint('dim', time)}  ${view.paint('cyan', job)}${view.paint(style, mark)} ${strong ? view.paint(style, cut) : cut}`
}

/** What an owner wants to know while doing something else. */
export function isNews(notice: Notice): boolean {
  return notice.kind === 'caught' || notice.kind === 'won' || notice.kind === 'money' || (notice.kind === 'job' && (notice.state === 'done' || notice.state === 'failed' || notice.state === 'cancelled'))
}

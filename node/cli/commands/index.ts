import { adsCommand } from './ads.ts'
import { billCommand } from './bill.ts'
import { cancelCommand } from './cancel.ts'
import { capsCommand } from './caps.ts'
import { dialCommand } from './dial.ts'
import { doctorCommand } from './doctor.ts'
import { earningsCommand } from './earnings.ts'
import { estimateCommand } from './estimate.ts'
import { bondCommand, fundCommand } from './fund.ts'
import { helpCommand } from './help.ts'
import { imagesCommand } from './images.ts'
import { jobCommand } from './job.ts'
import { jobsCommand } from './jobs.ts'
import { logsCommand } from './logs.ts'
import { pauseCommand } from './pause.ts'
import { peersCommand } from './peers.ts'
import { priceCommand } from './price.ts'
import { rateCommand } from './rate.ts'
import { resultsCommand } from './results.ts'
import { resumeCommand } from './resume.ts'
import { runCommand } from './run.ts'
import { shareCommand } from './share.ts'
import { statusCommand } from './status.ts'
import { stopCommand } from './stop.ts'
import { submitCommand } from './submit.ts'
import { ticketsCommand } from './tickets.ts'
import { walletCommand } from './wallet.ts'
import { watchCommand } from './watch.ts'
import { whyCommand } from './why.ts'
import { withdrawCommand } from './withdraw.ts'
import type { Command } from '../command.ts'
import type { Place } from '../help.ts'

const NODE_COMMANDS: readonly Command[] = [
  submitCommand, runCommand, estimateCommand, jobsCommand, jobCommand, watchCommand, logsCommand, whyCommand, resultsCommand, cancelCommand,
  peersCommand, adsCommand, dialCommand, rateCommand,
  shareCommand, imagesCommand, pauseCommand, resumeCommand,
  walletCommand, fundCommand, bondCommand, withdrawCommand, ticketsCommand, earningsCommand, priceCommand, capsCommand, billCommand,
  statusCommand, doctorCommand, stopCommand
]

/** The commands of a shell or of the REPL, in the order of help; `local` are those that need more than the node's interface. */
export function commandsOf(place: Place, local: readonly Command[] = []): readonly Command[] {
  const commands: Command[] = [...local, ...NODE_COMMANDS, helpCommand(() => commands, place)].filter(({ only }) => only === undefined || only === place)
  return commands
}

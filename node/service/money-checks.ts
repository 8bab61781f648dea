import type { Check } from '../api/contract.ts'
import type { Wallet } from '../api/money.ts'

/** What is well with a paying node's money, and what to do about what is not. Choosing to have no deposit is no fault: it only cannot pay. */
export function moneyChecks({ chain, stale, balances, pending }: Wallet, { lends }: { lends: boolean }): Check[] {
  const check = (name: string, state: Check['state'], message: string, hint = ''): Check => ({ name, state, message, hint })
  if (chain.state === 'down' || stale) return [check('chain', 'fail', chain.state === 'down' ? chain.message : 'the chain\'s service does not answer now', 'Check payment.rpcUrl and that the service runs. Until it answers nothing new is paid or taken; what runs ends by itself')]
  const checks = [check('chain', 'ok', `seen, block ${chain.blockNumber}`)]
  if (balances === undefined) return checks
  const { coin, deposit, bond, jobs } = balances
  const canPay = deposit !== '0' && bond !== '0'
  checks.push(canPay ? check('paying', 'ok', 'a deposit and a bond are there: hosts can be paid') : check('paying', 'warn', `there is no ${deposit === '0' ? 'deposit' : 'bond'}, so no host takes this node's tickets`, '`fund 0.1 eth` and `bond 0.1 eth` put one there; `help money` says what each is for'))
  if (lends) checks.push(jobs === '0' ? check('earning', 'warn', 'there is no job bond, so work here is paid only after its result matched', '`bond 0.1 eth --jobs` lets others pay ahead') : check('earning', 'ok', 'a job bond stands behind work here'))
  if (coin === '0') checks.push(check('gas', pending.winners > 0 ? 'fail' : 'warn', `this node's account has no coin for gas${pending.winners > 0 ? ', and winners wait' : ''}`, 'Send a little coin to the address that `wallet` shows'))
  return checks
}

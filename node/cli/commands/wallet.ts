import { defineCommand } from '../command.ts'
import { walletView } from '../views/wallet.ts'

export const walletCommand = defineCommand({
  name: 'wallet',
  group: 'money',
  summary: 'Show what this node has, where it is, and what it could lose now',
  details: ['Deposit, bond and job bond are in the ticket broker on the chain; coin is the node\'s own and pays gas. `help money` says what each is for.'],
  options: {},
  positionals: [],
  examples: [{ line: 'wallet', says: 'balances, unlocks, and what is at risk' }],
  async run(api, _args, out) {
    const wallet = await api.wallet()
    out.result(wallet, (view) => walletView(wallet, view))
  }
})

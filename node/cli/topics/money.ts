import type { Topic } from './topic.ts'

export const moneyTopic: Topic = {
  name: 'money',
  summary: 'paying and being paid, by lottery tickets',
  title: 'money',
  text: `
Without a chain all work is free, for friends and your own network. With one (payment.mode) a host asks a price, and a requester pays while the work runs, a second at a time: no invoice, nobody in the middle. Bytes moved, where a host asks for them (price moved=...), are paid with each accepted result: inputs as the job says, and the result's size.

Each second is paid by a signed lottery ticket, such as one in a thousand for 1000 gwei: worth 1 gwei. Neither side can steer the draw. Only winners go to the chain, so gas is paid once in a thousand seconds.

Why is my income lumpy? Most tickets win nothing. Over many it evens out: within 5 % after about 400 wins. \`tickets\` shows expected and real, \`earnings\` forecasts a range.

What can I lose at most? As requester, what is paid ahead of results: a second a task, up to payment.maxPrepay a host; a job of a few seconds costs that second too. As host, the second under way and what is held back until a result matches. \`wallet\` shows both now, on average and at worst.

What are the bonds for? Winners are paid from the deposit. The bond burns if it cannot pay one, so nobody gains by emptying it: hosts take tickets up to half of the bond. The job bond stands behind what a host is paid ahead; refunds for failed work come out of it.

May earnings go to a hardware wallet? Set payment.payee to its address. \`withdraw\` then sends them there, and this computer pays the gas. To burn the bond of a requester that cannot pay, the wallet must once call the contract's addSigner with this node's address.

  hearth devnet              try it with play money
  fund 0.1 eth               and \`bond 0.1 eth\`: now you can pay
  bond 0.1 eth --jobs        now you are paid ahead
  price coreHour=20000gwei   what you ask
  caps day=0.1eth            what you spend at most
  estimate job.yaml          what it may cost; later \`bill JOB\`
  withdraw                   earnings, at once`
}

import type { Topic } from './topic.ts'

export const moneyTopic: Topic = {
  name: 'money',
  summary: 'paying and being paid, by lottery tickets',
  title: 'money',
  text: `
Without a chain all work is free, for friends and your own network. With one (payment.mode, \`help config\`) a host asks a price and a requester pays while the work runs, a second at a time: no invoice, nobody in the middle.

Each second is paid by a signed lottery ticket, such as one in a thousand for 1000 gwei: worth 1 gwei. Neither side can steer the draw. Only winners go to the chain, so gas is paid once in a thousand seconds rather than for each.

Why is my income lumpy? Most tickets win nothing. Over many it evens out: within 5 % after about 400 wins. \`tickets\` shows what was to be expected and what came, \`earnings\` forecasts a range, not a number.

What can I lose at most? As requester: what you paid ahead of results (a second a task, and up to payment.maxPrepay a host). As host: the second under way and the part held back (payment.holdback) until your result matches. \`wallet\` shows both now: on average, and if all luck is against you.

What is the deposit for? Winners are paid from it. What is the bond for? It burns if the deposit cannot pay a winner, so that nobody gains by emptying it: hosts take tickets up to half of it. What is the job bond for? Hosts put it up: it stands behind what they are paid ahead, and a refund for failed work comes out of it.

  hearth devnet              try it with play money, on this PC
  fund 0.1 eth               then \`bond 0.1 eth\`: now you can pay
  bond 0.1 eth --jobs        now you are paid ahead for work
  price coreHour=20000gwei   what you ask
  caps day=0.1eth            what you spend at most
  estimate job.yaml          what it may cost; afterwards \`bill JOB\`
  withdraw                   earnings, at once; \`withdraw deposit\` takes the delay of the broker`
}

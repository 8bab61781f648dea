import type { Topic } from './topic.ts'

export const networkTopic: Topic = {
  name: 'network',
  summary: 'how nodes find each other',
  title: 'the network',
  text: `
There is no server. Nodes on the same network find each other within seconds, with nothing to configure. Others are found through nodes you know: \`dial ADDRESS\` connects to one now (its \`status\` prints its addresses), and network.bootstrap in the configuration names some for every start.

  peers     who is connected, and your experience with them
  ads       what others offer now
  doctor    whether others can reach this PC, whether its clock is right, and what to do if not

Behind a home router the node asks it to open a port (UPnP). Where that fails it works through relays, which is slower: forwarding its TCP port in the router helps.`
}

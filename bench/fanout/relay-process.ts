/** The process in which the delaying relays of a network run, one in front of each node. */
import type { PeerAddress } from '../../lib/net/address.js';
import { systemClock } from '../../lib/support/clock.js';
import { serveCalls } from '../../test/fixtures/child.js';
import { hostOf } from '../../test/fixtures/network.js';
import { DelayLine } from './delay-line.js';
import { DelayingRelay } from './delaying-relay.js';
import { MessageCounter, noMessages, type SearchMessages } from './message-counter.js';

export interface RelayCalls {
  /** Listen for so many nodes. `delay`: milliseconds, each way. */
  open(order: { nodes: number; delay: number }): Promise<PeerAddress[]>;
  /** Where a node is, by number. */
  aim(order: { node: number; target: PeerAddress }): void;
  /** What has passed since the start. */
  counts(): SearchMessages;
}

const relays: DelayingRelay[] = [];
const counts = noMessages();

serveCalls<RelayCalls>({
  open: ({ nodes, delay }) => {
    // One line for all: it keeps the order on each connection.
    const line = new DelayLine(delay, systemClock);
    while (relays.length < nodes) {
      relays.push(new DelayingRelay(line, () => new MessageCounter(counts)));
    }
    return Promise.all(relays.map((relay, node) => relay.listen(hostOf(node))));
  },
  aim: ({ node, target }) => {
    relays[node]?.aim(target);
  },
  counts: () => counts,
});

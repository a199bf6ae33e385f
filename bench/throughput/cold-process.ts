/** A node in a process of its own that says how late its event loop is. */
import { once } from 'node:events';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { formatAddress } from '../../lib/net/address.js';
import { createNode } from '../../lib/node.js';
import { serveCalls } from '../../test/fixtures/child.js';

export interface ColdCalls {
  /** Share a folder; resolves with the node's address when it is indexed. */
  start(order: { share: string; state: string }): Promise<string>;
  /** Begin to look at the event loop. */
  watch(): void;
  /** Since then: milliseconds that it was late. */
  delay(): { p99: number; max: number };
}

/** Milliseconds between two looks; they are part of each delay. */
const RESOLUTION = 5;

let delay = monitorEventLoopDelay({ resolution: RESOLUTION });

serveCalls<ColdCalls>({
  start: async ({ share, state }) => {
    const node = createNode({ share, state, host: '127.0.0.1', port: 0, discover: false });
    const indexed = once(node, 'indexed');
    await node.start();
    await indexed;
    return formatAddress(node.address);
  },
  watch: () => {
    delay = monitorEventLoopDelay({ resolution: RESOLUTION });
    delay.enable();
  },
  delay: () => {
    delay.disable();
    return { p99: delay.percentile(99) / 1e6, max: delay.max / 1e6 };
  },
});

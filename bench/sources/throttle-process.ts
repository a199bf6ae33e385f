/** The process in which throttled relays run, in front of one peer. */
import type { PeerAddress } from '../../lib/net/address.js';
import { serveCalls } from '../../test/fixtures/child.js';
import { ThrottledRelay, type Faults } from '../../test/fixtures/throttled-relay.js';

export interface ThrottleCalls {
  /** Listen, one relay for each; those of before are closed. */
  open(order: { target: PeerAddress; relays: readonly Faults[] }): Promise<PeerAddress[]>;
}

let relays: ThrottledRelay[] = [];

serveCalls<ThrottleCalls>({
  open: async ({ target, relays: faults }) => {
    await Promise.all(relays.map((relay) => relay.close()));
    relays = faults.map((one) => new ThrottledRelay(target, one));
    return Promise.all(relays.map((relay) => relay.listen()));
  },
});

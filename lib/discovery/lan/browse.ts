/** Finds the nodes in this machine's own networks, for a client. */
import { EventEmitter, once } from 'node:events';
import type { FoundPeer } from './found.js';
import { Lan } from './lan.js';

/** Milliseconds for which answers are waited for: a node answers at most once a second. */
const WAIT = 1500;
/** Nodes that are taken. */
const MAX_PEERS = 256;

/**
 * Ask which nodes are in this machine's networks. Each comes once, at an address that other machines can use, too, if
 * it has one. Ids are claims. Leaving the loop, or an aborted signal, ends it.
 *
 * @param options.wait milliseconds that it takes @default 1500
 */
export async function* findInLan({
  wait = WAIT,
  signal,
}: { wait?: number; signal?: AbortSignal | undefined } = {}): AsyncGenerator<
  FoundPeer,
  void,
  void
> {
  const events = new EventEmitter();
  const queue: FoundPeer[] = [];
  const ids = new Set<string>();
  const take = (peer: FoundPeer): void => {
    if (ids.has(peer.id) || ids.size >= MAX_PEERS) return;
    ids.add(peer.id);
    queue.push(peer);
    events.emit('more');
  };
  const lan = new Lan({
    onFound: (peer) => {
      if (!peer.host.includes('%')) take(peer);
    },
  });
  let isOver = signal?.aborted === true;
  const end = (): void => {
    isOver = true;
    events.emit('more');
  };
  const timer = setTimeout(() => {
    // Those that were found at no better address.
    for (const peer of lan.found) take(peer);
    end();
  }, wait);
  signal?.addEventListener('abort', end, { once: true });
  try {
    for (;;) {
      for (let peer = queue.shift(); peer !== undefined; peer = queue.shift()) yield peer;
      if (isOver) return;
      await once(events, 'more');
    }
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', end);
    await lan.close();
  }
}

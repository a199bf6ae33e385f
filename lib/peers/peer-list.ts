/** Which peers are told to others. */
import type { Random } from '../support/random.js';
import type { PeerContact } from '../wire/messages.js';
import type { UpPeer } from './known.js';

export interface PeerListOptions {
  /** How many at most. */
  max: number;
  /** Milliseconds since 1970; and since a peer was last reached, while it may be listed. */
  now: number;
  fresh: number;
  random: Random;
  /** Whether the asker has a use for a peer. */
  wanted: (peer: PeerContact) => boolean;
  /** Whether a peer comes before the others. @default none */
  first?: ((peer: PeerContact) => boolean) | undefined;
}

/** Of the peers that this node has reached itself, lately, a random choice, with their age in seconds. */
export function listPeers(
  peers: Iterable<Readonly<UpPeer>>,
  { max, now, fresh, random, wanted, first }: PeerListOptions,
): (PeerContact & { seen: number })[] {
  const before: (PeerContact & { seen: number })[] = [];
  const others: typeof before = [];
  for (const { id, address, seen, isPrivate } of peers) {
    if (isPrivate) continue;
    const age = Math.max(0, now - seen);
    const peer = { id, ...address, seen: Math.floor(age / 1000) };
    if (age <= fresh && wanted(peer)) (first?.(peer) === true ? before : others).push(peer);
  }
  const chosen = random.choose(before, max);
  return [...chosen, ...random.choose(others, max - chosen.length)];
}

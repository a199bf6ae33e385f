/** Search a network from outside, by way of one peer: what it relays is checked as a peer would check it. */
import { systemClock } from '../support/clock.js';
import type { PeerError } from '../errors.js';
import type { Connection } from '../net/connection.js';
import { MAX_ANSWER_BYTES, MAX_FILES } from '../wire/limits.js';
import type { FileList, PeerContact, Wanted } from '../wire/messages.js';
import { literal } from '../net/scope.js';
import { RELAY_LIMITS } from './limits.js';
import { LinkNeighbour } from './link-neighbour.js';
import { Relay } from './relay.js';
import { MAX_HOPS, newQueryId, results, type NetworkSearchOptions } from './results.js';
import type { SearchResult } from './results.js';

/** All that the first peer may send: nothing is kept for others, of which there are none. */
const ALL = { bytes: RELAY_LIMITS.bytesPerNeighbour };
const NOTHING: FileList = { type: 'RPFL', total: 0, files: [] };

/**
 * @param first the peer that is asked
 * @throws PeerError ERR_USAGE; ERR_ABORTED; whatever ended the search at the first peer, after its results
 */
export async function* searchThrough(
  connection: Connection,
  first: PeerContact,
  wanted: Wanted,
  options: NetworkSearchOptions,
): AsyncGenerator<SearchResult, void, void> {
  let failure: PeerError | undefined;
  // Names are not told on: whoever dials results dials addresses.
  const host = literal(first.host) ?? connection.remoteHost ?? first.host;
  const contact = { ...first, host };
  const neighbour = new LinkNeighbour({ contact, connection }, (error) => {
    failure ??= error;
  });
  const relay = new Relay({
    // An id that no peer has: this is a client.
    self: 'f'.repeat(64),
    clock: systemClock,
    newId: newQueryId,
    neighbours: () => [neighbour],
    answer: (_search, then) => {
      then(NOTHING);
    },
    limits: {
      ttl: MAX_HOPS + 1,
      filesPerResult: MAX_FILES,
      bytesPerResult: MAX_ANSWER_BYTES,
      ...ALL,
    },
  });
  const found = results(
    options,
    () => contact,
    ({ ttl = 0, timeout }, on) =>
      // One more hop, and one more margin: from here to the first peer.
      relay.search(wanted, { ttl: ttl + 1, ...(timeout !== undefined && { timeout }) }, on),
  );
  for await (const result of found) yield { ...result, hops: result.hops - 1 };
  if (
    failure !== undefined &&
    (failure.code !== 'ERR_ABORTED' || options.signal?.aborted === true)
  ) {
    throw failure;
  }
}

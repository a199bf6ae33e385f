/** The peers that p2p-fetch takes a file from when there may be more than one. */
import { connect, type Peer } from '../../lib/fetch/peer.js';
import { PeerError } from '../../lib/errors.js';
import { ManyPeers } from '../../lib/fetch/sources/fetch-many.js';
import type { TlsOptions } from '../../lib/net/dialer.js';
import { formatAddress, parseAddress, type PeerAddress } from '../../lib/net/address.js';
import type { SourceEvent } from '../../lib/fetch/sources/events.js';

export interface Sources {
  /** As people write them. */
  named: readonly string[];
  /** Finds those that are not named. */
  lan?: ((signal: AbortSignal) => AsyncIterable<PeerAddress>) | undefined;
  /** Ask the network, too. */
  find: boolean;
  tls: TlsOptions;
  /** As in ManyPeersOptions. */
  window?: number;
}

export interface OpenSources {
  peers: ManyPeers;
  close: () => Promise<void>;
}

/**
 * @param say told in a line what people should know of a source
 * @throws PeerError ERR_USAGE for a name that is none
 */
export function openSources(
  hash: string,
  { named, lan, find, tls, window }: Sources,
  say: (line: string) => void,
): OpenSources {
  const addresses = named.map(parseAddress);
  const names = new Set(addresses.map(formatAddress));
  const over = new AbortController();
  const known = lan === undefined ? addresses : joined(addresses, lan(over.signal));
  const all = find ? withFound(known, hash, tls, over.signal) : known;
  const peers = new ManyPeers(all, {
    ...tls,
    window,
    onSource: (event) => {
      // A peer that only the network named may well be gone: not worth a line.
      const isOfInterest = names.has(event.peer) || event.state === 'lied';
      const line = isOfInterest ? lineOf(event, names.size === 1) : undefined;
      if (line !== undefined) say(line);
    },
  });
  const close = async (): Promise<void> => {
    over.abort();
    await peers.close();
  };
  return { peers, close };
}

function lineOf({ peer, state, error }: SourceEvent, isOnlyPeer: boolean): string | undefined {
  // Of a connection the message names the peer itself.
  const message = error?.message ?? '';
  const why = message.startsWith(`${peer}: `) ? message.slice(peer.length + 2) : message;
  switch (state) {
    case 'lied':
      return `${peer} lies and is not asked again: ${why}`;
    case 'stalled':
      return `${peer} stalls: others are asked for what it owes`;
    case 'lost':
      return `${peer}: ${why}; the other sources continue`;
    case 'dropped':
      // If nobody else is found it is said at the end.
      return isOnlyPeer ? undefined : `${peer} is skipped: ${why}`;
    case 'ready':
      return undefined;
  }
}

async function* joined(
  named: readonly PeerAddress[],
  found: AsyncIterable<PeerAddress>,
): AsyncGenerator<PeerAddress, void, void> {
  yield* named;
  try {
    yield* found;
  } catch (error) {
    // That there are no others is no error.
    if (named.length === 0 || !(error instanceof PeerError)) throw error;
  }
}

/** The peers named, then those that the network says have the file. */
async function* withFound(
  named: Iterable<PeerAddress> | AsyncIterable<PeerAddress>,
  hash: string,
  tls: TlsOptions,
  signal: AbortSignal,
): AsyncGenerator<PeerAddress, void, void> {
  const asked: PeerAddress[] = [];
  for await (const address of named) {
    asked.push(address);
    yield address;
  }
  for (const address of asked) {
    let peer: Peer | undefined;
    try {
      peer = await connect(address, { ...tls, signal });
      for await (const { peer: contact, hops } of peer.searchNetwork({ hash }, { signal })) {
        if (hops > 0) yield contact;
      }
      return;
    } catch (error) {
      // The next can be asked as well.
      if (!(error instanceof PeerError) || signal.aborted) throw error;
    } finally {
      await peer?.close();
    }
  }
}

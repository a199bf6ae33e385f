/**
 * Links: `p2p://ID@host:port,host2/HASH/name`, with all that is needed to fetch a file. They come from strangers: a link
 * says where to ask, for which hash, and what the file may be called, and nothing else.
 */
import { PeerError } from '../errors.js';
import { SCHEME, formatPeer, parseAddress, type PeerAddress } from '../net/address.js';
import type { Hash } from '../wire/messages.js';

export interface Link {
  /** Where to ask; those with a key must prove it. */
  peers: readonly PeerAddress[];
  hash: Hash;
  /** What the file is called where it comes from. A claim: never use it as a file name before it was made safe. */
  name?: string | undefined;
}

/** What a QR code holds (ISO/IEC 18004: version 40, level L). */
const MAX_BYTES = 2953;
const MAX_PEERS = 16;
/** Peers, a hash in lower case, perhaps a name with percent signs (RFC 3986); no query, no fragment. */
const LINK = /^p2p:\/\/([^/?#\s]+)\/([0-9a-f]{64})(?:\/([^/?#\s]+))?$/u;

/** @throws PeerError ERR_USAGE */
export function parseLink(text: string): Link {
  const bad = (why: string): PeerError =>
    new PeerError('ERR_USAGE', `not a link (${why}); they look like p2p://ID@host:port/HASH/name`);
  if (text.length > MAX_BYTES) throw bad(`longer than ${MAX_BYTES} characters`);
  const [, list = '', hash, encoded] = LINK.exec(text) ?? [];
  if (hash === undefined) throw bad('no peer, hash and name');
  const peers = list.split(',').map(parseAddress);
  if (peers.length > MAX_PEERS) throw bad(`more than ${MAX_PEERS} peers`);
  if (encoded === undefined) return { peers, hash };
  const name = decoded(encoded);
  if (name === undefined || /[/\0]/.test(name)) throw bad('the name is none of a file');
  return { peers, hash, name };
}

/** A link that `parseLink` reads. @param link.name a path's last part is used; one that is too long is left out */
export function formatLink({ peers, hash, name }: Link): string {
  const nameless = `${SCHEME}${peers.map(formatPeer).join(',')}/${hash}`;
  const last = name?.split('/').at(-1) ?? '';
  const link = `${nameless}/${encodeURIComponent(Buffer.from(last).toString())}`;
  return last === '' || link.length > MAX_BYTES ? nameless : link;
}

function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

/** The peer table as it is kept over a restart: one CBOR map, checked when it is read. */
import { decodeCbor, encodeCbor } from '../wire/cbor.js';
import { asArray, asHex, asMap, asText, asUint } from '../wire/fields.js';
import { MAX_HOST_BYTES, PEER_ID_BYTES } from '../wire/limits.js';
import type { PeerContact } from '../wire/messages.js';

/** A peer as it is kept over a restart. */
export interface SavedPeer extends PeerContact {
  /** When it was last reached, in ms since 1970. */
  seen: number;
  /** TLS has proven its id. */
  proven?: boolean | undefined;
}

/** Changes whenever the format does; a table of another version is not read. */
const VERSION = 1;
const MAX_SAVED = 10_000;

export function encodePeers(peers: readonly SavedPeer[]): Uint8Array {
  const entries = peers.map(({ id, host, port, seen, proven = false }) => {
    const fields = { id: Buffer.from(id, 'hex'), host, port, seen: Math.floor(seen), proven };
    return new Map<string, unknown>(Object.entries(fields));
  });
  return encodeCbor(
    new Map<string, unknown>([
      ['v', VERSION],
      ['peers', entries],
    ]),
  );
}

/** @throws PeerError ERR_MALFORMED when it is not what `encodePeers` makes */
export function decodePeers(bytes: Uint8Array): SavedPeer[] {
  const f = asMap(decodeCbor(bytes), 'the peer table');
  if (f.get('v') !== VERSION) return [];
  return asArray(f.get('peers'), 'peers', MAX_SAVED).map((value) => {
    const peer = asMap(value, 'peer');
    return {
      id: asHex(peer.get('id'), 'id', PEER_ID_BYTES),
      host: asText(peer.get('host'), 'host', MAX_HOST_BYTES),
      port: asUint(peer.get('port'), 'port', 65_535),
      seen: asUint(peer.get('seen'), 'seen'),
      proven: peer.get('proven') === true,
    };
  });
}

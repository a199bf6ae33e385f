/** The peer table as it is kept over a restart: one CBOR map, checked when it is read. */
import { decodeCbor, encodeCbor } from '../wire/cbor.js';
import { asArray, asHex, asMap, asText, asUint } from '../wire/fields.js';
import { MAX_HOST_BYTES, PEER_ID_BYTES } from '../wire/limits.js';
import { literal, scopeOf } from '../net/scope.js';
import type { SavedPeer } from '../peers/table.js';

/** Changes whenever the form does; another one is not read. */
const VERSION = 1;
const MAX_SAVED = 10_000;

export function encodePeers(peers: readonly SavedPeer[]): Uint8Array {
  const entries = peers.map(({ id, host, port, seen }) => {
    const fields = { id: Buffer.from(id, 'hex'), host, port, seen: Math.floor(seen) };
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
  return asArray(f.get('peers'), 'peers', MAX_SAVED).flatMap((value) => {
    const peer = asMap(value, 'peer');
    const host = literal(asText(peer.get('host'), 'host', MAX_HOST_BYTES));
    const port = asUint(peer.get('port'), 'port', 65_535);
    const id = asHex(peer.get('id'), 'id', PEER_ID_BYTES);
    const seen = asUint(peer.get('seen'), 'seen');
    // No address at which a peer can be.
    if (host === undefined || scopeOf(host) === undefined || port === 0) return [];
    return [{ id, host, port, seen }];
  });
}

/** The id of the peer at the other end of a TLS connection, of which the handshake has proven that it has the key. */
import type { TLSSocket } from 'node:tls';
import { PeerError } from '../../errors.js';
import type { PeerId } from '../../wire/messages.js';
import { ALPN } from './settings.js';

/** Bytes of an Ed25519 key at the end of its SubjectPublicKeyInfo (RFC 8410). */
const KEY_BYTES = 32;

/**
 * @param socket whose handshake has ended
 * @param name the other side, for messages
 * @throws PeerError ERR_NOT_A_PEER when the other side is no such peer
 */
export function provenId(socket: TLSSocket, name: string): PeerId {
  const refused = (why: string): PeerError => new PeerError('ERR_NOT_A_PEER', `${name} ${why}`);
  if (socket.getProtocol() !== 'TLSv1.3') throw refused('does not speak TLS 1.3');
  if (socket.alpnProtocol !== ALPN) throw refused(`does not speak ${ALPN} over TLS`);
  if (socket.isSessionReused()) throw refused('resumes a session of TLS, which proves no id');
  const certificate = socket.getPeerX509Certificate();
  if (certificate === undefined) throw refused('shows no certificate');
  const { publicKey } = certificate;
  if (publicKey.asymmetricKeyType !== 'ed25519' || !certificate.verify(publicKey)) {
    throw refused('shows a certificate that is not one of an Ed25519 key, signed by that key');
  }
  return publicKey.export({ type: 'spki', format: 'der' }).subarray(-KEY_BYTES).toString('hex');
}

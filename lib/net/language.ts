/**
 * What the other side of a connection that was accepted speaks: its first byte tells. A TLS record begins with 0x16 (RFC
 * 8446, section 5.1), a frame with a capital letter or a digit.
 */
import type { Socket } from 'node:net';

export type Language = 'tls' | 'frames';

/** The content type of a TLS record that belongs to a handshake. */
const HANDSHAKE = 0x16;

/**
 * Calls back once, when the first bytes have come, which can then be read again; never when the connection ends
 * before that.
 */
export function onLanguage(socket: Socket, callback: (language: Language) => void): void {
  socket.once('data', (first: Buffer) => {
    socket.pause();
    socket.unshift(first);
    callback(first[0] === HANDSHAKE ? 'tls' : 'frames');
  });
}

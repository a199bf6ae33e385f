/**
 * What the other side of a connection that was accepted speaks: its first bytes tell. A TLS record begins with 0x16
 * (RFC 8446, section 5.1), a request of HTTP with a method and a space (RFC 9112, section 3), a frame with four capital
 * letters or digits, which are no method.
 */
import type { Socket } from 'node:net';

export type Language = 'tls' | 'http' | 'frames';

/** The content type of a TLS record that belongs to a handshake. */
const HANDSHAKE = 0x16;
/** Methods (RFC 9110, section 9; RFC 5789), and the beginning of HTTP/2 (RFC 9113, section 3.4), as far as is looked at. */
const METHODS = ['GET ', 'HEAD ', 'POST ', 'PUT ', 'DELETE ', 'CONNECT ', 'OPTIONS ', 'TRACE ']
  // An empty line before a request counts for nothing (RFC 9112, section 2.2).
  .concat('PATCH ', 'PRI * ', '\r\n')
  .map((method) => method.slice(0, 5));

/** What begins with these bytes; undefined: more of them must come. */
export function languageOf(first: Uint8Array): Language | undefined {
  if (first[0] === HANDSHAKE) return 'tls';
  const text = Buffer.from(first.subarray(0, 5)).toString('latin1');
  if (METHODS.some((method) => text.startsWith(method))) return 'http';
  return METHODS.some((method) => method.startsWith(text)) ? undefined : 'frames';
}

/**
 * Calls back once, when enough has come to tell, all of which can then be read again; never when the connection ends
 * before that.
 */
export function onLanguage(socket: Socket, callback: (language: Language) => void): void {
  let first: Uint8Array = new Uint8Array(0);
  const onData = (bytes: Uint8Array): void => {
    first = first.length === 0 ? bytes : Buffer.concat([first, bytes]);
    const language = languageOf(first);
    if (language === undefined) return;
    socket.off('data', onData).pause();
    socket.unshift(first);
    callback(language);
  };
  socket.on('data', onData);
}

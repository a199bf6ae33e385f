/**
 * Connections that are not let in. Each is told so in what it speaks, which its first byte tells: a client sends that
 * as soon as it is connected. Few of them wait, for a short time.
 */
import type { Socket } from 'node:net';
import type { WireErrorCode } from '../errors.js';
import { encodeMessage } from '../wire/messages.js';
import { onLanguage, type Language } from './language.js';

/** Milliseconds in which the first byte has come; and connections that wait for it. */
const WAIT = 250;
const MOST = 64;

/** A TLS alert, fatal: internal_error, which is "unrelated to the peer" (RFC 8446, section 6.2). */
const ALERT = Buffer.from('15030300020250', 'hex');

/** Status lines (RFC 9110, section 15). */
const STATUS: Partial<Record<WireErrorCode, string>> = {
  ERR_BUSY: '503 Service Unavailable',
  ERR_FORBIDDEN: '403 Forbidden',
};

/** How it is said why a connection ends. */
function lastWords(language: Language, code: WireErrorCode, message: string): Uint8Array {
  if (language === 'tls') return ALERT;
  if (language === 'frames') return encodeMessage({ type: 'ERRR', code, message }, 0);
  const head = [
    `HTTP/1.1 ${STATUS[code] ?? '500 Internal Server Error'}`,
    'Content-Type: text/plain; charset=utf-8',
    `Content-Length: ${Buffer.byteLength(message) + 1}`,
    'X-Content-Type-Options: nosniff',
    'Connection: close',
  ];
  return Buffer.from(`${head.join('\r\n')}\r\n\r\n${message}\n`);
}

export class Refusals {
  /** How each is told at once. */
  readonly #waiting = new Map<Socket, () => void>();

  add(socket: Socket, message: string): void {
    const tell = (language: Language): void => {
      clearTimeout(timer);
      this.#waiting.delete(socket);
      sayLast(socket, language, message);
    };
    const tellNow = (): void => {
      tell('frames');
    };
    const timer = setTimeout(tellNow, WAIT);
    socket
      .on('error', () => undefined)
      .once('close', () => {
        clearTimeout(timer);
        this.#waiting.delete(socket);
      });
    this.#waiting.set(socket, tellNow);
    onLanguage(socket, tell);
    const [oldest] = this.#waiting.values();
    if (this.#waiting.size > MOST) oldest?.();
  }

  close(): void {
    for (const socket of this.#waiting.keys()) socket.destroy();
  }
}

/** Milliseconds in which a connection that is told to go has gone. */
const LAST = 1000;

/**
 * Say why a connection ends, and end it when that has gone out: what the other side still sends is read, or the
 * system would take back what is on its way.
 *
 * @param socket TLS's own, after the handshake, or a plain one
 */
export function sendAway(
  socket: Socket,
  { code, message }: { code: WireErrorCode; message: string },
  language: Language = 'frames',
): void {
  const timer = setTimeout(() => {
    socket.destroy();
  }, LAST);
  socket
    .on('error', () => socket.destroy())
    .once('close', () => {
      clearTimeout(timer);
    });
  socket.resume().end(lastWords(language, code, message));
}

/** Say why a connection ends, as far as the kernel takes it at once, and end it. */
export function sayLast(socket: Socket, language: Language, message: string): void {
  socket.on('error', () => undefined);
  socket.write(lastWords(language, 'ERR_BUSY', message));
  socket.destroy();
}

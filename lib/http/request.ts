/** A request of HTTP, taken apart: which path it asks for, with which parameters. */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { PeerError } from '../errors.js';
import type { HttpConnection } from './connection.js';

export interface HttpRequest {
  readonly message: IncomingMessage;
  readonly response: ServerResponse;
  readonly connection: HttpConnection;
  /** The first part of the path. */
  readonly room: string;
  /** The rest, decoded, without the `/` before it; undefined: not even that was there. */
  readonly path: string | undefined;
  readonly query: URLSearchParams;
}

/** A request's target (RFC 9112, section 3.2), and the host that it names. */
export interface Target {
  /** Undefined: HTTP/1.0 without a `Host`. */
  readonly host: string | undefined;
  readonly room: string;
  readonly path: string | undefined;
  readonly query: URLSearchParams;
}

/** @throws PeerError ERR_MALFORMED */
export function targetOf({ url = '', headersDistinct }: IncomingMessage): Target {
  const hosts = headersDistinct['host'] ?? [];
  if (hosts.length > 1) throw new PeerError('ERR_MALFORMED', 'more than one Host');
  // In the absolute form the target's own host counts.
  const absolute = /^https?:\/\/([^/?#]*)(.*)$/i.exec(url);
  const local = absolute?.[2] ?? url;
  const [raw, query = ''] = divided(local, '?');
  const isWhole = raw === '*' || (absolute !== null && raw === '');
  if (!raw.startsWith('/') && !isWhole) {
    throw new PeerError('ERR_MALFORMED', 'the target is no path');
  }
  const [room, path] = divided(raw.slice(1), '/');
  return {
    host: absolute?.[1] ?? hosts[0],
    room: decoded(room),
    path: path === undefined ? undefined : decoded(path),
    query: new URLSearchParams(query),
  };
}

/** A whole number among the parameters. @throws PeerError ERR_MALFORMED */
export function numberOf(
  query: URLSearchParams,
  name: string,
  { least, most, otherwise }: { least: number; most: number; otherwise: number },
): number {
  const text = query.get(name);
  if (text === null) return otherwise;
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= least && value <= most) return value;
  throw new PeerError('ERR_MALFORMED', `${name} is a whole number from ${least} to ${most}`);
}

function divided(text: string, at: string): [string, string | undefined] {
  const index = text.indexOf(at);
  return index < 0 ? [text, undefined] : [text.slice(0, index), text.slice(index + 1)];
}

const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Percent signs undone: UTF-8, or else Latin-1, which some clients send. */
function decoded(text: string): string {
  if (!text.includes('%')) return text;
  const bytes = Buffer.from(
    text.replace(/%([0-9a-f]{2})/gi, (_, hex: string) => String.fromCharCode(parseInt(hex, 16))),
    'latin1',
  );
  try {
    return UTF8.decode(bytes);
  } catch {
    return bytes.toString('latin1');
  }
}

/** A path as part of an address. */
export function encodedPath(path: string): string {
  return path.split('/').map(encodeURIComponent).join('/');
}

/** Addresses of peers as people write them: `host`, `host:port`, `[v6]:port`, each perhaps with `ID@` before it. */
import { isIPv6 } from 'node:net';
import { PeerError } from '../errors.js';
import { MAX_HOST_BYTES } from '../wire/limits.js';
import { isHex32 } from '../wire/limits.js';
import type { PeerId } from '../wire/messages.js';

/** How a link begins, which is no address. */
export const SCHEME = 'p2p://';

/** The port a peer listens on unless told otherwise. */
export const DEFAULT_PORT = 7000;

export interface PeerAddress {
  /** Host name or address literal, without brackets. */
  host: string;
  port: number;
  /** The id that the peer must prove, 64 hexadecimal digits in lower case; undefined: any. */
  key?: PeerId | undefined;
}

/** @throws PeerError ERR_USAGE */
export function parseAddress(text: string): PeerAddress {
  const [, id, rest = text] = /^([^@]*)@(.*)$/su.exec(text) ?? [];
  if (id === undefined) return parseHostPort(text);
  const key = id.toLowerCase();
  if (!isHex32(key)) {
    throw new PeerError(
      'ERR_USAGE',
      `"${text}" is not a peer (before @ stands an id: 64 hexadecimal digits)`,
    );
  }
  return { ...parseHostPort(rest), key };
}

function parseHostPort(text: string): PeerAddress {
  const { host, port } = split(text);
  const bad = (why: string): PeerError =>
    new PeerError(
      'ERR_USAGE',
      `"${text}" is not a peer (${why}); write host, host:port or [v6]:port`,
    );
  if (host === '') throw bad('no host');
  if (host.length > MAX_HOST_BYTES || /[\s/@,[\]\0]/u.test(host)) throw bad('not a host');
  if ((host.includes(':') || text.startsWith('[')) && !isIPv6(host)) {
    throw bad('not an IPv6 address');
  }
  if (port === undefined) return { host, port: DEFAULT_PORT };
  if (!/^\d{1,5}$/.test(port) || Number(port) === 0 || Number(port) > 65535) {
    throw bad('a port is a number from 1 to 65535');
  }
  return { host, port: Number(port) };
}

function split(text: string): { host: string; port: string | undefined } {
  const bracketed = /^\[([^\]]*)\](?::(.*))?$/u.exec(text);
  if (bracketed !== null) return { host: bracketed[1] ?? '', port: bracketed[2] };
  // A bare IPv6 address has colons of its own, and no port.
  if (isIPv6(text)) return { host: text, port: undefined };
  const colon = text.lastIndexOf(':');
  return colon === -1
    ? { host: text, port: undefined }
    : { host: text.slice(0, colon), port: text.slice(colon + 1) };
}

/** `ID@host:port`, or without the id if it has none. */
export function formatPeer(peer: PeerAddress): string {
  return (peer.key === undefined ? '' : `${peer.key}@`) + formatAddress(peer);
}

/** `host:port`, without an id. */
export function formatAddress({ host, port }: PeerAddress): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

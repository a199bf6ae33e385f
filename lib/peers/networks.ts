/** The networks that contain an address, by which peers are counted. */
import type { PeerAddress } from '../net/address.js';
import { groupOf, scopeOf } from '../net/scope.js';

export interface Networks {
  /** A public IPv4 /24 or IPv6 /48; elsewhere the address (`groupOf`). */
  readonly group: string;
  /** The wider one: that without its last part. */
  readonly wide: string;
  readonly isLoopback: boolean;
}

/** Cached: classifying an address is slow, and the same ones are classified again and again. */
const known = new WeakMap<PeerAddress, Networks>();

export function networksOf(address: PeerAddress): Networks {
  const before = known.get(address);
  if (before !== undefined) return before;
  const group = groupOf(address.host);
  const wide = group.slice(0, Math.max(0, group.search(/[.:][^.:]*$/)));
  const networks = { group, wide, isLoopback: scopeOf(address.host) === 'loopback' };
  known.set(address, networks);
  return networks;
}

/** Whether two addresses are, by all appearances, those of one listener: the same port on this very machine. */
export function isOneListener(a: PeerAddress, b: PeerAddress): boolean {
  return a.port === b.port && networksOf(a).isLoopback && networksOf(b).isLoopback;
}

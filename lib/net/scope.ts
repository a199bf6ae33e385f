/**
 * How far an address reaches, and what that means for it when another peer names it.
 *
 * An address that another peer names makes this machine connect there. Which ones are used is
 * decided here, before anything is remembered or dialled; PROTOCOL.md says the same.
 */
import { BlockList, SocketAddress, isIP, isIPv4 } from 'node:net';
import { networkInterfaces } from 'node:os';
import { ExpiringMap } from '../limits/expiring-map.js';
import type { PeerAddress } from './address.js';

/**
 * From where an address can be reached: this machine, this wire, this network, the network between a
 * provider and its customers (RFC 6598), anywhere.
 */
export type Scope = 'loopback' | 'link-local' | 'private' | 'shared' | 'public';

/** Ports below this are those of mail, login and name servers, where no peer listens (RFC 6335). */
const FIRST_PEER_PORT = 1024;

type Subnet = readonly [net: string, bits: number];

function blocks(v4: readonly Subnet[], v6: readonly Subnet[]): BlockList {
  const list = new BlockList();
  for (const [net, bits] of v4) list.addSubnet(net, bits, 'ipv4');
  for (const [net, bits] of v6) list.addSubnet(net, bits, 'ipv6');
  return list;
}

// IANA's registries of special-purpose addresses (RFC 6890 and its updates).
const LOOPBACK = blocks([['127.0.0.0', 8]], [['::1', 128]]);
const LINK_LOCAL = blocks([['169.254.0.0', 16]], [['fe80::', 10]]);
const PRIVATE = blocks(
  [
    ['10.0.0.0', 8],
    ['172.16.0.0', 12],
    ['192.168.0.0', 16],
  ],
  [['fc00::', 7]],
);
const SHARED = blocks([['100.64.0.0', 10]], []);
/** Where no peer can be, or (IPv4 inside IPv6) where it does not show which. */
const UNUSABLE = blocks(
  [
    ['0.0.0.0', 8],
    ['192.0.0.0', 24],
    ['192.0.2.0', 24],
    ['192.88.99.0', 24],
    ['198.18.0.0', 15],
    ['198.51.100.0', 24],
    ['203.0.113.0', 24],
    ['224.0.0.0', 4],
    ['240.0.0.0', 4],
  ],
  [
    ['::', 96],
    ['::ffff:0:0:0', 96], // IPv4-translated (RFC 2765)
    ['64:ff9b::', 96],
    ['64:ff9b:1::', 48],
    ['100::', 64],
    ['2001::', 23],
    ['2001:db8::', 32],
    ['2002::', 16],
    ['3fff::', 20],
    ['5f00::', 16],
    ['fec0::', 10],
    ['ff00::', 8],
  ],
);

/**
 * An address literal in its one form: lower case, shortest, IPv4 in IPv6 as IPv4, with its zone if it
 * has one. Undefined for anything else, a name for example.
 */
export function literal(host: string): string | undefined {
  if (isIPv4(host)) return host;
  const [address = '', zone] = host.split('%', 2);
  if (isIP(address) !== 6) return undefined;
  const { address: short } = new SocketAddress({ address, family: 'ipv6' });
  const mapped = /^::ffff:([\d.]+)$/.exec(short)?.[1];
  if (mapped !== undefined && isIPv4(mapped)) return mapped;
  return zone === undefined ? short : `${short}%${zone}`;
}

/** The scope of an address literal; undefined for a name, and for one that no peer can have. */
export function scopeOf(host: string): Scope | undefined {
  const known = literal(host);
  if (known === undefined) return undefined;
  const [address = ''] = known.split('%', 1);
  const family = isIPv4(address) ? 'ipv4' : 'ipv6';
  if (LOOPBACK.check(address, family)) return 'loopback';
  if (UNUSABLE.check(address, family) || isIsatap(address)) return undefined;
  if (LINK_LOCAL.check(address, family)) return 'link-local';
  if (PRIVATE.check(address, family)) return 'private';
  if (SHARED.check(address, family)) return 'shared';
  return 'public';
}

/**
 * What counts as one source: a public IPv4 /24 or IPv6 /48, which one person can have all of;
 * elsewhere an address.
 */
export function groupOf(host: string): string {
  const address = literal(host) ?? host;
  if (scopeOf(address) !== 'public') return address;
  if (isIPv4(address)) return address.split('.').slice(0, 3).join('.');
  return prefixOf(address, 3);
}

/** Networks (IPv6 /48) in which a /64 counts by itself: so many, for so many milliseconds after the last one came. */
const NETWORKS = 4096;
const NETWORK_LIFETIME = 600_000;
/** Of each network the first so many /64s are clients; all others together are one more. */
const CLIENTS_PER_NETWORK = 4;

const networks = new ExpiringMap<Set<string>>(NETWORKS, NETWORK_LIFETIME);

/**
 * The client on whose behalf an address counts, whatever connections it makes: an IPv4 address, or an IPv6
 * /64, which is what a home or a machine is given. A public IPv6 /48, which one person can have all of, is
 * five clients at most. On one wire (link-local) everybody is in the same /64: an address.
 */
export function clientOf(host: string): string {
  const address = literal(host) ?? host;
  if (isIPv4(address) || scopeOf(address) === 'link-local' || !address.includes(':'))
    return address;
  const client = prefixOf(address, 4);
  if (scopeOf(address) !== 'public') return client;
  const network = prefixOf(address, 3);
  const clients = networks.get(network) ?? new Set();
  if (clients.size < CLIENTS_PER_NETWORK) clients.add(client);
  networks.set(network, clients);
  return clients.has(client) ? client : network;
}

/** An IPv6 address that a tunnel makes out of an IPv4 address, of whatever scope (RFC 5214, section 6.1). */
function isIsatap(address: string): boolean {
  return address.includes('5efe') && /^([^:]*:){4}(0|200):5efe:/.test(prefixOf(address, 8));
}

/** The first groups of 16 bits of an IPv6 address in its shortest form. */
function prefixOf(address: string, groups: number): string {
  const [head = '', tail] = address.split('::', 2);
  const first = head === '' ? [] : head.split(':');
  const last = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = Array.from({ length: 8 - first.length - last.length }, () => '0');
  return [...first, ...zeros, ...last].slice(0, groups).join(':');
}

/**
 * The addresses of this machine's interfaces but loopback; the last that were seen while no descriptor is left, which
 * the system needs to tell.
 *
 * @param maxAge milliseconds since they were read
 */
export function interfaceAddresses(maxAge = INTERFACES_AGE): readonly string[] {
  const time = performance.now();
  if (time - interfaces.at > maxAge) {
    try {
      const all = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
      const addresses = all.filter(({ internal }) => !internal).map(({ address }) => address);
      interfaces = { at: time, addresses };
    } catch {
      // The next look may succeed.
    }
  }
  return interfaces.addresses;
}

/** Milliseconds for which the list is cached: reading it is slower than classifying an address. */
const INTERFACES_AGE = 10_000;
let interfaces: { at: number; addresses: readonly string[] } = { at: -Infinity, addresses: [] };

/** Whether a peer in one scope may speak of, or has a use for, an address in another. */
function reaches(from: Scope, to: Scope): boolean {
  return from === 'loopback' || to === 'public' || from === to;
}

/** Decides which of the addresses that others name are used, and which are told to which peer. */
export class AddressPolicy {
  readonly #ownAddresses: () => Iterable<string>;

  /** @param ownAddresses the addresses of this machine's interfaces, asked for at each decision */
  constructor(ownAddresses: () => Iterable<string>) {
    this.#ownAddresses = ownAddresses;
  }

  /**
   * The address in its one form if it may be used, undefined if not.
   *
   * @param speaker the address of the peer that names it
   */
  believed(speaker: string, { host, port }: PeerAddress): PeerAddress | undefined {
    const from = scopeOf(speaker);
    const address = literal(host);
    if (from === undefined || address === undefined || !isPeerPort(port)) return undefined;
    const to = scopeOf(address);
    if (to === undefined || !reaches(from, to) || needsZone(address, to)) return undefined;
    if (from !== 'loopback' && to !== 'loopback' && this.#isOwn(address)) {
      // Only a process on this machine can know what else listens here.
      if (!this.#isOwn(literal(speaker) ?? '')) return undefined;
    }
    return { host: address, port };
  }

  /** The address from which a peer has connected, with the port that it says it listens on. */
  dialBack(remote: string, port: number): PeerAddress | undefined {
    const host = literal(remote);
    if (host === undefined || scopeOf(host) === undefined || !isPeerPort(port)) return undefined;
    return { host, port };
  }

  /** Whether an address is of use to the asker. */
  mayTell(asker: string, host: string): boolean {
    const from = scopeOf(asker);
    const to = scopeOf(host);
    return from !== undefined && to !== undefined && reaches(from, to) && !needsZone(host, to);
  }

  #isOwn(address: string): boolean {
    for (const own of this.#ownAddresses()) if (literal(own) === address) return true;
    return false;
  }
}

function isPeerPort(port: number): boolean {
  return Number.isInteger(port) && port >= FIRST_PEER_PORT && port <= 65_535;
}

/** An IPv6 link-local address means nothing without a zone, and a zone nothing on another machine. */
function needsZone(host: string, scope: Scope): boolean {
  return host.includes('%') || (scope === 'link-local' && !isIPv4(host));
}

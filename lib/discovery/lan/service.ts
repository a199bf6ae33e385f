/**
 * What a node says of itself in its own network, as records of DNS-SD (RFC 6763), and how such records of others are
 * read. No sockets. Ids and ports alone are announced, never names of people, machines or files.
 */
import { isIPv4 } from 'node:net';
import { PROTOCOL_VERSION, isHex32 } from '../../wire/limits.js';
import type { PeerId } from '../../wire/messages.js';
import type { DnsRecord, Query, Received, Response } from './packet.js';

/** The service's name, under which its instances are found. */
export const SERVICE = '_p2p-serve._tcp.local';
/** Where all services of a network are listed (RFC 6763, section 9). */
const ALL_SERVICES = '_services._dns-sd._udp.local';

/** A node, as it is announced. */
export interface Service {
  id: PeerId;
  /** TCP. */
  port: number;
}

/** What a response says of a node. A claim. */
export interface SeenService extends Service {
  /** Seconds for which it may be remembered; 0: it says goodbye. */
  ttl: number;
}

/** Seconds: of records that hold an address, and of others (RFC 6762, section 10). */
const HOST_TTL = 120;
const OTHER_TTL = 4500;
/** Seconds for which a resolver that is no member of the group may remember an answer (RFC 6762, section 6.7). */
const LEGACY_TTL = 10;
/** Services that are read from one response. */
const MAX_SERVICES = 32;

/** Unique without being asked for: it is made from the key. A label has 63 bytes at most, and an id 64 digits. */
const instanceOf = (id: PeerId): string => `p2p-${id.slice(0, 32)}.${SERVICE}`;
const hostOf = (id: PeerId): string => `p2p-${id.slice(0, 32)}.local`;

/**
 * A response with all that there is to say of a node.
 *
 * @param addresses of this machine on the link that it is sent on
 * @param kind `goodbye`: forget it all; `legacy`: to a resolver that is no member of the group
 */
export function announcement(
  { id, port }: Service,
  addresses: readonly string[],
  kind: 'multicast' | 'goodbye' | 'legacy' = 'multicast',
): Response {
  const ttlOf = (ttl: number): number =>
    kind === 'goodbye' ? 0 : kind === 'legacy' ? Math.min(ttl, LEGACY_TTL) : ttl;
  // "Forget what you knew under this name" is only for members of the group.
  const flush = kind !== 'legacy';
  const [name, target] = [instanceOf(id), hostOf(id)];
  const text = ['txtvers=1', `id=${id}`, `version=${PROTOCOL_VERSION}`];
  const answers: DnsRecord[] = [
    { type: 'PTR', name: SERVICE, ttl: ttlOf(OTHER_TTL), data: name },
    { type: 'SRV', name, ttl: ttlOf(HOST_TTL), flush, data: { port, target } },
    { type: 'TXT', name, ttl: ttlOf(OTHER_TTL), flush, data: text },
  ];
  const list: DnsRecord = { type: 'PTR', name: ALL_SERVICES, ttl: ttlOf(OTHER_TTL), data: SERVICE };
  // Other services of this kind are there, or may be.
  if (kind !== 'goodbye') answers.push(list);
  for (const data of addresses) {
    const type = isIPv4(data) ? 'A' : 'AAAA';
    answers.push({ type, name: target, ttl: ttlOf(HOST_TTL), flush, data });
  }
  return { answers };
}

/** A query for nodes. @param known ids of those that need not answer (RFC 6762, section 7.1) */
export function queryFor(known: Iterable<PeerId>): Query {
  const answers: DnsRecord[] = [];
  for (const id of known) {
    answers.push({ type: 'PTR', name: SERVICE, ttl: OTHER_TTL, data: instanceOf(id) });
  }
  return { questions: [{ name: SERVICE, type: 'PTR' }], answers };
}

/** Whether a query is for this node, which is not among the answers known to whatever asks. */
export function asksFor({ questions, answers }: Received, id: PeerId): boolean {
  const isKnown = answers.some(
    (record) =>
      record.type === 'PTR' &&
      isName(record.name, SERVICE) &&
      isName(record.data, instanceOf(id)) &&
      // It must be told again before it forgets.
      ttlIn(record) * 2 >= OTHER_TTL,
  );
  const isAny = (type: string, types: readonly string[]): boolean =>
    type === 'ANY' || types.includes(type);
  return questions.some(({ name, type }) => {
    if (isName(name, SERVICE)) return isAny(type, ['PTR']) && !isKnown;
    if (isName(name, ALL_SERVICES)) return isAny(type, ['PTR']);
    if (isName(name, instanceOf(id))) return isAny(type, ['SRV', 'TXT']);
    return isName(name, hostOf(id)) && isAny(type, ['A', 'AAAA']);
  });
}

/**
 * The nodes of which a response says both port and id; anything else in it is ignored. The addresses in it are, too:
 * a node is where its response came from, so that nobody can name the address of another.
 */
export function servicesIn({ answers, additionals }: Received): SeenService[] {
  const records = [...answers, ...additionals];
  const ports = new Map<string, { port: number; ttl: number }>();
  const ids = new Map<string, PeerId>();
  for (const record of records) {
    const name = nameOf(record.name);
    if (name === undefined || !('data' in record)) continue;
    // What is in a record is whatever came from the network, whatever its type says.
    const data: unknown = record.data;
    if (record.type === 'SRV' && ports.size < MAX_SERVICES) {
      const port = portIn(data);
      if (port !== undefined) ports.set(name, { port, ttl: ttlIn(record) });
    } else if (record.type === 'TXT' && ids.size < MAX_SERVICES) {
      const id = idIn(data);
      if (id !== undefined) ids.set(name, id);
    }
  }
  const services = new Map<string, SeenService>();
  for (const record of records) {
    if (record.type !== 'PTR' || !isName(record.name, SERVICE)) continue;
    const name = nameOf(record.data);
    const [at, id] = name === undefined ? [] : [ports.get(name), ids.get(name)];
    if (name === undefined || at === undefined || id === undefined) continue;
    const ttl = Math.min(at.ttl, ttlIn(record));
    services.set(name, { id, port: at.port, ttl });
  }
  return [...services.values()];
}

/** Names are alike in upper and lower case (RFC 6762, section 16). */
function nameOf(name: unknown): string | undefined {
  return typeof name === 'string' ? name.toLowerCase() : undefined;
}

function isName(name: unknown, other: string): boolean {
  return nameOf(name) === other;
}

function ttlIn(record: { ttl?: unknown }): number {
  return typeof record.ttl === 'number' && record.ttl > 0 ? Math.min(record.ttl, OTHER_TTL) : 0;
}

function portIn(data: unknown): number | undefined {
  if (typeof data !== 'object' || data === null || !('port' in data)) return undefined;
  const { port } = data;
  return typeof port === 'number' && Number.isInteger(port) && port > 0 && port < 65_536
    ? port
    : undefined;
}

/** `id=` and 64 digits, and a version that this node speaks; the first of each counts (RFC 6763, section 6.4). */
function idIn(data: unknown): PeerId | undefined {
  if (!Array.isArray(data)) return undefined;
  const values = new Map<string, string>();
  for (const item of data as unknown[]) {
    if (!Buffer.isBuffer(item)) continue;
    const [, key = '', value = ''] = /^([^=]+)=(.*)$/s.exec(item.toString('latin1')) ?? [];
    const name = key.toLowerCase();
    if (key !== '' && !values.has(name)) values.set(name, value);
  }
  const id = values.get('id')?.toLowerCase();
  const version = values.get('version') ?? String(PROTOCOL_VERSION);
  if (version !== String(PROTOCOL_VERSION)) return undefined;
  return id !== undefined && isHex32(id) ? id : undefined;
}

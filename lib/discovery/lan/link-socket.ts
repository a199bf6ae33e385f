/** Multicast DNS (RFC 6762) on one link: one socket, so that what is sent goes there and nowhere else. */
import { createSocket, type RemoteInfo } from 'node:dgram';
import { once } from 'node:events';
import mdns, { type MulticastDNS } from 'multicast-dns';
import { asError } from '../../errors.js';
import { KeyedRateLimit } from '../../limits/keyed-rate-limit.js';
import { TokenBucket } from '../../limits/token-bucket.js';
import type { LanLink } from './links.js';
import type { Query, Received, Response } from './packet.js';

export const MDNS_PORT = 5353;
const GROUPS = { 4: '224.0.0.251', 6: 'ff02::fb' } as const;

/** Bytes a second that are read of a link, and at once: 200 nodes answer at the same time with 350 bytes each. */
const READ_RATE = 128 * 1024;
const READ_BURST = 256 * 1024;
/** Packets of one address that are read: one that floods the link shall not silence the others. */
const HOST_PACKETS = { rate: 10, burst: 50, maxKeys: 1024 };
/** Bytes of a packet at most (RFC 6762, section 17), and records in one: reading a name costs as much as a label many. */
const MAX_PACKET = 9000;
const MAX_RECORDS = 128;

/** Where a packet came from. */
export interface PacketSource {
  /** With its zone, if it has one. */
  readonly host: string;
  readonly port: number;
}

export interface LinkSocketEvents {
  onPacket: (packet: Received, from: PacketSource) => void;
  /** It cannot be used; the socket is closed. */
  onError: (error: Error) => void;
}

export class LinkSocket {
  readonly link: LanLink;
  readonly #mdns: MulticastDNS;
  readonly #ready: Promise<unknown>;
  readonly #bytes = new TokenBucket(READ_RATE, READ_BURST, performance.now());
  readonly #hosts = new KeyedRateLimit(HOST_PACKETS);
  #closed = false;

  constructor(link: LanLink, { onPacket, onError }: LinkSocketEvents) {
    this.link = link;
    const { name, family, address } = link;
    const socket = createSocket({ type: `udp${family}`, reuseAddr: true, ipv6Only: family === 6 });
    this.#mdns = mdns({
      socket,
      type: `udp${family}`,
      ip: GROUPS[family],
      interface: family === 4 ? address : `::%${name}`,
      bind: family === 4 ? '0.0.0.0' : '::',
    });
    this.#ready = once(this.#mdns, 'ready');
    this.#ready.catch((error: unknown) => {
      this.#end();
      onError(asError(error));
    });
    // The library decodes whatever comes: it is given what is worth that.
    const [decode] = socket.listeners('message');
    socket.removeAllListeners('message');
    socket.on('message', (bytes: Buffer, from: RemoteInfo) => {
      if (!this.#closed && this.#admits(bytes, from)) decode?.call(socket, bytes, from);
    });
    this.#mdns.on('packet', (packet: Received, { address: host, port }: RemoteInfo) => {
      onPacket(packet, { host, port });
    });
    // What is no packet, or cannot be joined, on one of many interfaces: nothing to tell anybody.
    this.#mdns.on('warning', () => undefined);
    this.#mdns.on('error', () => undefined);
  }

  /** To the group, or to one address. Resolves when it has been sent, or could not be. */
  async send(packet: Query | Response, to?: PacketSource): Promise<void> {
    await this.#ready.catch(() => undefined);
    if (this.#closed) return;
    await new Promise<void>((resolve) => {
      const done = (): void => {
        resolve();
      };
      const target = to === undefined ? undefined : { address: to.host, port: to.port };
      if (isQuery(packet)) this.#mdns.query(packet, target, done);
      else this.#mdns.respond(packet, target, done);
    });
  }

  close(): void {
    this.#end();
  }

  #end(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#mdns.destroy();
  }

  /**
   * On most systems every socket gets what comes on any interface, and what strangers send to this port alone: only
   * what comes from this link counts (RFC 6762, section 11), and no more of it than the limits say.
   */
  #admits(bytes: Buffer, { address }: RemoteInfo): boolean {
    if (bytes.length < 12 || bytes.length > MAX_PACKET || !this.link.has(address)) return false;
    if (!this.#hosts.admits(address)) return false;
    this.#bytes.fill(performance.now());
    if (this.#bytes.tokens < bytes.length) return false;
    this.#bytes.spend(bytes.length);
    // Of questions, answers, authorities and additionals.
    const counts = [4, 6, 8, 10].map((at) => bytes.readUInt16BE(at));
    return counts.reduce((a, b) => a + b) <= MAX_RECORDS;
  }
}

function isQuery(packet: Query | Response): packet is Query {
  // A response has questions only beside the id of the query that they are of.
  return packet.questions !== undefined && !('id' in packet);
}

/** Peers that the user named, by address or by name; names are looked up here and nowhere else. */
import { lookup } from 'node:dns/promises';
import type { PeerAddress } from '../net/address.js';
import { literal } from '../net/scope.js';
import type { PeerTable } from './table.js';

/** Addresses of one name that are used. */
const MAX_ADDRESSES = 8;

/** The address literals that a host stands for; none when its name cannot be looked up. */
export async function resolveHost(host: string): Promise<string[]> {
  const known = literal(host);
  if (known !== undefined) return [known];
  const found = await lookup(host, { all: true }).catch(() => []);
  const literals = found.map(({ address }) => literal(address)).filter((x) => x !== undefined);
  return [...new Set(literals)].slice(0, MAX_ADDRESSES);
}

export class NamedPeers {
  readonly #table: PeerTable;
  readonly #peers: readonly { readonly peer: PeerAddress; addresses: PeerAddress[] }[];

  constructor(peers: readonly PeerAddress[], table: PeerTable) {
    this.#table = table;
    this.#peers = peers.map((peer) => ({ peer, addresses: [] }));
  }

  /** Put every peer into the table, at the addresses it has now, unless it is there and up. */
  async refresh(): Promise<void> {
    await Promise.all(
      this.#peers.map(async (entry) => {
        const { peer, addresses } = entry;
        if (addresses.some((address) => this.#table.at(address)?.up === true)) return;
        const hosts = await resolveHost(peer.host);
        // No answer is no reason to give up the addresses known so far.
        const now = hosts.length === 0 ? addresses : hosts.map((host) => ({ ...peer, host }));
        for (const old of addresses) {
          if (!now.some(({ host }) => host === old.host)) this.#table.unname(old);
        }
        entry.addresses = now;
        for (const address of now) this.#table.name(address);
      }),
    );
  }
}

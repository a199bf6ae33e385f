/** A process in which some nodes of a network run. It measures the searches that begin at one of them. */
import { subscribe } from 'node:diagnostics_channel';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { createNode, type PeerNode } from '../../lib/node.js';
import { formatAddress, type PeerAddress } from '../../lib/net/address.js';
import type { SearchResult, SearchSummary } from '../../lib/search/results.js';
import type { PeerId } from '../../lib/wire/messages.js';
import { serveCalls } from '../../test/fixtures/child.js';
import { hostOf } from '../../test/fixtures/network.js';
import { WORD, checkAnswers, sharedFile } from './check.js';
import type { Graph } from '../../test/fixtures/graphs.js';

export interface FanoutCalls {
  /** Start a node: it makes connections to `peers`, and wants to be reached at `advertise`. */
  start(plan: {
    node: number;
    folder: string;
    peers: readonly PeerAddress[];
    advertise: PeerAddress | undefined;
  }): Promise<{ id: PeerId; address: PeerAddress }>;
  /** Resolves when all nodes here have indexed their files and are linked as they should be. */
  ready(network: { graph: Graph; ids: readonly PeerId[] }): Promise<void>;
  /** Search from a node here. Rejects when the answers are not those of all nodes within `ttl`, each once. */
  search(order: { node: number; ttl: number }): Promise<Timing>;
  /** What the nodes here have sent since they were started. */
  sent(): Sent;
}

/** Milliseconds since the begin of a search. */
export interface Timing {
  /** First and last answer of another node. */
  first: number;
  last: number;
  end: number;
  /** Answers of other nodes. */
  answers: number;
}

export interface Sent {
  /** Searches passed on to a neighbour, and results relayed. */
  passedOn: number;
  relayed: number;
  /** Bytes on all connections that were made to nodes here, in both directions. */
  bytes: number;
}

/** Milliseconds until a network that does not come about is given up. */
const PATIENCE = 120_000;

const nodes = new Map<number, PeerNode>();
let graph: Graph = [];
let ids: readonly PeerId[] = [];

// Each connection between two nodes is accepted by one of them: there all of its bytes can be counted.
const accepted: Socket[] = [];
subscribe('net.server.socket', (message) => {
  accepted.push((message as { socket: Socket }).socket);
});

serveCalls<FanoutCalls>({
  start: async ({ node: number, folder, peers, advertise }) => {
    const share = join(folder, `${number}`);
    mkdirSync(share);
    const { path, content } = sharedFile(number);
    writeFileSync(join(share, path), content);
    const node = createNode({
      share,
      host: hostOf(number),
      port: 0,
      watch: false,
      // Threads for one small file each would take longer to start than all the rest.
      workers: false,
      discover: false,
      // They make connections from one address.
      maxPeersPerNetwork: 1000,
      times: { hostPause: 1 },
      peers: peers.map(formatAddress),
      advertise: advertise === undefined ? undefined : formatAddress(advertise),
    });
    await node.start();
    nodes.set(number, node);
    return { id: node.id, address: node.address };
  },
  ready: async (network) => {
    ({ graph, ids } = network);
    const signal = AbortSignal.timeout(PATIENCE);
    for (const [number, node] of nodes) {
      const wanted = (graph[number] ?? []).map((other) => ids[other]).sort();
      while (node.state !== 'ready') await once(node, 'indexed', { signal });
      while (linksOf(node).join() !== wanted.join()) await once(node, 'peer', { signal });
    }
  },
  search: async ({ node: number, ttl }) => {
    const node = nodes.get(number);
    if (node === undefined) throw new RangeError(`node ${number} is not here`);
    const results: SearchResult[] = [];
    let summary: SearchSummary | undefined;
    const onEnd = (end: SearchSummary): void => {
      summary = end;
    };
    const timing: Timing = { first: NaN, last: NaN, end: NaN, answers: 0 };
    const begin = performance.now();
    for await (const result of node.search(WORD, { ttl, onEnd })) {
      results.push(result);
      if (result.hops === 0) continue;
      timing.last = performance.now() - begin;
      if (timing.answers++ === 0) timing.first = timing.last;
    }
    timing.end = performance.now() - begin;
    checkAnswers({ graph, ids, from: number, ttl }, results, summary);
    return timing;
  },
  sent: () => {
    const sent: Sent = { passedOn: 0, relayed: 0, bytes: 0 };
    for (const { searchStats } of nodes.values()) {
      sent.passedOn += searchStats.passedOn;
      sent.relayed += searchStats.relayed;
    }
    for (const { bytesRead, bytesWritten } of accepted) sent.bytes += bytesRead + bytesWritten;
    return sent;
  },
});

function linksOf(node: PeerNode): PeerId[] {
  const linked = node.peers.filter(({ link }) => link !== undefined);
  return linked.map(({ id }) => id).sort();
}

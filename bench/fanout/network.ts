/** A network of real nodes, spread over processes, with or without a delay on every connection. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { PeerAddress } from '../../lib/net/address.js';
import type { PeerId } from '../../lib/wire/messages.js';
import { Child } from '../../test/fixtures/child.js';
import type { FanoutCalls, Sent, Timing } from './process.js';
import type { Graph } from '../../test/fixtures/graphs.js';
import { noMessages, type SearchMessages } from './message-counter.js';
import type { RelayCalls } from './relay-process.js';

export interface FanoutOptions {
  graph: Graph;
  /** Milliseconds that a delaying relay adds to every connection, each way; 0 for no relay. */
  delay: number;
  /** How many processes the nodes are spread over. */
  processes: number;
  /** An empty folder for what they share. */
  folder: string;
}

/** What one search took. */
export interface Cost extends Timing {
  /** RQFS and TPHF, counted by the nodes. */
  RQFS: number;
  TPHF: number;
  /** Bytes on all connections meanwhile, PING and RQLT included. */
  bytes: number;
  /** What the relays saw of it. */
  seen: SearchMessages | undefined;
}

export class FanoutNetwork {
  readonly #graph: Graph;
  readonly #processes: Child<FanoutCalls>[];
  readonly #relays: Child<RelayCalls> | undefined;

  private constructor({ graph, delay, processes }: FanoutOptions) {
    this.#graph = graph;
    this.#processes = Array.from(
      { length: Math.min(processes, graph.length) },
      () => new Child<FanoutCalls>('bench/fanout/process.js'),
    );
    this.#relays = delay > 0 ? new Child<RelayCalls>('bench/fanout/relay-process.js') : undefined;
  }

  /** Resolves when every node is linked with its neighbours and knows theirs. */
  static async start(options: FanoutOptions): Promise<FanoutNetwork> {
    const network = new FanoutNetwork(options);
    try {
      await network.#start(options);
    } catch (error) {
      await network.close();
      throw error;
    }
    return network;
  }

  /** Of all processes in which nodes run. */
  get pids(): number[] {
    return this.#processes.map(({ pid }) => pid);
  }

  /** Search from a node and check what comes. Only one at a time. */
  async search(node: number, ttl: number): Promise<Cost> {
    const before = await this.#sent();
    const timing = await this.#processOf(node).call('search', { node, ttl });
    const after = await this.#sent();
    const { seen } = after;
    return {
      ...timing,
      RQFS: after.passedOn - before.passedOn,
      // The node that searches relays to itself; that is no message.
      TPHF: after.relayed - before.relayed - timing.answers,
      bytes: after.bytes - before.bytes,
      seen: seen === undefined ? undefined : difference(seen, before.seen ?? noMessages()),
    };
  }

  async close(): Promise<void> {
    await Promise.all([this.#relays?.stop(), ...this.#processes.map((child) => child.stop())]);
  }

  #processOf(node: number): Child<FanoutCalls> {
    const child = this.#processes[node % this.#processes.length];
    if (child === undefined) throw new RangeError(`there is no node ${node}`);
    return child;
  }

  async #start({ delay, folder }: FanoutOptions): Promise<void> {
    const begin = performance.now();
    const nodes = this.#graph.length;
    const fronts = (await this.#relays?.call('open', { nodes, delay })) ?? [];
    const nodeFolder = join(folder, 'shares');
    mkdirSync(nodeFolder);
    const ids: PeerId[] = [];
    const contacts: PeerAddress[] = [];
    for (const [node, neighbours] of this.#graph.entries()) {
      // Of two neighbours the later one makes the connection. The other dials it back, at the address
      // that it is told: the relay's, if there is one.
      const peers = neighbours.map((other) => contacts[other]).filter((peer) => peer !== undefined);
      const plan = { node, folder: nodeFolder, peers, advertise: fronts[node] };
      const { id, address } = await this.#processOf(node).call('start', plan);
      await this.#relays?.call('aim', { node, target: address });
      ids.push(id);
      contacts.push(fronts[node] ?? address);
    }
    const network = { graph: this.#graph, ids };
    await Promise.all(this.#processes.map((child) => child.call('ready', network)));
    // On each link RQLT is sent at once, 0.5 s later, and then after twice as long each time: so much
    // later every node has asked its neighbours since the last link was made.
    await sleep(performance.now() - begin + 1000);
  }

  async #sent(): Promise<Sent & { seen: SearchMessages | undefined }> {
    const [seen, ...sent] = await Promise.all([
      this.#relays?.call('counts', undefined as never),
      ...this.#processes.map((child) => child.call('sent', undefined as never)),
    ]);
    const sum = (key: keyof Sent): number => sent.reduce((sum, one) => sum + one[key], 0);
    return { passedOn: sum('passedOn'), relayed: sum('relayed'), bytes: sum('bytes'), seen };
  }
}

function difference(after: SearchMessages, before: SearchMessages): SearchMessages {
  return {
    RQFS: after.RQFS - before.RQFS,
    RPFL: after.RPFL - before.RPFL,
    TPHF: after.TPHF - before.TPHF,
    ACKN: after.ACKN - before.ACKN,
    bytes: after.bytes - before.bytes,
  };
}

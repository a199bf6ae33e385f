/** In a process of its own: two honest neighbours of a node, and a client that searches by way of it. */
import { once } from 'node:events';
import { PeerError, formatAddress, type PeerNode } from '../../../lib/index.js';
import { serveCalls } from '../../fixtures/child.js';
import { median } from '../soak/gauge.js';
import { writeFiles } from '../../fixtures/bytes.js';
import { TIMES } from '../../fixtures/network.js';
import { linksOf, until } from '../../fixtures/node.js';
import { connect, createNode } from '../../fixtures/transport.js';

/** What every node shares one of. */
export const QUERY = 'honest';

/** Milliseconds of a search at most, as by default: those that are left early are under way until then. */
const PATIENCE = 5000;

export interface Rate {
  /** Searches begun, and those that found what each honest node has. */
  begun: number;
  complete: number;
  /** Of the latter a second. */
  perSecond: number;
  /** Milliseconds that a search took. */
  median: number;
  longest: number;
}

const nodes: PeerNode[] = [];
let ids: string[] = [];

const calls = {
  /** @returns where the neighbours listen, when they are linked to the node */
  async start({ folder, node }: { folder: string; node: string }): Promise<string[]> {
    for (const n of [1, 2]) {
      writeFiles(`${folder}/${n}`, { [`${QUERY}-${n}.txt`]: `${n}` });
      const options = { port: 0, watch: false, workers: false, discover: false, times: TIMES };
      const host = `127.0.0.${10 + n}`;
      nodes.push(createNode({ share: `${folder}/${n}`, host, peers: [node], ...options }));
    }
    for (const each of nodes) {
      const indexed = once(each, 'indexed');
      await each.start();
      await indexed;
      await until(each, () => linksOf(each).length === 1);
    }
    const own = nodes.flatMap((each) => linksOf(each)).slice(0, 1);
    ids = [...nodes.map(({ id }) => id), ...own];
    return nodes.map(({ address }) => formatAddress(address));
  },

  /** Search so many times a second, for so many seconds. */
  async search({
    node,
    rate,
    seconds,
  }: {
    node: string;
    rate: number;
    seconds: number;
  }): Promise<Rate> {
    const peer = await connect(node);
    const times: number[] = [];
    const all: Promise<void>[] = [];
    let complete = 0;
    const one = async (): Promise<void> => {
      const begin = performance.now();
      const found = new Set<string>();
      try {
        for await (const { peer: source, files } of peer.searchNetwork(QUERY, {
          timeout: PATIENCE,
        })) {
          if (files.some(({ path }) => path.startsWith(`${QUERY}-`))) found.add(source.id);
          // What abusers say takes its time until it is over; what is wanted is there.
          if (ids.every((id) => found.has(id))) break;
        }
      } catch (error) {
        // Refused: it has found what it has.
        if (!(error instanceof PeerError)) throw error;
      }
      times.push(performance.now() - begin);
      if (ids.every((id) => found.has(id))) complete++;
    };
    const begin = performance.now();
    for (let i = 0; i < rate * seconds; i++) {
      const wait = begin + (i * 1000) / rate - performance.now();
      if (wait > 0) await new Promise((resolve) => setTimeout(resolve, wait));
      all.push(one());
    }
    await Promise.all(all);
    const perSecond = (complete * 1000) / Math.max(performance.now() - begin, seconds * 1000);
    await peer.close();
    const longest = Math.max(...times);
    return { begun: all.length, complete, perSecond, median: median(times), longest };
  },

  async stop(): Promise<void> {
    await Promise.all(nodes.map((node) => node.close()));
  },
};

export type HonestCalls = typeof calls;

serveCalls(calls);

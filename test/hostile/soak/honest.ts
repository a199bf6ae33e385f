/** Clients as they should be: they fetch and search, and compare every answer with what is there. */
import { asError } from '../../../lib/errors.js';
import { PeerError, type FetchOptions, type Peer, type SearchResult } from '../../../lib/index.js';
import type { ChangingShare, KnownFile } from './changing-share.js';
import type { Counts } from './counts.js';
import { connect } from '../../fixtures/transport.js';

/** Milliseconds after which a change must have been noticed, hashed and told. */
const SETTLED = 30_000;
/** Connections that are kept, and used by turns. */
const KEPT = 4;
/** Milliseconds from when a connection is replaced until it is closed. */
const REPLACED_FOR = 30_000;

export interface SoakedNode {
  /** Where it listens. */
  readonly peer: string;
  readonly id: string;
  /** What is there. Every steady path begins with `name`. */
  readonly share: ChangingShare;
  readonly name: string;
}

export class HonestClients {
  readonly #node: SoakedNode;
  readonly #others: readonly SoakedNode[];
  readonly #random: () => number;
  readonly #counts: Counts;
  readonly #kept: (Peer | undefined)[] = [];
  /** Replaced, and not closed yet. */
  readonly #replaced = new Set<Peer>();

  /** @param others neighbours of the node, which a search through it finds */
  constructor(
    node: SoakedNode,
    others: readonly SoakedNode[],
    random: () => number,
    counts: Counts,
  ) {
    this.#node = node;
    this.#others = others;
    this.#random = random;
    this.#counts = counts;
  }

  /** A steady file, or one that may change at any moment; all of it. */
  async fetchWhole(): Promise<void> {
    await this.#fetch(this.#anyFile(), {});
    this.#counts.add('whole files');
  }

  async fetchRange(): Promise<void> {
    const file = this.#anyFile();
    const { length: size } = file.bytes;
    if (size === 0) return;
    const offset = Math.floor(this.#random() * size);
    await this.#fetch(file, { offset, length: 1 + Math.floor(this.#random() * (size - offset)) });
    this.#counts.add('ranges');
  }

  /** Begin to fetch a large file, and lose interest. */
  async fetchAndAbort(): Promise<void> {
    const file = this.#pick(this.#node.share.steady.slice(-4));
    // By itself: what is given up in the middle may take its connection along.
    const peer = await connect(this.#node.peer);
    const abort = new AbortController();
    const stream = peer.fetch(file.hash, { signal: abort.signal });
    let at = 0;
    const most = this.#random() * file.bytes.length;
    try {
      for await (const chunk of stream as AsyncIterable<Buffer>) {
        if (!chunk.equals(file.bytes.subarray(at, at + chunk.length))) {
          this.#counts.wrong(`bytes of ${file.path} at ${at}, before an abort`);
        }
        at += chunk.length;
        if (at >= most) abort.abort();
      }
    } catch (error) {
      if (!abort.signal.aborted) this.#unexpected('abort', file, error);
    }
    await peer.close();
    this.#counts.add('aborts');
  }

  /** Search the node itself for a file of which all is known. */
  async searchAlone(): Promise<void> {
    const file = this.#anyFile();
    const peer = await this.#peer();
    const query = file.path.slice(file.path.lastIndexOf('/') + 1);
    const isSettled = this.#node.share.isSettled(file, SETTLED);
    let found = false;
    for await (const { path, hash, size } of peer.search(query)) {
      found ||= path === file.path && hash === file.hash && size === file.bytes.length;
    }
    // It may have changed meanwhile.
    if (!found && isSettled && this.#node.share.isSettled(file, SETTLED)) {
      this.#counts.wrong(`${file.path} was not found`);
    }
    this.#counts.add('searches of one');
  }

  /** Search the network: every node tells of its own. */
  async searchNetwork(): Promise<void> {
    const peer = await this.#peer();
    const number = Math.floor(this.#random() * 40);
    const results: SearchResult[] = [];
    for await (const result of peer.searchNetwork(`-${number}-of-all`, { timeout: 5000 })) {
      results.push(result);
    }
    for (const { id, share, name } of [this.#node, ...this.#others]) {
      const files = results.find(({ peer }) => peer.id === id)?.files ?? [];
      const wanted = share.steady.find(({ path }) =>
        path.endsWith(`/${name}-${number}-of-all.bin`),
      );
      const found = files.some(({ path, hash }) => path === wanted?.path && hash === wanted.hash);
      if (!found) this.#counts.wrong(`the network's search did not find -${number}- of ${name}`);
    }
    this.#counts.add('searches of the network');
  }

  async ping(): Promise<void> {
    const peer = await this.#peer();
    const { info } = await peer.ping();
    if (info.id !== this.#node.id) this.#counts.wrong('PING was answered by another');
    const listed = await peer.listPeers();
    for (const { id } of this.#others) {
      if (!listed.some((one) => one.id === id)) this.#counts.wrong('a neighbour was not listed');
    }
    this.#counts.add('pings and lists');
  }

  async close(): Promise<void> {
    const peers = [...this.#kept, ...this.#replaced].filter((peer) => peer !== undefined);
    await Promise.all(peers.map((peer) => peer.close()));
    this.#kept.length = 0;
  }

  async #fetch(file: KnownFile, range: FetchOptions): Promise<void> {
    const { offset = 0, length = file.bytes.length } = range;
    const wasSettled = this.#node.share.isSettled(file, SETTLED);
    const peer = await this.#peer();
    const got: Uint8Array[] = [];
    try {
      await peer.fetchTo(
        file.hash,
        {
          write: (bytes) => {
            got.push(Buffer.from(bytes));
            return Promise.resolve();
          },
        },
        range,
      );
    } catch (error) {
      // Of what changes nothing is promised, but that no wrong byte comes.
      if (wasSettled && this.#node.share.isSettled(file, SETTLED)) {
        this.#unexpected('fetch', file, error);
      } else {
        this.#counts.add(`while it changed: ${error instanceof PeerError ? error.code : 'other'}`);
      }
      return;
    }
    if (!Buffer.concat(got).equals(file.bytes.subarray(offset, offset + length))) {
      this.#counts.wrong(`${length} bytes of ${file.path} from ${offset}`);
    }
    this.#counts.add('bytes', length);
  }

  #anyFile(): KnownFile {
    const { steady, changing } = this.#node.share;
    return this.#pick(this.#random() < 0.5 && changing.length > 0 ? changing : steady);
  }

  #pick<T>(from: readonly T[]): T {
    return from[Math.floor(this.#random() * from.length)] as T;
  }

  /** One of the connections; now and then it is made anew. */
  async #peer(): Promise<Peer> {
    const place = Math.floor(this.#random() * KEPT);
    const kept = this.#kept[place];
    if (kept !== undefined && this.#random() > 0.05) return kept;
    const peer = await connect(this.#node.peer);
    // Another may have come there meanwhile.
    const replaced = this.#kept[place];
    if (replaced !== undefined) {
      this.#replaced.add(replaced);
      // By then those that use it have finished.
      setTimeout(() => {
        this.#replaced.delete(replaced);
        void replaced.close();
      }, REPLACED_FOR).unref();
    }
    this.#kept[place] = peer;
    this.#counts.add('connections');
    return peer;
  }

  #unexpected(doing: string, { path }: KnownFile, error: unknown): void {
    this.#counts.wrong(`${doing} of ${path}: ${asError(error).message}`);
  }
}

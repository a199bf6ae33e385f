/** What each node of a network shares, and whether a search has found all that it should. */
import { hashBlock } from '../../lib/hash/blake3.js';
import type { SearchResult, SearchSummary } from '../../lib/search/results.js';
import type { PeerId } from '../../lib/wire/messages.js';
import { hopsFrom, type Graph } from '../../test/fixtures/graphs.js';

/** In the name of every file. */
export const WORD = 'fanout';

/** The one file of a node. */
export function sharedFile(node: number): { path: string; content: Buffer } {
  return { path: `${WORD} of node ${node}.txt`, content: Buffer.from(`I am node ${node}.\n`) };
}

export interface Searched {
  graph: Graph;
  /** By number of the node. */
  ids: readonly PeerId[];
  /** Where the search began. */
  from: number;
  ttl: number;
}

/**
 * Every node within ttl hops has answered with its own file, once, and nobody else has.
 *
 * @throws Error that says what is wrong
 */
export function checkAnswers(
  { graph, ids, from, ttl }: Searched,
  results: readonly SearchResult[],
  summary: SearchSummary | undefined,
): void {
  const hops = hopsFrom(graph, from);
  const missing = new Set([...hops.keys()].filter((node) => (hops[node] ?? Infinity) <= ttl));
  const reached = missing.size;
  for (const { peer, hops: far, total, files } of results) {
    const node = ids.indexOf(peer.id);
    const wrong = (what: string): Error => {
      return new Error(`search from node ${from}, answer of node ${node}: ${what}`);
    };
    if (!missing.delete(node)) throw wrong('it came twice, or should not have come');
    // It may have come a longer way.
    if (far < (hops[node] ?? Infinity) || far > ttl) throw wrong(`${far} hops`);
    const { path, content } = sharedFile(node);
    const hash = Buffer.from(hashBlock(content)).toString('hex');
    const [file] = files;
    if (total !== 1 || files.length !== 1) throw wrong(`${files.length} of ${total} files`);
    if (file?.path !== path || file.hash !== hash || file.size !== content.length) {
      throw wrong('another file than it has');
    }
  }
  if (missing.size > 0) {
    throw new Error(`search from node ${from}: no answer of ${[...missing].join(', ')}`);
  }
  const { asked, answered, late } = summary ?? { asked: NaN, answered: NaN, late: NaN };
  if (asked !== reached - 1 || answered !== asked || late !== 0) {
    throw new Error(
      `search from node ${from}: ${asked} asked, ${answered} answered, ${late} late of ${reached - 1}`,
    );
  }
}

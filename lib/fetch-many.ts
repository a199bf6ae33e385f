/** Fetch a file from many peers at once. */
import { callPeer } from './call.js';
import { getFile, type FetchOptions } from './client.js';
import { PeerError } from './errors.js';
import { formatAddress, parseAddress, type PeerAddress } from './net/address.js';
import type { ConnectOptions } from './options.js';
import type { BlockSet } from './transfer/block-set.js';
import { Download } from './transfer/download/download.js';
import type { SourceNews, SourceSummary } from './transfer/download/news.js';
import type { SourcePeer } from './transfer/download/source.js';
import type { ByteSink } from './transfer/receive.js';
import type { Hash } from './wire/messages.js';

export interface FetchManyOptions extends FetchOptions, Omit<ConnectOptions, 'signal'> {
  /**
   * `file`: the sink gets the bytes in the order of the file; no more than `window` wait for their turn.
   * `any`: as they come, with their place; no wait for a slow source. @default 'file'
   */
  order?: 'file' | 'any' | undefined;
  /** Bytes in memory at most, from 2 MiB; small ones keep fast sources waiting. @default 64 MiB */
  window?: number | undefined;
  /** Blocks (of 256 KiB) that are there already: not fetched and not written. @default none */
  have?: BlockSet | undefined;
  /** Milliseconds without a byte until others are asked for what a source owes. @default 2000 */
  stallTimeout?: number | undefined;
  /** Told what becomes of each source. */
  onSource?: ((news: SourceNews) => void) | undefined;
}

const WINDOW = 64 * 1024 * 1024;
const STALL_TIMEOUT = 2000;

/**
 * Write a file's verified bytes into a sink, from all peers at once: the fastest give most, what is late
 * is asked of another, too; who sends one wrong block is not asked again, nor is who does not have the
 * file. Resolves when all has been written. What was verified before an error has been written, too.
 *
 * @param peers `host`, `host:port` or `[v6]:port`; they are used as they come, each once
 * @returns what each peer gave
 * @throws PeerError when no peer is left: ERR_MISMATCH if one lied; ERR_USAGE, ERR_ABORTED; what the sink
 *   threw
 */
export async function fetchFromMany(
  hash: Hash,
  peers: Iterable<string | PeerAddress> | AsyncIterable<string | PeerAddress>,
  sink: ByteSink,
  options: FetchManyOptions = {},
): Promise<readonly SourceSummary[]> {
  const { offset, length, order = 'file', window = WINDOW } = options;
  const { stallTimeout: stall = STALL_TIMEOUT, have, signal, onHead, onSource } = options;
  for (const [name, value] of Object.entries({ window, stallTimeout: stall })) {
    if (!Number.isSafeInteger(value) || value < 1) {
      throw new PeerError('ERR_USAGE', `${name} is a whole number from 1`);
    }
  }
  // Says itself what is wrong.
  getFile(hash, { offset, length });
  const download = new Download({
    ...{ hash, offset, length, sink, window, have, stall, signal, onHead, onSource },
    ordered: order === 'file',
  });
  return download.run(toSources(peers, options));
}

/** Each address once. */
async function* toSources(
  peers: Iterable<string | PeerAddress> | AsyncIterable<string | PeerAddress>,
  { connectTimeout, answerTimeout }: FetchManyOptions,
): AsyncGenerator<SourcePeer, void, void> {
  const seen = new Set<string>();
  for await (const peer of peers) {
    const address = typeof peer === 'string' ? parseAddress(peer) : peer;
    const name = formatAddress(address);
    if (seen.has(name)) continue;
    seen.add(name);
    const connect: SourcePeer['connect'] = async (signal) =>
      (await callPeer(address, { connectTimeout, answerTimeout, signal })).connection;
    yield { name, connect };
  }
}

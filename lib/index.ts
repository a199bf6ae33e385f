/** The public API of p2p-serve. */
export { createNode, type NodeEvents, type NodeStats, type PeerNode } from './node.js';
export { connect, type FetchOptions, type Peer, type SearchOptions } from './client.js';
export {
  ManyPeers,
  fetchFromMany,
  type FetchManyOptions,
  type ManyPeersOptions,
} from './fetch-many.js';
export { fetchAll, type FetchAllOptions, type FetchedFile } from './fetch-all.js';
export { PeerError, asError, systemCode, type ErrorCode } from './errors.js';
export { hashPath, hashStream } from './hash/path.js';
export { HashPool } from './hash/pool.js';
export { parseAddress, formatAddress, type PeerAddress } from './net/address.js';
export {
  OPTIONS,
  checked,
  option,
  optional,
  type ConnectOptions,
  type NodeOptions,
} from './options.js';
export type { Neighbour, PeerChange } from './peers/neighbours.js';
export type { OffenceStats } from './peers/offenders.js';
export { printable, printableJson } from './printable.js';
export { defaultStateFolder } from './state-folder.js';
export type { Progress } from './share/share.js';
export type { SearchStats } from './search/node-search.js';
export type { NetworkSearchOptions, SearchResult, SearchSummary } from './search/results.js';
export { RateLimit, type Allowance } from './transfer/allowance.js';
export { parseRate } from './transfer/rate.js';
export type { FileStream } from './transfer/file-stream.js';
export type { ByteSink } from './transfer/receive.js';
export { BlockSet } from './transfer/block-set.js';
export type { SourceNews, SourceSummary } from './transfer/download/news.js';
export { fetchToFile, type FetchToFileOptions } from './transfer/fetch-to-file.js';
export type { FetchProgress } from './transfer/file-fetch.js';
export type { FileSource } from './transfer/receive.js';
export { RETRY_TIMES, type RetryTimes } from './transfer/retry.js';
export { AGENT, VERSION } from './version.js';
export type {
  FileHead,
  FileMatch,
  Hash,
  ListedPeer,
  PeerId,
  PeerInfo,
  Pong,
} from './wire/messages.js';

/** The public API of p2p-serve. */
export { createNode, type NodeEvents, type NodeStats, type PeerNode } from './node.js';
export { connect, type FetchOptions, type Peer, type SearchOptions } from './fetch/peer.js';
export {
  ManyPeers,
  fetchFromMany,
  type FetchManyOptions,
  type ManyPeersOptions,
} from './fetch/sources/fetch-many.js';
export { fetchAll, type FetchAllOptions, type FetchedFile } from './fetch/folder/fetch-all.js';
export { PeerError, type ErrorCode } from './errors.js';
export { formatLink, parseLink, type Link } from './fetch/link.js';
export { hashPath, hashStream } from './hash/path.js';
export { HashPool } from './hash/pool.js';
export { parseAddress, formatAddress, type PeerAddress } from './net/address.js';
export type { ConnectOptions, NodeOptions } from './options.js';
export type { Neighbour, PeerChange } from './peers/neighbours-options.js';
export type { MisbehaviourStats } from './peers/peer-scores.js';
export type { Progress } from './share/share.js';
export type { SearchStats } from './search/node-search.js';
export type { NetworkSearchOptions, SearchResult, SearchSummary } from './search/results.js';
export { RateLimiter, type ClientRate } from './limits/rate-limiter.js';
export { parseRate } from './limits/rate.js';
export type { FileStream } from './fetch/receive/file-stream.js';
export type { ByteSink } from './fetch/receive/body-receiver.js';
export { BlockSet } from './fetch/block-set.js';
export type { SourceEvent, SourceSummary } from './fetch/sources/events.js';
export { fetchToFile, type FetchToFileOptions } from './fetch/part/fetch-to-file.js';
export type { FetchProgress } from './fetch/part/file-fetch.js';
export type { FileSource } from './fetch/receive/body-receiver.js';
export type { Backoff } from './support/backoff.js';
export { VERSION } from './support/version.js';
export type {
  FileHead,
  FileMatch,
  Hash,
  ListedPeer,
  PeerId,
  PeerInfo,
  Pong,
} from './wire/messages.js';

/**
 * The eight messages as types. Hashes and ids are lower-case hex in memory and byte strings on the wire;
 * tables.ts says how each property stands in a payload.
 */
import type { WireErrorCode } from '../errors.js';

/** 32 bytes as 64 lower-case hex digits. */
export type Hash = string;
/** An Ed25519 public key, 32 bytes as 64 lower-case hex digits. */
export type PeerId = string;

/** What a peer says of itself in PING and in its ACKN. */
export interface PeerInfo {
  /** Protocol version. */
  version: number;
  id?: PeerId | undefined;
  /** TCP port it listens on; absent when it does not listen. */
  port?: number | undefined;
  /** Address literal at which it wants to be reached, if not the one it connects from. A claim. */
  host?: string | undefined;
  /** In PING: the sender keeps this connection, and takes searches on it. */
  link?: boolean | undefined;
  /** Program and version, for people. */
  agent?: string | undefined;
  /** Among them `private`: it is listed to nobody. */
  features?: readonly string[] | undefined;
}

/** A file as it stands in RPFL and TPHF. */
export interface FileMatch {
  /** Path inside the share, separated by `/`. A claim of the peer's: never use it as a file name. */
  path: string;
  hash: Hash;
  /** Bytes. */
  size: number;
  /** When the file was last changed, in seconds since 1970 (UTC). A claim; only RPFL has it. */
  modified?: number | undefined;
}

/** How to reach a peer. */
export interface PeerContact {
  id: PeerId;
  /** Address literal or host name. */
  host: string;
  port: number;
}

export interface Ping {
  type: 'PING';
  info: PeerInfo;
}
export interface ListPeers {
  type: 'RQLT';
  max?: number | undefined;
}
/** What is searched for: exactly one of the two. */
export type Wanted =
  | {
      /** Terms that a path holds. */
      query: string;
      hash?: undefined;
    }
  | {
      /** The content's hash. */
      hash: Hash;
      query?: undefined;
    };
export type Search = Wanted & {
  type: 'RQFS';
  /** Hops the search may still be passed on; 0 asks this peer alone. */
  ttl: number;
  queryId?: string | undefined;
  /** Milliseconds the requester will wait. */
  timeout?: number | undefined;
  /** Entries wanted in one answer. */
  max?: number | undefined;
  /** Cursor of an earlier answer: continue after it. */
  after?: Uint8Array | undefined;
  /** The peers on whose behalf the sender asks a private peer, the first one first; absent: on its own. */
  via?: readonly PeerId[] | undefined;
};
export interface GetFile {
  type: 'RQFH';
  hash: Hash;
  /** First byte wanted; 0 if absent. */
  offset?: number | undefined;
  /** Bytes wanted; to the end of the file if absent. */
  length?: number | undefined;
}
export type Request = Ping | ListPeers | Search | GetFile;

export interface FileList {
  type: 'RPFL';
  /** Matches in all, this answer's and those of other pages. */
  total: number;
  /** Best first. */
  files: readonly FileMatch[];
  /** Present when there are more. */
  after?: Uint8Array | undefined;
  /** This peer had the search already: it answers no more than that. */
  duplicate?: true | undefined;
}
export type ThirdPartyHasFiles = Wanted & {
  type: 'TPHF';
  /** The peer that has the files. */
  peer: PeerContact;
  /** From the requester's peer to that one. */
  hops: number;
  total: number;
  files: readonly FileMatch[];
};
export interface ErrorAnswer {
  type: 'ERRR';
  code: WireErrorCode;
  message: string;
}
/** Whether a peer's index is complete. */
export type ShareState = 'hashing' | 'ready';
export interface Pong {
  type: 'ACKN';
  of: 'PING';
  info: PeerInfo;
  /** Files and bytes that can be found and fetched now. */
  files: number;
  bytes: number;
  state: ShareState;
}
/** A peer in the answer to RQLT. */
export interface ListedPeer extends PeerContact {
  /** Seconds since the answerer last reached that peer. */
  seen: number;
  /** The answerer is connected to it and passes searches on to it. */
  link?: boolean | undefined;
}
export interface PeerList {
  type: 'ACKN';
  of: 'RQLT';
  peers: readonly ListedPeer[];
}
/** The end of a search, with counts of the peers it was passed on to, without the answerer. */
export interface SearchEnd {
  type: 'ACKN';
  of: 'RQFS';
  /** Peers that were asked and had not been asked before, and how many of them answered. */
  asked: number;
  answered: number;
  /** Peers that had not ended when the time was over. */
  timedOut: number;
  /** Times that the search came to a peer that had it already. */
  duplicates: number;
}
/** A body follows: the file's tree from `offset` for `length` bytes. */
export interface FileHead {
  type: 'ACKN';
  of: 'RQFH';
  /** Bytes of the whole file. */
  size: number;
  /** When it was last changed, in seconds since 1970 (UTC). A claim. */
  modified?: number | undefined;
  /** First byte and number of bytes granted, clipped to the file's end. */
  offset: number;
  length: number;
}
export type Acknowledgement = Pong | PeerList | SearchEnd | FileHead;
export type Answer = FileList | ThirdPartyHasFiles | ErrorAnswer | Acknowledgement;
export type Message = Request | Answer;

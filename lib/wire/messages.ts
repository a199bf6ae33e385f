/**
 * The eight messages as types, and each to and from its CBOR payload (RFC 8949).
 *
 * This is the edge: what `decodeMessage` returns has been checked against every type and limit of
 * PROTOCOL.md, and nothing behind it checks again. Hashes and ids are lower-case hex in memory and
 * byte strings on the wire.
 */
import { WIRE_ERRORS, wireErrorCode, type WireErrorCode } from '../errors.js';
import { decodeCbor, encodeCbor } from './cbor.js';
import {
  asArray,
  asBool,
  asBytes,
  asHex,
  asMap,
  asText,
  asUint,
  malformed,
  optional,
  type Fields,
} from './fields.js';
import { encodeFrame, type AnswerId, type MessageId, type RequestId } from './frame.js';
import * as limits from './limits.js';
import { pathFault } from './path.js';

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
  features?: readonly string[] | undefined;
}

/** A file as it stands in RPFL and TPHF. */
export interface FileMatch {
  /** Path inside the share, separated by `/`. A claim of the peer's: never use it as a file name. */
  path: string;
  hash: Hash;
  /** Bytes. */
  size: number;
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
  budget?: number | undefined;
  /** Entries wanted in one answer. */
  max?: number | undefined;
  /** Cursor of an earlier answer: go on behind it. */
  after?: Uint8Array | undefined;
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
  /** Who has the files. */
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
/** The end of a search, with counts of all that came of passing it on, the answerer left out. */
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
  /** First byte and number of bytes granted, clipped to the file's end. */
  offset: number;
  length: number;
}
export type Acknowledgement = Pong | PeerList | SearchEnd | FileHead;
export type Answer = FileList | ThirdPartyHasFiles | ErrorAnswer | Acknowledgement;
export type Message = Request | Answer;

const bytes = (hex: string): Buffer => Buffer.from(hex, 'hex');

/** A map without the entries that are undefined. */
function map(entries: Record<string, unknown>): Map<string, unknown> {
  return new Map(Object.entries(entries).filter(([, value]) => value !== undefined));
}

function infoFields(info: PeerInfo): Record<string, unknown> {
  return {
    v: info.version,
    id: info.id === undefined ? undefined : bytes(info.id),
    port: info.port,
    host: info.host,
    link: info.link === true ? true : undefined,
    agent: info.agent,
    feat: info.features,
  };
}

function readInfo(f: Fields): PeerInfo {
  return {
    version: optional(f, 'v', (v, n) => asUint(v, n, 0xffff)) ?? limits.PROTOCOL_VERSION,
    id: optional(f, 'id', (v, n) => asHex(v, n, limits.PEER_ID_BYTES)),
    port: optional(f, 'port', asPort),
    host: optional(f, 'host', (v, n) => asText(v, n, limits.MAX_HOST_BYTES)),
    link: optional(f, 'link', asBool) === true ? true : undefined,
    agent: optional(f, 'agent', (v, n) => asText(v, n, limits.MAX_AGENT_BYTES)),
    features: optional(f, 'feat', (v, n) =>
      asArray(v, n, limits.MAX_FEATURES).map((x) => asText(x, n, limits.MAX_FEATURE_BYTES)),
    ),
  };
}

function asPort(value: unknown, name: string): number {
  const port = asUint(value, name, 0xffff);
  if (port === 0) throw malformed(`${name} is 0`);
  return port;
}

function wantedFields({ query, hash }: Wanted): Record<string, unknown> {
  return { q: query, hash: hash === undefined ? undefined : bytes(hash) };
}

function readWanted(f: Fields): Wanted {
  const query = optional(f, 'q', (v, n) => asText(v, n, limits.MAX_QUERY_BYTES));
  const hash = optional(f, 'hash', (v, n) => asHex(v, n, limits.HASH_BYTES));
  if (query !== undefined && hash === undefined) return { query };
  if (hash !== undefined && query === undefined) return { hash };
  throw malformed('not exactly one of q and hash');
}

function asPath(value: unknown): string {
  const path = asText(value, 'path', limits.MAX_PATH_BYTES);
  const fault = pathFault(path);
  if (fault !== undefined) throw malformed(`a path is ${fault}`);
  return path;
}

/** The dict {path: [hash, size]}, in the order of `files`. */
function fileDict(files: readonly FileMatch[]): Map<string, unknown> {
  return new Map(files.map((file) => [file.path, [bytes(file.hash), file.size]]));
}

function readFiles(value: unknown, name: string): FileMatch[] {
  const files = asMap(value, name);
  if (files.size > limits.MAX_FILES) {
    throw malformed(`${name} has ${files.size} entries (limit ${limits.MAX_FILES})`);
  }
  return Array.from(files, ([path, entry]) => {
    const [hash, size] = asArray(entry, name, 2);
    return {
      path: asPath(path),
      hash: asHex(hash, 'hash', limits.HASH_BYTES),
      size: asUint(size, 'size'),
    };
  });
}

function contactFields(peer: PeerContact): Record<string, unknown> {
  return { id: bytes(peer.id), host: peer.host, port: peer.port };
}

function readContact(value: unknown, name: string): PeerContact {
  const f = asMap(value, name);
  return {
    id: asHex(f.get('id'), 'id', limits.PEER_ID_BYTES),
    host: asText(f.get('host'), 'host', limits.MAX_HOST_BYTES),
    port: asPort(f.get('port'), 'port'),
  };
}

function readListed(value: unknown): ListedPeer {
  const f = asMap(value, 'peer');
  return {
    ...readContact(value, 'peer'),
    seen: asUint(f.get('seen'), 'seen'),
    link: optional(f, 'link', asBool) === true ? true : undefined,
  };
}

function fieldsOf(message: Message): Map<string, unknown> {
  switch (message.type) {
    case 'PING':
      return map(infoFields(message.info));
    case 'RQLT':
      return map({ max: message.max });
    case 'RQFS':
      return map({
        ...wantedFields(message),
        ttl: message.ttl || undefined,
        qid: message.queryId === undefined ? undefined : bytes(message.queryId),
        ms: message.budget,
        max: message.max,
        after: message.after,
      });
    case 'RQFH':
      return map({ hash: bytes(message.hash), offset: message.offset, length: message.length });
    case 'RPFL':
      return map({
        n: message.total,
        files: fileDict(message.files),
        after: message.after,
        dup: message.duplicate,
      });
    case 'TPHF':
      return map({
        peer: map(contactFields(message.peer)),
        ...wantedFields(message),
        hops: message.hops,
        n: message.total,
        files: message.files.length === 0 ? undefined : fileDict(message.files),
      });
    case 'ERRR': {
      const { wire, id } = WIRE_ERRORS[message.code];
      return map({ code: wire, id, message: clip(message.message) });
    }
    case 'ACKN':
      return ackFields(message);
  }
}

function ackFields(ack: Acknowledgement): Map<string, unknown> {
  switch (ack.of) {
    case 'PING':
      return map({
        of: ack.of,
        ...infoFields(ack.info),
        files: ack.files,
        bytes: ack.bytes,
        state: ack.state,
      });
    case 'RQLT':
      return map({
        of: ack.of,
        peers: ack.peers.map((peer) =>
          map({
            ...contactFields(peer),
            seen: peer.seen,
            link: peer.link === true ? true : undefined,
          }),
        ),
      });
    case 'RQFS':
      return map({
        of: ack.of,
        asked: ack.asked,
        answered: ack.answered,
        late: ack.timedOut,
        dups: ack.duplicates,
      });
    case 'RQFH':
      return map({ of: ack.of, size: ack.size, offset: ack.offset, length: ack.length });
  }
}

/** Cut a text to what ERRR may carry, at a character's border. */
function clip(text: string): string {
  const utf8 = Buffer.from(text);
  if (utf8.length <= limits.MAX_ERROR_MESSAGE_BYTES) return text;
  let end = limits.MAX_ERROR_MESSAGE_BYTES;
  while (((utf8[end] ?? 0) & 0xc0) === 0x80) end--;
  return utf8.toString('utf8', 0, end);
}

const readers: { [Id in MessageId]: (f: Fields) => Extract<Message, { type: Id }> } = {
  PING: (f) => ({ type: 'PING', info: readInfo(f) }),
  RQLT: (f) => ({
    type: 'RQLT',
    max: optional(f, 'max', (v, n) => asUint(v, n)),
  }),
  RQFS: (f) => ({
    type: 'RQFS',
    ...readWanted(f),
    ttl: optional(f, 'ttl', (v, n) => asUint(v, n, limits.MAX_TTL)) ?? 0,
    queryId: optional(f, 'qid', (v, n) => asHex(v, n, limits.QUERY_ID_BYTES)),
    budget: optional(f, 'ms', (v, n) => asUint(v, n, limits.MAX_BUDGET_MS)),
    max: optional(f, 'max', (v, n) => asUint(v, n)),
    after: optional(f, 'after', (v, n) => asBytes(v, n, limits.MAX_CURSOR_BYTES)),
  }),
  RQFH: (f) => ({
    type: 'RQFH',
    hash: asHex(f.get('hash'), 'hash', limits.HASH_BYTES),
    offset: optional(f, 'offset', (v, n) => asUint(v, n)),
    length: optional(f, 'length', (v, n) => asUint(v, n)),
  }),
  RPFL: (f) => ({
    type: 'RPFL',
    total: asUint(f.get('n'), 'n'),
    files: readFiles(f.get('files'), 'files'),
    after: optional(f, 'after', (v, n) => asBytes(v, n, limits.MAX_CURSOR_BYTES)),
    duplicate: optional(f, 'dup', asBool) === true ? true : undefined,
  }),
  TPHF: (f) => ({
    type: 'TPHF',
    peer: readContact(f.get('peer'), 'peer'),
    ...readWanted(f),
    hops: asUint(f.get('hops'), 'hops', limits.MAX_TTL),
    total: asUint(f.get('n'), 'n'),
    files: optional(f, 'files', readFiles) ?? [],
  }),
  ERRR: (f) => {
    const code = wireErrorCode(asUint(f.get('code'), 'code', 0xffff));
    optional(f, 'id', (v, n) => asText(v, n, limits.MAX_ERROR_ID_BYTES));
    return {
      type: 'ERRR',
      code,
      message:
        optional(f, 'message', (v, n) => asText(v, n, limits.MAX_ERROR_MESSAGE_BYTES)) ??
        WIRE_ERRORS[code].id,
    };
  },
  ACKN: readAck,
};

function readAck(f: Fields): Acknowledgement {
  const of = f.get('of');
  switch (of) {
    case 'PING': {
      const state = f.get('state');
      if (state !== 'hashing' && state !== 'ready') throw malformed('state is not known');
      return {
        type: 'ACKN',
        of,
        info: readInfo(f),
        files: asUint(f.get('files'), 'files'),
        bytes: asUint(f.get('bytes'), 'bytes'),
        state,
      };
    }
    case 'RQLT':
      return {
        type: 'ACKN',
        of,
        peers: asArray(f.get('peers'), 'peers', limits.MAX_PEERS).map(readListed),
      };
    case 'RQFS':
      return {
        type: 'ACKN',
        of,
        asked: asUint(f.get('asked'), 'asked'),
        answered: asUint(f.get('answered'), 'answered'),
        timedOut: asUint(f.get('late'), 'late'),
        duplicates: asUint(f.get('dups'), 'dups'),
      };
    case 'RQFH': {
      const size = asUint(f.get('size'), 'size');
      const offset = asUint(f.get('offset'), 'offset', size);
      return {
        type: 'ACKN',
        of,
        size,
        offset,
        length: asUint(f.get('length'), 'length', size - offset),
      };
    }
    default:
      throw malformed('ACKN of an unknown message');
  }
}

/** A message's payload: one CBOR map. */
export function encodePayload(message: Message): Uint8Array {
  return encodeCbor(fieldsOf(message));
}

/** Payloads of frozen messages. */
const payloads = new WeakMap<Message, Uint8Array>();

/**
 * A whole frame. The payload of a message that is frozen is made only once: worth it for one that is
 * sent many times. Throws ERR_TOO_LARGE when the message exceeds its limit.
 */
export function encodeMessage(message: Message, tag: number): Buffer {
  if (!Object.isFrozen(message)) return encodeFrame(message.type, tag, encodePayload(message));
  let payload = payloads.get(message);
  if (payload === undefined) {
    payload = encodePayload(message);
    payloads.set(message, payload);
  }
  return encodeFrame(message.type, tag, payload);
}

/**
 * A payload as a message that the rest may trust.
 *
 * @throws PeerError ERR_MALFORMED, whatever is wrong with it.
 */
export function decodeMessage<Id extends MessageId>(
  id: Id,
  payload: Uint8Array,
): Extract<Message, { type: Id }> {
  const value = decodeCbor(payload);
  return readers[id](asMap(value, `${id}'s payload`));
}

export type { AnswerId, MessageId, RequestId };

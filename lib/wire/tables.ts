/** Every message as a table of its fields, as in section 4 of PROTOCOL.md. */
import { WIRE_ERRORS, wireErrorCode, type WireErrorCode } from '../errors.js';
import { asArray, asHex, asMap, asText, asUint, malformed } from './fields.js';
import type { MessageId } from './frame.js';
import * as limits from './limits.js';
import { pathFault } from './path.js';
import {
  absentAs,
  array,
  bytes,
  constant,
  flag,
  hex,
  oneOf,
  optional,
  required,
  shape,
  text,
  uint,
  type Codec,
  type Field,
  type Shape,
} from './shape.js';
import type {
  Acknowledgement,
  ErrorAnswer,
  FileHead,
  FileList,
  FileMatch,
  GetFile,
  ListedPeer,
  ListPeers,
  Message,
  PeerContact,
  PeerInfo,
  PeerList,
  Ping,
  Pong,
  Search,
  SearchEnd,
  ThirdPartyHasFiles,
  Wanted,
} from './types.js';

const peerId = hex(limits.PEER_ID_BYTES);
const hash = hex(limits.HASH_BYTES);
const host = text(limits.MAX_HOST_BYTES);
const port = uint(0xffff, 1);
const cursor = bytes(limits.MAX_CURSOR_BYTES);

const info = shape<PeerInfo>({
  version: absentAs('v', uint(0xffff), limits.PROTOCOL_VERSION),
  id: optional('id', peerId),
  port: optional('port', port),
  host: optional('host', host),
  link: flag('link'),
  agent: optional('agent', text(limits.MAX_AGENT_BYTES)),
  features: optional('feat', array(text(limits.MAX_FEATURE_BYTES), limits.MAX_FEATURES)),
});

const contact = {
  id: required('id', peerId),
  host: required('host', host),
  port: required('port', port),
};

const wanted = {
  query: optional('q', text(limits.MAX_QUERY_BYTES)),
  hash: optional('hash', hash),
};

function checkWanted({ query, hash }: Wanted): void {
  if ((query === undefined) === (hash === undefined)) {
    throw malformed('not exactly one of q and hash');
  }
}

/** The map {path: [hash, size]}, in the order of `files`. */
const files: Codec<readonly FileMatch[]> = {
  encode(files, out) {
    out.map(files.length);
    for (const { path, hash, size } of files) {
      out.text(path);
      out.array(2);
      out.hex(hash);
      out.uint(size);
    }
  },
  decode(value, name) {
    const entries = asMap(value, name);
    if (entries.size > limits.MAX_FILES) {
      throw malformed(`${name} has ${entries.size} entries (limit ${limits.MAX_FILES})`);
    }
    return Array.from(entries, ([path, entry]) => {
      const [hash, size] = asArray(entry, name, 2);
      return {
        path: asPath(path),
        hash: asHex(hash, 'hash', limits.HASH_BYTES),
        size: asUint(size, 'size'),
      };
    });
  },
};

/** `files`, and beside it in `mtimes`, in the same order, when each was changed. */
const datedFiles: Field<readonly FileMatch[]> = {
  put(list, out) {
    out.text('files');
    files.encode(list, out);
    if (list.every(({ modified }) => modified === undefined)) return 1;
    out.text('mtimes');
    out.array(list.length);
    for (const { modified } of list) {
      if (modified === undefined) out.null();
      else out.uint(modified);
    }
    return 2;
  },
  take(map) {
    const list = files.decode(map.get('files'), 'files');
    if (!map.has('mtimes')) return list;
    const times = asArray(map.get('mtimes'), 'mtimes', limits.MAX_FILES);
    if (times.length !== list.length) throw malformed('mtimes are not as many as files');
    return list.map((file, i) => {
      const modified = times[i];
      return modified === null ? file : { ...file, modified: asUint(modified, 'mtime') };
    });
  },
};

function asPath(value: unknown): string {
  const path = asText(value, 'path', limits.MAX_PATH_BYTES);
  const fault = pathFault(path);
  if (fault !== undefined) throw malformed(`a path is ${fault}`);
  return path;
}

/** With the number, the short text that stands for it. */
const errorCode: Field<WireErrorCode> = {
  put(code, out) {
    const { wire, id } = WIRE_ERRORS[code];
    out.text('code');
    out.uint(wire);
    out.text('id');
    out.text(id);
    return 2;
  },
  take(map) {
    const id = map.get('id');
    if (id !== undefined) asText(id, 'id', limits.MAX_ERROR_ID_BYTES);
    return wireErrorCode(asUint(map.get('code'), 'code', 0xffff));
  },
};

const errorMessage: Field<string> = {
  put(message, out) {
    out.text('message');
    out.text(clip(message));
    return 1;
  },
  take(map) {
    const message = map.get('message');
    if (message === undefined) return WIRE_ERRORS[errorCode.take(map)].id;
    return asText(message, 'message', limits.MAX_ERROR_MESSAGE_BYTES);
  },
};

/** Cut a text to what ERRR may carry, at a character's border. */
function clip(text: string): string {
  const utf8 = Buffer.from(text);
  if (utf8.length <= limits.MAX_ERROR_MESSAGE_BYTES) return text;
  let end = limits.MAX_ERROR_MESSAGE_BYTES;
  while (((utf8[end] ?? 0) & 0xc0) === 0x80) end--;
  return utf8.toString('utf8', 0, end);
}

function checkRange({ size, offset, length }: FileHead): void {
  asUint(offset, 'offset', size);
  asUint(length, 'length', size - offset);
}

type ShapeOf<Id> = Shape<Extract<Message, { type: Id }>>;

export const MESSAGES: { readonly [Id in Exclude<MessageId, 'ACKN'>]: ShapeOf<Id> } = {
  PING: shape<Ping>({ type: constant('PING'), info }),
  RQLT: shape<ListPeers>({ type: constant('RQLT'), max: optional('max', uint()) }),
  RQFS: shape<Search>(
    {
      type: constant('RQFS'),
      ...wanted,
      ttl: absentAs('ttl', uint(limits.MAX_TTL), 0, (ttl) => ttl === 0),
      queryId: optional('qid', hex(limits.QUERY_ID_BYTES)),
      timeout: optional('ms', uint(limits.MAX_TIMEOUT_MS)),
      max: optional('max', uint()),
      after: optional('after', cursor),
      via: optional('via', array(peerId, limits.MAX_VIA)),
    },
    checkWanted,
  ),
  RQFH: shape<GetFile>({
    type: constant('RQFH'),
    hash: required('hash', hash),
    offset: optional('offset', uint()),
    length: optional('length', uint()),
  }),
  RPFL: shape<FileList>({
    type: constant('RPFL'),
    total: required('n', uint()),
    files: datedFiles,
    after: optional('after', cursor),
    duplicate: flag('dup'),
  }),
  TPHF: shape<ThirdPartyHasFiles>(
    {
      type: constant('TPHF'),
      peer: required('peer', shape<PeerContact>(contact)),
      ...wanted,
      hops: required('hops', uint(limits.MAX_TTL)),
      total: required('n', uint()),
      files: absentAs('files', files, [], ({ length }) => length === 0),
    },
    checkWanted,
  ),
  ERRR: shape<ErrorAnswer>({ type: constant('ERRR'), code: errorCode, message: errorMessage }),
};

type AckOf = Acknowledgement['of'];
type AckShape<Of> = Shape<Extract<Acknowledgement, { of: Of }>>;

/** ACKN, by the request that it answers. */
export const ACKNOWLEDGEMENTS: { readonly [Of in AckOf]: AckShape<Of> } = {
  PING: shape<Pong>({
    type: constant('ACKN'),
    of: constant('PING', 'of'),
    info,
    files: required('files', uint()),
    bytes: required('bytes', uint()),
    state: required('state', oneOf('hashing', 'ready')),
  }),
  RQLT: shape<PeerList>({
    type: constant('ACKN'),
    of: constant('RQLT', 'of'),
    peers: required(
      'peers',
      array(
        shape<ListedPeer>({ ...contact, seen: required('seen', uint()), link: flag('link') }),
        limits.MAX_PEERS,
      ),
    ),
  }),
  RQFS: shape<SearchEnd>({
    type: constant('ACKN'),
    of: constant('RQFS', 'of'),
    asked: required('asked', uint()),
    answered: required('answered', uint()),
    timedOut: required('late', uint()),
    duplicates: required('dups', uint()),
  }),
  RQFH: shape<FileHead>(
    {
      type: constant('ACKN'),
      of: constant('RQFH', 'of'),
      size: required('size', uint()),
      modified: optional('mtime', uint()),
      offset: required('offset', uint()),
      length: required('length', uint()),
    },
    checkRange,
  ),
};

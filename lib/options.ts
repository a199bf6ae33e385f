/**
 * Every option there is: what it means, its unit, its default and what values it takes. The library
 * checks against this table and the commands build their help from it. All times are milliseconds; the
 * commands take seconds.
 */
import { PeerError } from './errors.js';
import { DEFAULT_PORT, parseAddress } from './net/address.js';
import { FIRST_FRAME_TIMEOUT, FRAME_TIMEOUT, STALL_TIMEOUT } from './net/connection-deadlines.js';
import type { TlsOptions } from './net/dialer.js';
import type { PeerTimes } from './peers/times.js';
import { parseId } from './limits/allow-list.js';
import { MAX_RATE, MIN_RATE } from './limits/rate.js';

/** Options of a node. */
export interface NodeOptions {
  /** The folder to share. */
  share: string;
  /** TCP port to listen on; 0 picks a free one. @default 7000 */
  port?: number | undefined;
  /** Address to listen on. @default '::' (every address, IPv4 too) */
  host?: string | undefined;
  /** Share files and folders whose names begin with a dot, too. @default false */
  dotfiles?: boolean | undefined;
  /** Globs of files and folders not to share; one without a slash counts in every folder. */
  ignore?: readonly string[] | undefined;
  /** Hashing threads. @default one per core */
  threads?: number | undefined;
  /**
   * False: scan and hash in the thread that starts the node, which does nothing else meanwhile. For many
   * nodes with small folders in one process: 50 are there in 0.4 s rather than 10 s. @default true
   */
  workers?: boolean | undefined;
  /** Folder for the peer's key and the index. @default none: a new key, and all hashed, at every start */
  state?: string | undefined;
  /** Follow changes of the folder. @default true */
  watch?: boolean | undefined;
  /** Send large files by sendfile(2), where the system has it. @default true */
  sendfile?: boolean | undefined;
  /** Milliseconds between scans that catch what the watch lost. @default 300000 */
  rescan?: number | undefined;
  /** Milliseconds without a byte from a peer that owes an answer, until it is given up. @default 30000 */
  answerTimeout?: number | undefined;
  /** Milliseconds in which a peer takes nothing of what waits for it, until it is dropped. @default 90000 */
  stallTimeout?: number | undefined;
  /** Milliseconds until a peer that connects has sent its first frame, or is dropped. @default 10000 */
  firstFrameTimeout?: number | undefined;
  /** Milliseconds in which a frame that has begun ends, or grows by 4 KiB. @default 8000 */
  frameTimeout?: number | undefined;
  /**
   * Inbound connections at once; above that the least useful are closed.
   * @default what the limit of open files allows, at most 8192
   */
  maxConnections?: number | undefined;
  /** Of these, of one client: an IPv4 address or an IPv6 /64. @default a quarter */
  maxPerClient?: number | undefined;
  /** Of these, that have not been answered anything yet. @default a quarter */
  maxPending?: number | undefined;
  /**
   * Transfers at once; more wait, fairly by client, and get ERR_BUSY after 20 s.
   * @default what the limit of open files allows: 1,990 of 20,000
   */
  maxUploads?: number | undefined;
  /** Bytes of files per second, of all transfers together, fairly by client. @default no limit */
  upLimit?: number | undefined;
  /** Peers to join: `host`, `host:port` or `[v6]:port`, with `ID@` before it if it must prove an id. @default none */
  peers?: readonly string[] | undefined;
  /** Where other peers shall reach this one. @default where it listens, on the address they see */
  advertise?: string | undefined;
  /** Peers to keep a connection to. @default 16 */
  maxPeers?: number | undefined;
  /**
   * Of these, peers of one network: an IPv4 /24 or IPv6 /48; on loopback and in private networks, of one
   * address. What `peers` names does not count. @default 2
   */
  maxPeersPerNetwork?: number | undefined;
  /** Learn of peers from the lists of others. @default true */
  discover?: boolean | undefined;
  /**
   * Be found by the nodes in this machine's own networks, and find them: DNS-SD over multicast DNS. Not done where
   * the node listens on loopback alone, or is there for some peers alone. @default true
   */
  lan?: boolean | undefined;
  /**
   * Encrypt connections to other peers: true with all, false with none. Those that others make are encrypted when the
   * others want it. @default all but those on loopback
   */
  tls?: boolean | undefined;
  /** Speak HTTP, too, on the same port. @default true */
  http?: boolean | undefined;
  /** Names of hosts that HTTP is answered under, beside those of this machine and addresses. @default none */
  httpHosts?: readonly string[] | undefined;
  /** Ids of the peers that may use this node; nobody else may then, also when it is empty. @default everybody may */
  allow?: readonly string[] | undefined;
  /** A file with more of them, an id a line, followed when it changes. @default none */
  allowFile?: string | undefined;
  /** Intervals and limits of what is done with peers, for tests. @default PEER_TIMES */
  times?: Partial<PeerTimes> | undefined;
}

/** Options of a connection to a peer. */
export interface ConnectOptions extends TlsOptions {
  /** Milliseconds until the connection must be there. @default 10000 */
  connectTimeout?: number | undefined;
  /** Milliseconds without a byte from a peer that owes an answer, until it is given up. @default 30000 */
  answerTimeout?: number | undefined;
  /** Gives up connecting; counts for nothing after that. */
  signal?: AbortSignal | null | undefined;
}

interface Spec<T> {
  /** For the command's help. */
  readonly describe: string;
  readonly default?: T;
  /** What is wrong with a value, if anything. */
  check(value: T): string | undefined;
}

function integer(min: number, max: number): (value: number) => string | undefined {
  return (value) =>
    Number.isSafeInteger(value) && value >= min && value <= max
      ? undefined
      : `is a whole number from ${min} to ${max}`;
}

const text = (value: string): string | undefined =>
  typeof value === 'string' && value !== '' ? undefined : 'is a text that is not empty';
const yesOrNo = (value: boolean): string | undefined =>
  typeof value === 'boolean' ? undefined : 'is true or false';
const peer = (value: string): string | undefined => {
  // Says itself what is wrong.
  parseAddress(value);
  return undefined;
};
const ownAddress = (value: string): string | undefined =>
  parseAddress(value).key === undefined ? undefined : 'is host:port, without an id';
/** The longest that setTimeout can wait. */
const MAX_TIME = 2 ** 31 - 1;

/** An option that always has a value. */
function withDefault<T>(spec: Required<Spec<T>>): Required<Spec<T>> {
  return spec;
}

interface TimeSpec extends Required<Spec<number>> {
  readonly min: number;
  readonly max: number;
}

/** Milliseconds. `describe` continues after the unit. */
function time(spec: { describe: string; default: number; min?: number }): TimeSpec {
  const { min = 1 } = spec;
  const check = integer(min, MAX_TIME);
  return {
    ...{ ...spec, min, max: MAX_TIME },
    check: (value) => (check(value) === undefined ? undefined : `${check(value)}, in milliseconds`),
  };
}

/** An option without a default. */
function without<T>(spec: Omit<Spec<T>, 'default'>): Omit<Spec<T>, 'default'> {
  return spec;
}

export const OPTIONS = {
  share: without<string>({ describe: 'folder to share', check: text }),
  port: withDefault<number>({
    describe: 'TCP port to listen on; 0 picks a free one',
    default: DEFAULT_PORT,
    check: integer(0, 65535),
  }),
  host: withDefault<string>({
    describe: 'address to listen on; :: is every address, IPv4 too',
    default: '::',
    check: text,
  }),
  dotfiles: withDefault<boolean>({
    describe: 'share files and folders whose names begin with a dot, too',
    default: false,
    check: yesOrNo,
  }),
  ignore: withDefault<readonly string[]>({
    describe:
      'glob of files or folders not to share (repeatable); without a slash: in every folder',
    default: [],
    check: (globs) => (globs.includes('') ? 'must not be empty' : undefined),
  }),
  threads: without<number>({
    describe: 'hashing threads [default: one per core]',
    check: integer(1, 256),
  }),
  state: without<string>({
    describe:
      "folder for the peer's key and the index [default: one per share in the user's state folder]",
    check: text,
  }),
  watch: withDefault<boolean>({
    describe: 'follow changes of the folder',
    default: true,
    check: yesOrNo,
  }),
  sendfile: withDefault<boolean>({
    describe: 'send large files without a copy, by sendfile(2), where the system has it',
    default: true,
    check: yesOrNo,
  }),
  rescan: time({
    describe: 'between scans that catch what the watch lost',
    default: 300_000,
  }),
  maxConnections: without<number>({
    describe:
      'inbound connections at once; above that the least useful are closed [default: half the limit of open files, at most 8192]',
    check: integer(1, 1_000_000),
  }),
  maxPerClient: without<number>({
    describe: 'connections of one client, an IPv4 address or IPv6 /64 [default: a quarter of all]',
    check: integer(1, 1_000_000),
  }),
  maxPending: without<number>({
    describe: 'connections that have not been answered anything yet [default: a quarter of all]',
    check: integer(1, 1_000_000),
  }),
  maxUploads: without<number>({
    describe:
      'transfers at once; more wait, fairly by client [default: a tenth of the limit of open files]',
    check: integer(1, 1_000_000),
  }),
  upLimit: without<number>({
    describe:
      'bytes per second sent, shared by the clients: 500k, 2M, 1.5MiB, 10MB/s [default: no limit]',
    check: integer(MIN_RATE, MAX_RATE),
  }),
  downLimit: without<number>({
    describe: 'bytes per second received: 500k, 2M, 1.5MiB, 10MB/s [default: no limit]',
    check: integer(MIN_RATE, MAX_RATE),
  }),
  grace: time({
    describe: 'that transfers have to end after SIGTERM or SIGINT; a second signal ends at once',
    default: 10_000,
    min: 0,
  }),
  stallTimeout: time({
    describe: 'in which a peer takes nothing of what waits for it, until it is dropped',
    default: STALL_TIMEOUT,
  }),
  firstFrameTimeout: time({
    describe: 'until a peer that connects has sent its first frame, or is dropped',
    default: FIRST_FRAME_TIMEOUT,
  }),
  frameTimeout: time({
    describe: 'in which a frame that has begun ends, or grows by 4 KiB',
    default: FRAME_TIMEOUT,
  }),
  peers: withDefault<readonly string[]>({
    describe: 'peer to join: host, host:port or [v6]:port, perhaps with ID@ before it (repeatable)',
    default: [],
    check: (peers) => peers.map(peer).find((wrong) => wrong !== undefined),
  }),
  advertise: without<string>({
    describe: 'host:port at which other peers shall reach this one [default: where it listens]',
    check: ownAddress,
  }),
  maxPeers: withDefault<number>({
    describe: 'peers to keep a connection to',
    default: 16,
    check: integer(1, 1000),
  }),
  maxPeersPerNetwork: withDefault<number>({
    describe: 'of these, peers of one network (IPv4 /24, IPv6 /48) or one private address',
    default: 2,
    check: integer(1, 1000),
  }),
  discover: withDefault<boolean>({
    describe: 'learn of peers from the lists of others',
    default: true,
    check: yesOrNo,
  }),
  lan: withDefault<boolean>({
    describe: 'find the peers in your own networks, and be found there (multicast DNS)',
    default: true,
    check: yesOrNo,
  }),
  tls: without<boolean>({
    describe: 'encrypt connections also to peers on this machine',
    check: yesOrNo,
  }),
  http: withDefault<boolean>({
    describe: 'speak HTTP, too, on the same port',
    default: true,
    check: yesOrNo,
  }),
  httpHosts: withDefault<readonly string[]>({
    describe: 'name that HTTP is answered under, beside those of this machine (repeatable)',
    default: [],
    check: (names) => names.map(text).find((wrong) => wrong !== undefined),
  }),
  allow: without<readonly string[]>({
    describe: 'id of a peer that may use this one (repeatable); nobody else may then',
    check: (ids) => {
      // Says itself what is wrong.
      for (const id of ids) parseId(id);
      return undefined;
    },
  }),
  allowFile: without<string>({
    describe: 'file with such ids, one a line, # begins a comment; followed when it changes',
    check: text,
  }),
  connectTimeout: time({ describe: 'until a connection must be there', default: 10_000 }),
  answerTimeout: time({
    describe: 'without a byte from a peer that owes an answer, until it is given up',
    default: 30_000,
  }),
} as const;

export type OptionName = keyof typeof OPTIONS;
type ValueOf<N extends OptionName> = Parameters<(typeof OPTIONS)[N]['check']>[0];
/** What an option is when it is not given. */
type Otherwise<N extends OptionName> = 'default' extends keyof (typeof OPTIONS)[N]
  ? never
  : undefined;
type Given = { readonly [N in OptionName]?: ValueOf<N> | undefined };
/** A value of every option. */
export type Settings = { readonly [N in OptionName]: ValueOf<N> | Otherwise<N> };

/**
 * The value of an option: the one given, checked, or the default; undefined when there is neither.
 *
 * @throws PeerError ERR_USAGE
 */
export function option<N extends OptionName>(
  name: N,
  value: ValueOf<N> | undefined,
): ValueOf<N> | Otherwise<N> {
  const spec = OPTIONS[name] as unknown as Spec<ValueOf<N>>;
  if (value === undefined) return spec.default as ValueOf<N> | Otherwise<N>;
  const wrong = spec.check(value);
  if (wrong !== undefined) throw new PeerError('ERR_USAGE', `${name} ${wrong}`);
  return value;
}

/** The values of all options. @throws PeerError ERR_USAGE */
export function settings(given: Given): Settings {
  if (given.tls === false && (given.allow ?? given.allowFile) !== undefined) {
    throw new PeerError('ERR_USAGE', 'only with TLS do peers prove who they are: allow needs it');
  }
  const names = Object.keys(OPTIONS) as OptionName[];
  return Object.fromEntries(names.map((name) => [name, option(name, given[name])])) as Settings;
}

/**
 * Every option there is: what it means, its unit, its default and what values it takes. The library
 * checks against this table and the commands build their help from it.
 */
import { PeerError } from './errors.js';
import { DEFAULT_PORT, parseAddress } from './net/address.js';
import { FIRST_FRAME_TIMEOUT, FRAME_TIMEOUT, STALL_TIMEOUT } from './net/connection-deadlines.js';
import type { PeerTimes } from './peers/times.js';
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
  /** Globs of files and folders to leave out; one without a slash counts in every folder. */
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
  /** Seconds between scans that catch what the watch lost. @default 300 */
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
   * Connections of others at once; when there are more those of least use go.
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
  /** Peers to join: `host`, `host:port` or `[v6]:port`. @default none */
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
  /** Intervals and limits of what is done with peers, for tests. @default PEER_TIMES */
  times?: Partial<PeerTimes> | undefined;
}

/** Options of a connection to a peer. */
export interface ConnectOptions {
  /** Milliseconds until the connection must be there. @default 10000 */
  connectTimeout?: number | undefined;
  /** Milliseconds without a byte from a peer that owes an answer, until it is given up. @default 30000 */
  answerTimeout?: number | undefined;
  /** Gives up connecting. */
  signal?: AbortSignal | undefined;
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
  value === '' ? 'must not be empty' : undefined;
const fine = (): string | undefined => undefined;
const peer = (value: string): string | undefined => {
  // Says itself what is wrong.
  parseAddress(value);
  return undefined;
};
const MAX_TIMEOUT = 2 ** 31 - 1;

/** An option that always has a value. */
function withDefault<T>(spec: Required<Spec<T>>): Required<Spec<T>> {
  return spec;
}

/** An option that can be left out. */
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
    check: fine,
  }),
  ignore: withDefault<readonly string[]>({
    describe:
      'glob of files or folders to leave out (repeatable); without a slash: in every folder',
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
    check: fine,
  }),
  sendfile: withDefault<boolean>({
    describe: 'send large files without a copy, by sendfile(2), where the system has it',
    default: true,
    check: fine,
  }),
  rescan: withDefault<number>({
    describe: 'seconds between scans that catch what the watch lost',
    default: 300,
    check: integer(1, 1_000_000),
  }),
  maxConnections: without<number>({
    describe:
      'connections of others at once; then those of least use go [default: half the limit of open files, at most 8192]',
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
  grace: withDefault<number>({
    describe:
      'seconds that transfers have to end after SIGTERM or SIGINT; a second one ends at once',
    default: 10,
    check: integer(0, 86_400),
  }),
  stallTimeout: withDefault<number>({
    describe:
      'milliseconds in which a peer takes nothing of what waits for it, until it is dropped',
    default: STALL_TIMEOUT,
    check: integer(1, MAX_TIMEOUT),
  }),
  firstFrameTimeout: withDefault<number>({
    describe: 'milliseconds until a peer that connects has sent its first frame, or is dropped',
    default: FIRST_FRAME_TIMEOUT,
    check: integer(1, MAX_TIMEOUT),
  }),
  frameTimeout: withDefault<number>({
    describe: 'milliseconds in which a frame that has begun ends, or grows by 4 KiB',
    default: FRAME_TIMEOUT,
    check: integer(1, MAX_TIMEOUT),
  }),
  peers: withDefault<readonly string[]>({
    describe: 'peer to join: host, host:port or [v6]:port (repeatable)',
    default: [],
    check: (peers) => peers.map(peer).find((wrong) => wrong !== undefined),
  }),
  advertise: without<string>({
    describe: 'host:port at which other peers shall reach this one [default: where it listens]',
    check: peer,
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
    check: fine,
  }),
  connectTimeout: withDefault<number>({
    describe: 'milliseconds until a connection must be there',
    default: 10_000,
    check: integer(1, MAX_TIMEOUT),
  }),
  answerTimeout: withDefault<number>({
    describe: 'milliseconds without a byte from a peer that owes an answer, until it is given up',
    default: 30_000,
    check: integer(1, MAX_TIMEOUT),
  }),
} as const;

export type OptionName = keyof typeof OPTIONS;
/** Those that always have a value. */
type DefaultedName = {
  [N in OptionName]: 'default' extends keyof (typeof OPTIONS)[N] ? N : never;
}[OptionName];
type ValueOf<N extends OptionName> = Parameters<(typeof OPTIONS)[N]['check']>[0];

/**
 * A value for an option: the one given, checked, or the default.
 *
 * @throws PeerError ERR_USAGE
 */
export function option<N extends DefaultedName>(
  name: N,
  value: ValueOf<N> | undefined,
): ValueOf<N> {
  const spec = OPTIONS[name] as unknown as Required<Spec<ValueOf<N>>>;
  return value === undefined ? spec.default : checked(name, value);
}

/** The same for an option that can be left out. */
export function optional<N extends OptionName>(
  name: N,
  value: ValueOf<N> | undefined,
): ValueOf<N> | undefined {
  return value === undefined ? undefined : checked(name, value);
}

/** A value for an option that is given. */
export function checked<N extends OptionName>(name: N, value: ValueOf<N>): ValueOf<N> {
  const spec = OPTIONS[name] as unknown as Spec<ValueOf<N>>;
  const wrong = spec.check(value);
  if (wrong !== undefined) throw new PeerError('ERR_USAGE', `${name} ${wrong}`);
  return value;
}

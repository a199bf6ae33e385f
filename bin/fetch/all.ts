/** `p2p-fetch <peer> --all <string> -o DIR`: every match of a search, into a folder. */
import { Peer } from '../../lib/fetch/peer.js';
import { retrying, type RetryOptions } from '../../lib/fetch/retry.js';
import { parseAddress } from '../../lib/net/address.js';
import { PeerError } from '../../lib/errors.js';
import { fetchAll } from '../../lib/fetch/folder/fetch-all.js';
import type { OpenSource } from '../../lib/fetch/folder/folder-fetch.js';
import { printable } from '../../lib/support/printable.js';
import type { RateLimiter } from '../../lib/limits/rate-limiter.js';
import { EXIT, SIGNALS, describe, wholeNumber } from '../common/command.js';
import { clientOptions, type IdentityArgs } from '../common/tls-options.js';
import { Complaints } from './complaints.js';
import { openSources } from './sources.js';

export interface AllArgs extends IdentityArgs {
  peer: string;
  hash: string | undefined;
  all: string;
  output: string | undefined;
  from: readonly string[];
  find: boolean;
  retry: number | undefined;
  limit: RateLimiter | undefined;
  offset: number | undefined;
  length: number | undefined;
  fsync: boolean;
}

interface Counts {
  fetched: number;
  bytes: number;
  there: number;
  failed: number;
  /** Something that was listed was skipped. */
  skipped: boolean;
}

/** Milliseconds after a signal until the process ends whatever it is doing. */
const LAST_RESORT = 800;
/** Bytes that wait for their turn, of a file that comes from several peers. */
const WINDOW = 8 * 1024 * 1024;
/** Lines about other peers. */
const MAX_SAID = 100;

/** @returns the exit code */
export async function fetchAllInto(args: AllArgs): Promise<number> {
  const folder = checkArgs(args);
  const retries = wholeNumber('retry', args.retry) ?? 0;
  const counts: Counts = { fetched: 0, bytes: 0, there: 0, failed: 0, skipped: false };
  const stop = new AbortController();
  const progress = await progressOf(counts);
  const complaints = new Complaints(progress.say);
  const interrupted = stopOnSignal(stop, () => {
    complaints.end();
    progress.stop();
    process.stderr.write(`${summaryOf(counts)}; stopped\n`);
  });
  const { onFound, onBytes, say } = progress;
  const onRetry = ({ message }: PeerError, pause: number): void => {
    say(`p2p-fetch: ${message}; again in ${(pause / 1000).toFixed(1)} s`);
  };
  let peer: Peer | undefined;
  try {
    peer = await connectTo(args, { signal: stop.signal, retries, onRetry });
    const files = fetchAll(peer, args.all, folder, {
      ...{ signal: stop.signal, limit: args.limit, fsync: args.fsync, onBytes, retries, onRetry },
      sourceOf: sourcesOf(args, say),
      onFound: (found) => {
        onFound(found);
        if (found.skipped === undefined) return;
        counts.skipped = true;
        say(`p2p-fetch: skipped of what the peer lists: ${found.skipped}`);
      },
    });
    for await (const { path, size, status, error } of files) {
      counts[status]++;
      if (status === 'fetched') counts.bytes += size;
      if (status === 'there') progress.skipped(size);
      if (status === 'failed') complaints.add(path, describe(error).text);
    }
    complaints.end();
    progress.stop();
    return end(args, counts, peer.hello.state === 'hashing');
  } catch (error) {
    if (!interrupted.isSet) {
      complaints.end();
      progress.stop();
      // Where nothing was begun the error says it all.
      const isUsage = error instanceof PeerError && error.code === 'ERR_USAGE';
      if (peer !== undefined && !isUsage)
        process.stderr.write(`${summaryOf(counts)}; ended early\n`);
      throw error;
    }
    interrupted.say();
    return EXIT.failed;
  } finally {
    await peer?.close();
    interrupted.end();
  }
}

/** @throws PeerError as `connect`, when all attempts have failed */
async function connectTo(args: AllArgs, options: RetryOptions): Promise<Peer> {
  const peer = new Peer(parseAddress(args.peer), clientOptions(args));
  await retrying(
    () => peer.open(options),
    () => 0,
    options,
  );
  return peer;
}

/** @returns the folder */
function checkArgs({ hash, output, offset, length }: AllArgs): string {
  const wrong =
    hash !== undefined
      ? '--all and a hash do not go together'
      : offset !== undefined || length !== undefined
        ? '--all does not go together with --offset and --length'
        : output === undefined || output === '' || output === '-'
          ? '--all needs a folder to write into: -o DIR'
          : undefined;
  if (wrong !== undefined) throw new PeerError('ERR_USAGE', `${wrong} (see p2p-fetch --help)`);
  return output ?? '';
}

/** With --from or --find each file of more than a block comes from all peers that have it. */
function sourcesOf(
  { peer, from, find, ...args }: AllArgs,
  say: (line: string) => void,
): OpenSource | undefined {
  if (from.length === 0 && !find) return undefined;
  const sources = { named: [peer, ...from], find, tls: clientOptions(args), window: WINDOW };
  // What is wrong with a peer is said once, not for each file; of many peers not of all.
  const said = new Set<string>();
  return ({ hash }) => {
    const { peers, close } = openSources(hash, sources, (line) => {
      if (said.has(line) || said.size === MAX_SAID) return;
      said.add(line);
      say(`p2p-fetch: ${line}`);
    });
    return {
      source: peers,
      close: () => {
        void close();
      },
    };
  };
}

function summaryOf({ fetched, bytes, there, failed }: Counts): string {
  const files = fetched === 1 ? '1 file' : `${fetched} files`;
  const had = there === 1 ? '1 was there already' : `${there} were there already`;
  return `fetched ${files}, ${bytes} bytes; ${had}; ${failed} failed`;
}

function end({ all }: AllArgs, counts: Counts, hashing: boolean): number {
  const { fetched, there, failed } = counts;
  if (hashing) process.stderr.write('p2p-fetch: the peer is still hashing: more may come\n');
  if (fetched + there + failed === 0) {
    process.stderr.write(
      printable(
        all === '' ? 'p2p-fetch: the peer shares no file' : `p2p-fetch: no file matches "${all}"`,
      ) + '\n',
    );
    return EXIT.notFound;
  }
  process.stderr.write(`${summaryOf(counts)}\n`);
  return failed > 0 || counts.skipped ? EXIT.failed : EXIT.done;
}

interface Interrupted {
  readonly isSet: boolean;
  /** Say what was done, once. */
  say(): void;
  /** Nothing is under way any more: die of the signal if there was one. */
  end(): void;
}

/**
 * The first signal stops what is under way, and ends the process if that takes too long (a disk that
 * hangs); a second one ends it at once.
 *
 * @param onStop says what was done
 */
function stopOnSignal(stop: AbortController, onStop: () => void): Interrupted {
  let caught: NodeJS.Signals | undefined;
  let said = false;
  let timer: NodeJS.Timeout | undefined;
  const say = (): void => {
    if (!said) onStop();
    said = true;
  };
  const off = (): void => {
    for (const signal of SIGNALS) process.off(signal, onSignal);
  };
  const end = (): void => {
    clearTimeout(timer);
    off();
    // Die of it, as if there had been no handler.
    if (caught !== undefined) process.kill(process.pid, caught);
  };
  const onSignal = (signal: NodeJS.Signals): void => {
    caught = signal;
    off();
    stop.abort();
    timer = setTimeout(() => {
      say();
      end();
    }, LAST_RESORT);
  };
  for (const signal of SIGNALS) process.on(signal, onSignal);
  return {
    get isSet() {
      return caught !== undefined;
    },
    say,
    end,
  };
}

interface Progress {
  onFound: (found: { files: number; bytes: number }) => void;
  onBytes: (bytes: number) => void;
  /** Bytes that need not come. */
  skipped: (bytes: number) => void;
  /** A line on stderr, beside the bar. */
  say: (line: string) => void;
  stop: () => void;
}

/** A bar, if stderr is a terminal. */
async function progressOf(counts: Counts): Promise<Progress> {
  const say = (line: string): void => {
    process.stderr.write(`${printable(line)}\n`);
  };
  const nothing = (): void => undefined;
  if (!process.stderr.isTTY) {
    return { onFound: nothing, onBytes: nothing, skipped: nothing, say, stop: nothing };
  }
  // Loaded only where it is shown.
  const { ProgressBar } = await import('../common/progress.js');
  const bar = new ProgressBar();
  const total = { files: 0, bytes: 0 };
  let bytes = 0;
  const update = (more: number): void => {
    bytes += more;
    const done = counts.fetched + counts.there + counts.failed;
    const detail = `${done} of ${total.files} files`;
    // Of empty files there are no bytes to count.
    const fraction = total.bytes === 0 ? done / Math.max(1, total.files) : bytes / total.bytes;
    bar.update({ bytes, total: total.bytes, detail, fraction });
  };
  return {
    onFound: (found) => {
      Object.assign(total, found);
      update(0);
    },
    onBytes: update,
    skipped: update,
    say: (line) => {
      bar.stop();
      say(line);
      update(0);
    },
    stop: () => {
      bar.stop();
    },
  };
}

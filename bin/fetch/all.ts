/** `p2p-fetch <peer> --all <string> -o DIR`: every match of a search, into a folder. */
import { connect } from '../../lib/fetch/peer.js';
import { PeerError } from '../../lib/errors.js';
import { fetchAll } from '../../lib/fetch/folder/fetch-all.js';
import { printable } from '../../lib/support/printable.js';
import type { RateLimiter } from '../../lib/limits/rate-limiter.js';
import { EXIT, describe } from '../common/command.js';

export interface AllArgs {
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
}

interface Counts {
  fetched: number;
  bytes: number;
  there: number;
  failed: number;
}

/** @returns the exit code */
export async function fetchAllInto(args: AllArgs): Promise<number> {
  const folder = checkArgs(args);
  const peer = await connect(args.peer);
  const counts: Counts = { fetched: 0, bytes: 0, there: 0, failed: 0 };
  const stop = new AbortController();
  const signalled = stopOnSignal(stop);
  const progress = await progressOf(counts);
  try {
    const { onFound, onBytes } = progress;
    const options = { signal: stop.signal, limit: args.limit, onFound, onBytes };
    const files = fetchAll(peer, args.all, folder, options);
    for await (const { path, size, outcome, error } of files) {
      counts[outcome]++;
      if (outcome === 'fetched') counts.bytes += size;
      if (outcome === 'there') progress.skipped(size);
      if (outcome === 'failed') progress.say(`p2p-fetch: ${path}: ${describe(error).text}`);
    }
    progress.stop();
    return end(args, counts, peer.hello.state === 'hashing');
  } catch (error) {
    progress.stop();
    if (!signalled.by()) throw error;
    process.stderr.write(`${summaryOf(counts)}; stopped\n`);
    return EXIT.failed;
  } finally {
    signalled.done();
    await peer.close();
  }
}

/** @returns the folder */
function checkArgs({ hash, output, from, find, retry, offset, length }: AllArgs): string {
  const forOne =
    find || from.length > 0 || [retry, offset, length].some((one) => one !== undefined);
  const wrong =
    hash !== undefined
      ? '--all and a hash do not go together'
      : forOne
        ? '--all does not go together with --from, --find, --retry, --offset and --length'
        : output === undefined || output === '' || output === '-'
          ? '--all needs a folder to write into: -o DIR'
          : undefined;
  if (wrong !== undefined) throw new PeerError('ERR_USAGE', `${wrong} (see p2p-fetch --help)`);
  return output ?? '';
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
  return failed > 0 ? EXIT.failed : EXIT.done;
}

/** The first SIGINT or SIGTERM stops what is under way; a second one ends the process at once. */
function stopOnSignal(stop: AbortController): { by: () => boolean; done: () => void } {
  let caught: NodeJS.Signals | undefined;
  const onSignal = (signal: NodeJS.Signals): void => {
    caught = signal;
    off();
    stop.abort();
  };
  const off = (): void => {
    process.off('SIGINT', onSignal).off('SIGTERM', onSignal);
  };
  process.on('SIGINT', onSignal).on('SIGTERM', onSignal);
  return {
    by: () => caught !== undefined,
    done: () => {
      off();
      // Die of it, as if there had been no handler.
      if (caught !== undefined) process.kill(process.pid, caught);
    },
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

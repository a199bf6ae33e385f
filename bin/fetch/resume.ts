/** Where p2p-fetch writes, and how it resumes when a connection breaks. */
import { PeerError, systemCode } from '../../lib/errors.js';
import { printable } from '../../lib/support/printable.js';
import { openFetch, type FileOptions } from '../../lib/fetch/part/fetch-to-file.js';
import type { AttemptOptions, Fetch, FetchProgress } from '../../lib/fetch/part/file-fetch.js';
import { retrying } from '../../lib/fetch/retry.js';
import { StreamFetch } from '../../lib/fetch/stream-fetch.js';
import { restoreOnSignal } from '../common/command.js';
import type { ProgressBar } from '../common/progress.js';
import { StdoutSink } from '../common/stdout-sink.js';
import { TerminalSink } from './terminal-sink.js';

/** @param output as in `-o`: a file; - or undefined is stdout */
export async function openOutput(
  hash: string,
  output: string | undefined,
  range: FileOptions,
): Promise<Fetch> {
  if (!isStdout(output)) return openFetch(hash, output, range);
  const sink = isShown(output) ? new TerminalSink() : new StdoutSink();
  return new StreamFetch(hash, sink, range);
}

/** Under its paths it is not opened anew either: that would begin it again, or fail for a socket. */
const STDOUT = new Set([undefined, '-', '/dev/stdout', '/dev/fd/1', '/proc/self/fd/1']);

function isStdout(output: string | undefined): output is undefined {
  return STDOUT.has(output);
}

/** Whether people see the file itself, and did not ask for it as it is. */
function isShown(output: string | undefined): boolean {
  return output === undefined && process.stdout.isTTY;
}

/**
 * Attempt until all is there, and give it its name; with a progress bar, if stderr is a terminal.
 *
 * @param retries as in RetryOptions
 */
export async function complete(
  fetch: Fetch,
  output: string | undefined,
  retries: number,
  attempt: (options: AttemptOptions, say: (line: string) => void) => Promise<void>,
): Promise<void> {
  const shown = await showProgress(isStdout(output) && process.stdout.isTTY);
  const say = (line: string): void => {
    shown.stop();
    process.stderr.write(`p2p-fetch: ${printable(line)}\n`);
  };
  try {
    await retrying(
      () => attempt({ onProgress: shown.onProgress }, say),
      () => fetch.bytes,
      {
        retries,
        onRetry: ({ message }, pause) => {
          say(`${message}; again in ${(pause / 1000).toFixed(1)} s`);
        },
      },
    );
    const result = await fetch.finish();
    shown.stop();
    if (result === 'there') process.stderr.write(`${printable(output ?? '')} is already there\n`);
  } catch (error) {
    shown.stop();
    const kept = await fetch.abandon();
    const onDisk = systemCode(error) !== undefined && !(error instanceof PeerError);
    if (isStdout(output)) {
      // Whoever reads has had enough (`| head`): nothing is wrong.
      if (systemCode(error) === 'EPIPE') return;
      throw onDisk ? Object.assign(error as Error, { path: 'stdout' }) : error;
    }
    if (kept !== undefined) process.stderr.write(`what was verified is in ${printable(kept)}\n`);
    throw onDisk ? Object.assign(error as Error, { path: output }) : error;
  } finally {
    shown.end();
  }
}

interface Shown {
  onProgress: ((progress: FetchProgress) => void) | undefined;
  /** Take the bar away; the next progress brings it back. */
  stop: () => void;
  end: () => void;
}

/** @param beside whether the file itself goes to the terminal */
async function showProgress(beside: boolean): Promise<Shown> {
  const nothing = (): void => undefined;
  if (!process.stderr.isTTY || beside)
    return { onProgress: undefined, stop: nothing, end: nothing };
  // Loaded only where it is shown.
  const { ProgressBar: Bar } = await import('../common/progress.js');
  let bar: ProgressBar | undefined;
  let phase: FetchProgress['phase'] | undefined;
  const stop = (): void => {
    bar?.stop();
    bar = undefined;
  };
  const restore = restoreOnSignal(stop);
  return {
    onProgress: (now) => {
      // The rate is that of one thing.
      if (now.phase !== phase) stop();
      phase = now.phase;
      bar ??= new Bar();
      const { bytes, total } = now;
      bar.update({ bytes, total, detail: phase === 'checking' ? phase : undefined });
    },
    stop,
    end: () => {
      stop();
      restore();
    },
  };
}

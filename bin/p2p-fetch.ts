#!/usr/bin/env node
/** Fetch a file by its hash, to stdout or into a file. */
import { connect, type Peer } from '../lib/client.js';
import { PeerError, systemCode } from '../lib/errors.js';
import { OPTIONS } from '../lib/options.js';
import { AddressPolicy, interfaceAddresses } from '../lib/peers/scope.js';
import { printable } from '../lib/printable.js';
import { RateLimit } from '../lib/transfer/allowance.js';
import { FileTarget } from '../lib/transfer/file-target.js';
import type { ByteSink } from '../lib/transfer/receive.js';
import type { FileHead } from '../lib/wire/messages.js';
import { optionalRate, restoreOnSignal, runCommand, wholeNumber } from './common/command.js';
import { StdoutSink } from './common/stdout-sink.js';

interface Args {
  peer: string;
  hash: string;
  output: string | undefined;
  offset: number | undefined;
  length: number | undefined;
  find: boolean;
  'down-limit': string | undefined;
}

await runCommand<Args>({
  name: 'p2p-fetch',
  usage: '<peer> <hash>',
  describe: 'Fetch a file by its hash. Every byte is verified before it is written.',
  build: (argv) =>
    argv
      .positional('peer', {
        type: 'string',
        demandOption: true,
        describe: 'host, host:port or [v6]:port',
      })
      .positional('hash', {
        type: 'string',
        demandOption: true,
        describe: '64 hexadecimal digits, as p2p-search prints them',
      })
      .option('output', {
        alias: 'o',
        type: 'string',
        requiresArg: true,
        describe: 'file to write, by way of FILE.part; - is stdout, the default',
      })
      .option('find', {
        type: 'boolean',
        default: false,
        describe: 'when the peer has not the file, ask the network who has it',
      })
      .option('down-limit', {
        type: 'string',
        requiresArg: true,
        describe: OPTIONS.downLimit.describe,
      })
      .option('offset', { type: 'number', requiresArg: true, describe: 'first byte wanted' })
      .option('length', { type: 'number', requiresArg: true, describe: 'number of bytes wanted' })
      .example('$0 host:7000 7f83b1…c9 > out', 'into a pipe or file')
      .example('$0 host 7f83b1…c9 -o film.mkv', 'with a name of your own')
      .example('$0 host 7f83b1…c9 --find > out', 'from whoever in the network has it')
      .example('$0 host 7f83b1…c9 --offset 1000 --length 24', '24 bytes of it'),
  run: fetchFile,
});

async function fetchFile(args: Args): Promise<number | undefined> {
  const hash = args.hash.toLowerCase();
  if (!/^[0-9a-f]{64}$/.test(hash)) {
    throw new PeerError(
      'ERR_USAGE',
      `"${args.hash}" is not a hash: that is 64 hexadecimal digits (this has ${args.hash.length} characters)`,
    );
  }
  const rate = optionalRate('down-limit', args['down-limit']);
  const range = {
    offset: wholeNumber('offset', args.offset),
    length: wholeNumber('length', args.length),
    limit: rate === undefined ? undefined : new RateLimit(rate),
  };
  const peer = await connect(args.peer);
  try {
    await fetchFrom(peer, hash, range, args.output);
  } catch (error) {
    if (!args.find || !isMissing(error)) throw error;
    if (!(await fetchElsewhere(peer, hash, range, args.output))) throw error;
  } finally {
    await peer.close();
  }
  return undefined;
}

async function fetchFrom(
  peer: Peer,
  hash: string,
  range: Range,
  output: string | undefined,
): Promise<void> {
  if (output === undefined || output === '-') await toStdout(peer, hash, range);
  else await toFile(peer, hash, range, output);
}

/** The peer answered, and cannot give the file; nothing of it has come. */
function isMissing(error: unknown): boolean {
  return (
    error instanceof PeerError &&
    ['ERR_NOT_FOUND', 'ERR_HASHING', 'ERR_CHANGED', 'ERR_BUSY'].includes(error.code)
  );
}

/** Fetch from the first peer of the network that has the file. @returns whether there was one */
async function fetchElsewhere(
  first: Peer,
  hash: string,
  range: Range,
  output: string | undefined,
): Promise<boolean> {
  const policy = new AddressPolicy(interfaceAddresses);
  const speaker = first.remoteHost ?? '';
  for await (const { peer: contact, hops } of first.searchNetwork({ hash })) {
    const address = policy.believed(speaker, contact);
    if (hops === 0 || address === undefined) continue;
    const other = await connect(address).catch(() => undefined);
    // A name on the list that is not there any more: the next, perhaps.
    if (other === undefined) continue;
    try {
      await fetchFrom(other, hash, range, output);
      return true;
    } catch (error) {
      if (!isMissing(error)) throw error;
    } finally {
      await other.close();
    }
  }
  return false;
}

interface Range {
  offset: number | undefined;
  length: number | undefined;
  limit: RateLimit | undefined;
}

async function toStdout(peer: Peer, hash: string, range: Range): Promise<void> {
  try {
    await withProgress(new StdoutSink(), (sink, onHead) =>
      peer.fetchTo(hash, sink, { ...range, onHead }),
    );
  } catch (error) {
    // Whoever reads has had enough (`| head`): nothing is wrong.
    if (systemCode(error) !== 'EPIPE') throw error;
  }
}

async function toFile(peer: Peer, hash: string, range: Range, file: string): Promise<void> {
  const target = await FileTarget.at(file, range.offset);
  try {
    await withProgress(target, (sink, onHead) => peer.fetchTo(hash, sink, { ...range, onHead }));
    await target.finish();
  } catch (error) {
    const kept = await target.abandon();
    if (kept !== undefined) process.stderr.write(`what was verified is in ${printable(kept)}\n`);
    const onDisk = systemCode(error) !== undefined && !(error instanceof PeerError);
    throw onDisk ? Object.assign(error as Error, { path: file }) : error;
  }
}

/** Run a fetch with a progress bar, if stderr is a terminal. */
async function withProgress(
  sink: ByteSink,
  fetch: (sink: ByteSink, onHead: (head: FileHead) => void) => Promise<void>,
): Promise<void> {
  if (!process.stderr.isTTY) {
    await fetch(sink, () => undefined);
    return;
  }
  // Loaded only where it is shown.
  const { ProgressBar } = await import('./common/progress.js');
  const bar = new ProgressBar();
  const restore = restoreOnSignal(() => {
    bar.stop();
  });
  let bytes = 0;
  let total = 0;
  const counting: ByteSink = {
    write: async (chunk, position) => {
      await sink.write(chunk, position);
      bytes += chunk.length;
      bar.update({ bytes, total });
    },
  };
  try {
    await fetch(counting, (head) => {
      total = head.length;
      bar.update({ bytes: 0, total });
    });
  } finally {
    bar.stop();
    restore();
  }
}

#!/usr/bin/env node
/** Fetch a file by its hash, to stdout or into a file. */
import { connect, type Peer } from '../lib/client.js';
import { PeerError } from '../lib/errors.js';
import { AddressPolicy, interfaceAddresses } from '../lib/peers/scope.js';
import type { AttemptOptions, Fetch } from '../lib/transfer/file-fetch.js';
import { runCommand, wholeNumber } from './common/command.js';
import { complete, openOutput } from './fetch/resume.js';

interface Args {
  peer: string;
  hash: string;
  output: string | undefined;
  offset: number | undefined;
  length: number | undefined;
  find: boolean;
  retry: number | undefined;
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
        describe:
          'file to write, by way of FILE.part, which is gone on with; - is stdout, the default',
      })
      .option('find', {
        type: 'boolean',
        default: false,
        describe: 'when the peer has not the file, ask the network who has it',
      })
      .option('retry', {
        type: 'number',
        requiresArg: true,
        describe:
          'times to try again when the connection breaks or the peer is busy; counted anew after any byte',
      })
      .option('offset', { type: 'number', requiresArg: true, describe: 'first byte wanted' })
      .option('length', { type: 'number', requiresArg: true, describe: 'number of bytes wanted' })
      .example('$0 host:7000 7f83b1…c9 > out', 'into a pipe or file')
      .example('$0 host 7f83b1…c9 -o film.mkv', 'with a name of your own')
      .example('$0 host 7f83b1…c9 -o film.mkv --retry 10', 'the same once more: what is missing')
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
  const range = {
    offset: wholeNumber('offset', args.offset),
    length: wholeNumber('length', args.length),
  };
  const retries = wholeNumber('retry', args.retry) ?? 0;
  const fetch = await openOutput(hash, args.output, range);
  let peer: Peer | undefined;
  try {
    await complete(fetch, args.output, retries, async (options) => {
      peer ??= await connect(args.peer);
      try {
        await fetch.from(peer, options);
      } catch (error) {
        if (!args.find || !isMissing(error)) throw error;
        if (!(await fetchElsewhere(peer, hash, fetch, options))) throw error;
      }
    });
  } finally {
    await peer?.close();
  }
  return undefined;
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
  fetch: Fetch,
  options: AttemptOptions,
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
      await fetch.from(other, options);
      return true;
    } catch (error) {
      if (!isMissing(error)) throw error;
    } finally {
      await other.close();
    }
  }
  return false;
}

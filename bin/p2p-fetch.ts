#!/usr/bin/env node
/** Fetch a file by its hash, to stdout or into a file. */
import { connect, type Peer } from '../lib/fetch/peer.js';
import { PeerError } from '../lib/errors.js';
import { OPTIONS } from '../lib/options.js';
import { isHex32 } from '../lib/wire/limits.js';
import { RateLimiter } from '../lib/limits/rate-limiter.js';
import { optionalRate, runCommand, wholeNumber } from './common/command.js';
import { addClientOptions, clientOptions, type IdentityArgs } from './common/tls-options.js';
import { addLanOption, isLan, needsPeer, peersInLan, type LanArgs } from './common/lan.js';
import { SCHEME } from '../lib/net/address.js';
import { complete, openOutput } from './fetch/resume.js';
import type { OpenSources } from './fetch/sources.js';

interface Args extends IdentityArgs, LanArgs {
  peer: string;
  hash: string | undefined;
  all: string | undefined;
  output: string | undefined;
  offset: number | undefined;
  length: number | undefined;
  from: string[];
  find: boolean;
  retry: number | undefined;
  'down-limit': string | undefined;
  fsync: boolean;
}

await runCommand<Args>({
  name: 'p2p-fetch',
  usage: isLan ? '<hash>' : '<peer> [hash]',
  describe:
    'Fetch a file by its hash, or every file that matches. Every byte is verified before it is written.',
  build: (argv) =>
    addLanOption(addClientOptions(argv), 'fetch from the peers in your own networks that have it')
      .positional('peer', {
        type: 'string',
        demandOption: needsPeer,
        describe:
          'host, host:port or [v6]:port; ID@host:port must prove that id; or a link, p2p://…',
      })
      .positional('hash', {
        type: 'string',
        demandOption: isLan,
        describe: '64 hexadecimal digits, as p2p-search prints them',
      })
      .option('output', {
        alias: 'o',
        type: 'string',
        requiresArg: true,
        describe:
          'file to write; it has its name only when it is whole, and the same command again resumes. ' +
          '- is stdout, the default. With --all: folder',
      })
      .option('all', {
        type: 'string',
        requiresArg: true,
        describe: 'fetch every file of the peer that a search for this finds; "" finds all',
      })
      .option('from', {
        type: 'string',
        array: true,
        requiresArg: true,
        nargs: 1,
        default: [] as string[],
        defaultDescription: 'none',
        describe: 'another peer to fetch from at the same time (repeatable)',
      })
      .option('find', {
        type: 'boolean',
        default: false,
        describe: 'ask the network which peers have the file, and fetch from all of them at once',
      })
      .option('retry', {
        type: 'number',
        requiresArg: true,
        describe:
          'times to try again when the connection breaks or the peer is busy; counted anew after any byte',
      })
      .option('fsync', {
        type: 'boolean',
        default: true,
        describe: 'wait until a file is on the disk before it gets its name; --no-fsync does not',
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
      .example('$0 host 7f83b1…c9 -o film.mkv --retry 10', 'again: fetch what is missing')
      .example('$0 host 7f83b1…c9 --from host2 --from host3 > out', 'from three peers at once')
      .example('$0 host 7f83b1…c9 --find > out', 'from all peers in the network that have it')
      .example('$0 --lan 7f83b1…c9 > out', 'from whatever peers in this network have it')
      .example('$0 host --all "holiday .jpg" -o photos', 'all that match, into a folder')
      .example('$0 p2p://ID@host:7000/7f83b1…c9/film.mkv', 'all from a link: into ./film.mkv')
      .example('$0 -- host 7f83b1…c9', 'after -- nothing is an option')
      .example('$0 host 7f83b1…c9 --offset 1000 --length 24', '24 bytes of it'),
  run: async (given) => {
    const { all } = given;
    if (isLan && all !== undefined) {
      throw new PeerError('ERR_USAGE', '--all needs a peer: it and --lan exclude each other');
    }
    const isLink =
      !isLan && given.peer.startsWith(SCHEME) && all === undefined && given.hash === undefined;
    const args = isLink ? await (await import('./fetch/link.js')).ofLink(given) : given;
    const { hash } = args;
    const rate = optionalRate('down-limit', args['down-limit']);
    const limit = rate === undefined ? undefined : new RateLimiter(rate);
    if (all !== undefined) {
      // Loaded only where it is used, as below: the others start faster.
      const { fetchAllInto } = await import('./fetch/all.js');
      return fetchAllInto({ ...args, all, limit });
    }
    if (hash !== undefined) {
      return fetchFile({ ...args, hash, limit }).catch((error: unknown) => {
        throw namingHash(error, hash);
      });
    }
    throw new PeerError('ERR_USAGE', '<hash> or --all is missing (see p2p-fetch --help)');
  },
});

/** Peers say "no file with this hash": of several commands in a script people must see which. */
function namingHash(error: unknown, hash: string): unknown {
  if (!(error instanceof PeerError) || !['ERR_NOT_FOUND', 'ERR_HASHING'].includes(error.code)) {
    return error;
  }
  return new PeerError(error.code, `${error.message} (${hash})`, { cause: error });
}

async function fetchFile(
  args: Args & { hash: string; limit: RateLimiter | undefined },
): Promise<number | undefined> {
  const hash = args.hash.toLowerCase();
  if (!isHex32(hash)) {
    throw new PeerError(
      'ERR_USAGE',
      `"${args.hash}" is not a hash: that is 64 hexadecimal digits (this has ${args.hash.length} characters)`,
    );
  }
  const range = {
    offset: wholeNumber('offset', args.offset),
    length: wholeNumber('length', args.length),
    limit: args.limit,
    fsync: args.fsync,
  };
  const retries = wholeNumber('retry', args.retry) ?? 0;
  const fetch = await openOutput(hash, args.output, range);
  if (args.from.length === 0 && !args.find && !args.lan) {
    let peer: Peer | undefined;
    try {
      await complete(fetch, args.output, retries, async (options) => {
        peer ??= await connect(args.peer, clientOptions(args));
        await fetch.from(peer, options);
      });
    } finally {
      await peer?.close();
    }
    return undefined;
  }
  const { openSources } = await import('./fetch/sources.js');
  const named = args.lan ? args.from : [args.peer, ...args.from];
  const lan = args.lan ? peersInLan : undefined;
  let sources: OpenSources | undefined;
  try {
    await complete(fetch, args.output, retries, async (options, say) => {
      sources ??= openSources(hash, { named, lan, find: args.find, tls: clientOptions(args) }, say);
      await fetch.from(sources.peers, options);
    });
  } finally {
    await sources?.close();
  }
  return undefined;
}

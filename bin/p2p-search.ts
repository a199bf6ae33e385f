#!/usr/bin/env node
/** Search the files of a peer, and of the network behind it, by name. */
import { once } from 'node:events';
import { connect, type Peer } from '../lib/fetch/peer.js';
import { PeerError } from '../lib/errors.js';
import { formatLink } from '../lib/fetch/link.js';
import { formatAddress, type PeerAddress } from '../lib/net/address.js';
import { printable, printableJson } from '../lib/support/printable.js';
import { MAX_HOPS, MAX_TIMEOUT, type SearchSummary } from '../lib/search/results.js';
import type { FileMatch, PeerContact } from '../lib/wire/messages.js';
import { EXIT, runCommand, wholeNumber } from './common/command.js';
import { addClientOptions, clientOptions, type IdentityArgs } from './common/tls-options.js';
import { addLanOption, isLan, needsPeer, peersInLan, type LanArgs } from './common/lan.js';
import { FoundFiles, type FoundFile } from './common/found-files.js';
import { loadQrCode } from './common/qr-code.js';

/** Peers in a link. */
const LINK_PEERS = 4;

/** Seconds that a search takes at most: in the network, and of one peer alone. */
const SECONDS = { network: 5, one: 60 };
const MAX_SECONDS = { network: MAX_TIMEOUT / 1000, one: 3600 };

interface Args extends IdentityArgs, LanArgs {
  peer: string;
  words: string[];
  ttl: number;
  max: number | undefined;
  timeout: number | undefined;
  json: boolean;
  links: boolean;
  qr: boolean;
}

/** A file as one line, or several; `names` are the peers that have it. */
type Format = (file: FoundFile, names: string) => string;

await runCommand<Args>({
  name: 'p2p-search',
  usage: isLan ? '<words..>' : '<peer> <words..>',
  describe:
    'Search the files of a peer and of those behind it: every word is part of the path, in upper or ' +
    'lower case. Prints lines of: hash  size  host:port,...  path',
  build: (argv) =>
    addLanOption(addClientOptions(argv), 'ask the peers in your own networks, in place of one')
      .positional('peer', {
        type: 'string',
        demandOption: needsPeer,
        describe: 'host, host:port or [v6]:port; ID@host:port must prove that id',
      })
      .positional('words', {
        type: 'string',
        array: true,
        demandOption: true,
        describe: 'words to look for; "" lists everything',
      })
      .option('ttl', {
        type: 'number',
        requiresArg: true,
        default: 4,
        describe: 'hops from peer to peer, 0 to 7; 0 asks this peer alone',
      })
      .option('max', {
        type: 'number',
        requiresArg: true,
        describe: 'matches wanted [default: all of this peer, the best 100 of each other]',
      })
      .option('timeout', {
        type: 'number',
        requiresArg: true,
        describe: `seconds that all of it takes at most [default: ${SECONDS.network}; ${SECONDS.one} with --ttl 0]`,
      })
      .option('json', {
        type: 'boolean',
        default: false,
        describe: 'one JSON object a line, for each file of each peer',
      })
      .option('links', {
        type: 'boolean',
        default: false,
        describe: 'print each file as a link, p2p://ID@host:port/HASH/name, for p2p-fetch',
      })
      .option('qr', {
        type: 'boolean',
        default: false,
        describe: 'print each link as a QR code, too',
      })
      .example('$0 localhost holiday', 'files with "holiday" in their path')
      .example('$0 --lan holiday', 'at whatever peers there are in this network, and behind them')
      .example('$0 localhost holiday .jpg --ttl 0', 'both words, on this peer alone'),
  run: search,
});

async function search(args: Args): Promise<number | undefined> {
  const max = wholeNumber('max', args.max) ?? Infinity;
  if (!Number.isSafeInteger(args.ttl) || args.ttl < 0 || args.ttl > MAX_HOPS) {
    throw new PeerError('ERR_USAGE', `--ttl is a whole number from 0 to ${MAX_HOPS}`);
  }
  const kind = args.ttl === 0 ? 'one' : 'network';
  const seconds = args.timeout ?? SECONDS[kind];
  if (!(seconds >= 0.001 && seconds <= MAX_SECONDS[kind])) {
    throw new PeerError('ERR_USAGE', `--timeout is a number of seconds up to ${MAX_SECONDS[kind]}`);
  }
  const format = await formatOf(args);
  const end = performance.now() + seconds * 1000;
  const left = (): number => Math.max(1, Math.round(end - performance.now()));
  if (isLan) {
    if (max === 0) return undefined;
    const found = await searchLan(args, format, max, left);
    return found > 0 ? undefined : EXIT.notFound;
  }
  const peer = await connectWithin(args, args.peer, seconds);
  try {
    // Nothing is wanted but to know whether the peer is there.
    if (max === 0) return undefined;
    const found = await (args.ttl === 0
      ? searchPeer(peer, args, format, max, left())
      : searchAll([() => Promise.resolve(peer)], args, format, max, left));
    return found > 0 ? undefined : EXIT.notFound;
  } finally {
    await peer.close();
  }
}

async function formatOf({ links, qr }: Args): Promise<Format> {
  if (qr) {
    const qrCode = await loadQrCode();
    return (file) => {
      const link = asLink(file);
      return `${link}\n${qrCode(link)}`;
    };
  }
  return links ? asLink : line;
}

/** @throws PeerError as `connect`; ERR_TIMED_OUT after so many seconds, whatever the peer does */
async function connectWithin(
  args: Args,
  peer: string | PeerAddress,
  seconds: number,
): Promise<Peer> {
  const late = new AbortController();
  const timer = setTimeout(() => {
    late.abort(
      new PeerError(
        'ERR_TIMED_OUT',
        `${typeof peer === 'string' ? peer : formatAddress(peer)} did not answer within ${seconds} s`,
      ),
    );
  }, seconds * 1000);
  try {
    return await connect(peer, { ...clientOptions(args), signal: late.signal });
  } finally {
    clearTimeout(timer);
  }
}

/** This peer's files, all of them. @returns how many were printed */
async function searchPeer(
  peer: Peer,
  { words, json }: Args,
  format: Format,
  max: number,
  timeout: number,
): Promise<number> {
  let found = 0;
  for await (const file of peer.search(words.join(' '), { max, timeout })) {
    found++;
    const contact = contactOf(peer);
    const one = { ...file, sources: [{ peer: contact, hops: 0 }] };
    await print(json ? asJson(file, contact, 0) : format(one, peer.name));
  }
  return found;
}

/** The same at every peer that is found in this machine's networks. */
async function searchLan(
  args: Args,
  format: Format,
  max: number,
  left: () => number,
): Promise<number> {
  const opened: Promise<Peer>[] = [];
  async function* open(): AsyncGenerator<() => Promise<Peer>, void, void> {
    for await (const found of peersInLan()) {
      const peer = connectWithin(args, found, left() / 1000);
      opened.push(peer);
      yield () => peer;
    }
  }
  try {
    return await searchAll(open(), args, format, max, left);
  } finally {
    await Promise.allSettled(opened.map(async (peer) => (await peer).close()));
  }
}

/**
 * The files of peers, and through the first of them that answers those of the network.
 *
 * @param left milliseconds that it may still take
 * @returns how many different ones were found
 * @throws PeerError what failed, if nothing else did not
 */
async function searchAll(
  peers: Iterable<() => Promise<Peer>> | AsyncIterable<() => Promise<Peer>>,
  args: Args,
  format: Format,
  max: number,
  left: () => number,
): Promise<number> {
  const begin = performance.now();
  const stop = new AbortController();
  const times: { first?: number; last?: number } = {};
  let summary: SearchSummary | undefined;
  const files = new FoundFiles((file) => {
    if (args.json) return;
    process.stdout.write(`${format(file, names(file))}\n`);
  });
  const take = async (file: FileMatch, contact: PeerContact, hops: number): Promise<void> => {
    if (stop.signal.aborted) return;
    times.last = performance.now() - begin;
    times.first ??= times.last;
    files.add(file, { peer: contact, hops });
    if (args.json) await print(asJson(file, contact, hops));
    if (files.files >= max) stop.abort();
  };
  const direct = new Set<string>();
  const own = async (peer: Peer): Promise<void> => {
    const contact = contactOf(peer);
    direct.add(contact.id);
    const options = { max, timeout: left(), signal: stop.signal };
    for await (const file of peer.search(args.words.join(' '), options)) {
      await take(file, contact, 0);
    }
  };
  const others = async (peer: Peer): Promise<void> => {
    const options = {
      ttl: args.ttl,
      timeout: left(),
      signal: stop.signal,
      onEnd: (end: SearchSummary) => {
        summary = end;
      },
    };
    for await (const result of peer.searchNetwork(args.words.join(' '), options)) {
      // Of the peer itself all pages come, not the best alone.
      if (result.hops === 0 || direct.has(result.peer.id)) continue;
      for (const file of result.files) await take(file, result.peer, result.hops);
    }
  };
  const failures: unknown[] = [];
  let answered = 0;
  const ask = async (open: () => Promise<Peer>): Promise<void> => {
    try {
      const peer = await open();
      const isFirst = answered++ === 0 && args.ttl > 0;
      const outcomes = await Promise.allSettled([own(peer), ...(isFirst ? [others(peer)] : [])]);
      for (const one of outcomes) if (one.status === 'rejected') failures.push(one.reason);
    } catch (error) {
      failures.push(error);
    }
  };
  const asking: Promise<void>[] = [];
  try {
    for await (const open of peers) {
      if (stop.signal.aborted) break;
      asking.push(ask(open));
    }
  } catch (error) {
    failures.push(error);
  }
  await Promise.all(asking);
  files.flush();
  // Of several peers some are always gone.
  const isFailure = failures.length > 0 && (asking.length <= 1 || answered === 0);
  if (isFailure && !stop.signal.aborted) {
    // What was found before is no reason to say nothing.
    if (files.files > 0)
      process.stderr.write(`p2p-search: ${describeEnd(files, summary, times)}\n`);
    throw failures[0] as Error;
  }
  process.stderr.write(`p2p-search: ${describeEnd(files, summary, times)}\n`);
  return files.files;
}

function describeEnd(
  { files, peers }: FoundFiles,
  summary: SearchSummary | undefined,
  { first, last }: { first?: number; last?: number },
): string {
  const found = `${files} ${files === 1 ? 'file' : 'files'} at ${peers} ${peers === 1 ? 'peer' : 'peers'}`;
  const asked =
    summary === undefined
      ? 'ended early'
      : `${summary.asked} asked, ${summary.answered} answered, ${summary.late} late`;
  if (first === undefined || last === undefined) return `${found}; ${asked}`;
  return `${found}; ${asked}; first after ${first.toFixed(0)} ms, last after ${last.toFixed(0)} ms`;
}

function contactOf(peer: Peer): PeerContact {
  const { host, port } = peer.address;
  return { id: peer.id ?? '', host, port };
}

function names({ sources }: FoundFile): string {
  return sources.map(({ peer }) => printable(formatAddress(peer))).join(',');
}

function line({ hash, size, path }: FileMatch, peers: string): string {
  return `${hash}  ${size}  ${peers}  ${printable(path)}`;
}

/** A link to all peers that have a file, each with its id; a loopback address is of no use to others, but here. */
function asLink({ hash, path, sources }: FoundFile): string {
  const peers = sources.slice(0, LINK_PEERS).map(({ peer: { id, host, port } }) => {
    return { host, port, key: id === '' ? undefined : id };
  });
  return formatLink({ peers, hash, name: path });
}

function asJson({ hash, size, path }: FileMatch, peer: PeerContact, hops: number): string {
  return printableJson({ hash, size, path, peer, hops });
}

/** Resolves when there is room for more: a slow reader slows the search. */
async function print(text: string): Promise<void> {
  if (!process.stdout.write(`${text}\n`)) await once(process.stdout, 'drain');
}

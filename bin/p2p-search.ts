#!/usr/bin/env node
/** Search a peer's files by name. */
import { once } from 'node:events';
import { connect } from '../lib/client.js';
import { printable, printableJson } from '../lib/printable.js';
import { EXIT, runCommand, wholeNumber } from './common/command.js';

interface Args {
  peer: string;
  string: string;
  max: number | undefined;
  json: boolean;
}

await runCommand<Args>({
  name: 'p2p-search',
  usage: '<peer> <string>',
  describe:
    "Search a peer's files: every word of the string is part of the path, in upper or lower case. " +
    'Prints lines of: hash  size  host:port  path',
  build: (argv) =>
    argv
      .positional('peer', {
        type: 'string',
        demandOption: true,
        describe: 'host, host:port or [v6]:port',
      })
      .positional('string', {
        type: 'string',
        demandOption: true,
        describe: 'words to look for; "" lists everything',
      })
      .option('max', {
        type: 'number',
        requiresArg: true,
        describe: 'matches wanted [default: all]',
      })
      .option('json', { type: 'boolean', default: false, describe: 'one JSON object a line' })
      .example('$0 localhost holiday', 'files with "holiday" in their path')
      .example('$0 localhost "holiday .jpg" --json', 'both words, as JSON'),
  run: search,
});

async function search(args: Args): Promise<number | undefined> {
  const max = wholeNumber('max', args.max);
  const peer = await connect(args.peer);
  try {
    const { id } = peer.hello.info;
    const { host, port } = peer.address;
    let found = 0;
    for await (const { hash, size, path } of peer.search(args.string, { max })) {
      found++;
      await print(
        args.json
          ? printableJson({ hash, size, path, peer: { id, host, port }, hops: 0 })
          : `${hash}  ${size}  ${peer.name}  ${printable(path)}`,
      );
    }
    return found > 0 || max === 0 ? undefined : EXIT.notFound;
  } finally {
    await peer.close();
  }
}

/** Resolves when there is room for more: a slow reader slows the search. */
async function print(line: string): Promise<void> {
  if (!process.stdout.write(`${line}\n`)) await once(process.stdout, 'drain');
}

#!/usr/bin/env node
/** Ask a peer which others it knows. */
import { connect } from '../lib/fetch/peer.js';
import { formatAddress } from '../lib/net/address.js';
import { printable, printableJson } from '../lib/support/printable.js';
import { runCommand, wholeNumber } from './common/command.js';
import { addClientOptions, clientOptions, type IdentityArgs } from './common/tls-options.js';

interface Args extends IdentityArgs {
  peer: string;
  max: number | undefined;
  json: boolean;
}

await runCommand<Args>({
  name: 'p2p-peers',
  usage: '<peer>',
  describe:
    'Ask a peer which other peers it has reached lately (at most 50). ' +
    'Prints lines of: id  host:port  seconds since then',
  build: (argv) =>
    addClientOptions(argv)
      .positional('peer', {
        type: 'string',
        demandOption: true,
        describe: 'host, host:port or [v6]:port; ID@host:port must prove that id',
      })
      .option('max', { type: 'number', requiresArg: true, describe: 'peers wanted [default: 50]' })
      .option('json', { type: 'boolean', default: false, describe: 'one JSON object a line' })
      .example('$0 localhost:7000', 'which peers does it know?'),
  run: listPeers,
});

async function listPeers(args: Args): Promise<undefined> {
  const max = wholeNumber('max', args.max);
  const peer = await connect(args.peer, clientOptions(args));
  try {
    const listed = await peer.listPeers({ max });
    for (const { id, host, port, seen, link = false } of listed.slice(0, max)) {
      const line = args.json
        ? printableJson({ id, host, port, seen, link })
        : `${id}  ${printable(formatAddress({ host, port }))}  ${seen}`;
      process.stdout.write(`${line}\n`);
    }
  } finally {
    await peer.close();
  }
}

#!/usr/bin/env node
/** Ask a peer which others it knows. */
import { connect } from '../lib/fetch/peer.js';
import { formatAddress } from '../lib/net/address.js';
import { printable, printableJson } from '../lib/support/printable.js';
import { addLanOption, isLan, needsPeer, peersInLan, type LanArgs } from './common/lan.js';
import { runCommand, wholeNumber } from './common/command.js';
import { addClientOptions, clientOptions, type IdentityArgs } from './common/tls-options.js';

interface Args extends IdentityArgs, LanArgs {
  peer: string;
  max: number | undefined;
  json: boolean;
}

await runCommand<Args>({
  name: 'p2p-peers',
  usage: isLan ? '' : '<peer>',
  describe:
    'Ask a peer which other peers it has reached lately (at most 50). ' +
    'Prints lines of: id  host:port  seconds since then',
  build: (argv) =>
    addLanOption(
      addClientOptions(argv),
      'list the peers in your own networks instead, each with its interface; ids are their claims',
    )
      .positional('peer', {
        type: 'string',
        demandOption: needsPeer,
        describe: 'host, host:port or [v6]:port; ID@host:port must prove that id',
      })
      .option('max', { type: 'number', requiresArg: true, describe: 'peers wanted [default: 50]' })
      .option('json', { type: 'boolean', default: false, describe: 'one JSON object a line' })
      .example('$0 localhost:7000', 'which peers does it know?')
      .example('$0 --lan', 'which peers are in this network?'),
  run: (args) => (isLan ? listLan(args) : listPeers(args)),
});

async function listLan(args: Args): Promise<undefined> {
  let left = wholeNumber('max', args.max) ?? Infinity;
  if (left === 0) return;
  for await (const { id, host, port, interface: on } of peersInLan()) {
    const line = args.json
      ? printableJson({ id, host, port, interface: on })
      : `${id}  ${printable(formatAddress({ host, port }))}  ${printable(on)}`;
    process.stdout.write(`${line}\n`);
    if (--left === 0) return;
  }
}

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

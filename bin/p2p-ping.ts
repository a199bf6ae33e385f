#!/usr/bin/env node
/** Ask a peer who it is and what it shares. */
import prettyBytes from 'pretty-bytes';
import { connect } from '../lib/client.js';
import { printable, printableJson } from '../lib/printable.js';
import { runCommand } from './common/command.js';

interface Args {
  peer: string;
  json: boolean;
}

await runCommand<Args>({
  name: 'p2p-ping',
  usage: '<peer>',
  describe: 'Ask a peer who it is, what it shares and how fast it answers.',
  build: (argv) =>
    argv
      .positional('peer', {
        type: 'string',
        demandOption: true,
        describe: 'host, host:port or [v6]:port',
      })
      .option('json', { type: 'boolean', default: false, describe: 'one JSON object' })
      .example('$0 localhost:7000', 'who is there?'),
  run: ping,
});

async function ping(args: Args): Promise<undefined> {
  const peer = await connect(args.peer);
  try {
    const begin = performance.now();
    const { info, files, bytes, state } = await peer.ping();
    const milliseconds = Math.round((performance.now() - begin) * 1000) / 1000;
    const { id, port, agent, version, features = [] } = info;
    const line = args.json
      ? printableJson({ id, port, agent, version, features, files, bytes, state, milliseconds })
      : [
          `${peer.name} is ${id ?? 'a peer without an id'}`,
          printable(agent ?? 'unknown program'),
          `${files} files`,
          prettyBytes(bytes),
          state,
          `${milliseconds} ms`,
        ].join(', ');
    process.stdout.write(`${line}\n`);
  } finally {
    await peer.close();
  }
}

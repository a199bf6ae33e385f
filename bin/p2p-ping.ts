#!/usr/bin/env node
/** Ask a peer what it is and what it shares. */
import { setTimeout as pause } from 'node:timers/promises';
import prettyBytes from 'pretty-bytes';
import { connect, type Peer } from '../lib/fetch/peer.js';
import { PeerError } from '../lib/errors.js';
import { printable, printableJson } from '../lib/support/printable.js';
import { EXIT, describe, runCommand } from './common/command.js';
import { addClientOptions, clientOptions, type IdentityArgs } from './common/tls-options.js';

interface Args extends IdentityArgs {
  peer: string;
  count: number;
  interval: number;
  json: boolean;
}

await runCommand<Args>({
  name: 'p2p-ping',
  usage: '<peer>',
  describe: 'Ask a peer for its id, what it shares and how fast it answers.',
  build: (argv) =>
    addClientOptions(argv)
      .positional('peer', {
        type: 'string',
        demandOption: true,
        describe: 'host, host:port or [v6]:port; ID@host:port must prove that id',
      })
      .option('count', {
        type: 'number',
        requiresArg: true,
        default: 1,
        describe: 'how often to ask; with more than one, say how long the answers took',
      })
      .option('interval', {
        type: 'number',
        requiresArg: true,
        default: 1,
        describe: 'seconds from one question to the next',
      })
      .option('json', { type: 'boolean', default: false, describe: 'one JSON object a line' })
      .example('$0 localhost:7000', 'what peer is there?')
      .example('$0 localhost:7000 --count 5', 'how far away is it?'),
  run: ping,
});

async function ping(args: Args): Promise<number | undefined> {
  const { count, interval, json } = args;
  if (!Number.isSafeInteger(count) || count < 1) {
    throw new PeerError('ERR_USAGE', '--count is a whole number from 1');
  }
  if (!(interval >= 0 && interval <= 86_400)) {
    throw new PeerError('ERR_USAGE', '--interval is a number of seconds from 0 to 86400');
  }
  const peer = await connect(args.peer, clientOptions(args));
  try {
    await pingOnce(peer, json);
    return count === 1 ? undefined : await pingMore(peer, args);
  } finally {
    await peer.close();
  }
}

/** What the peer says of itself, in full. */
async function pingOnce(peer: Peer, json: boolean): Promise<void> {
  const begin = performance.now();
  const { info, files, bytes, state } = await peer.ping();
  const milliseconds = rounded(performance.now() - begin);
  const { id, proven } = peer;
  const { port, agent, version, features = [] } = info;
  const line = json
    ? printableJson({
        id,
        proven,
        port,
        agent,
        version,
        features,
        files,
        bytes,
        state,
        milliseconds,
      })
    : [
        `${peer.name} is ${id ?? 'a peer without an id'}`,
        ...(proven ? ['proven'] : []),
        printable(agent ?? 'unknown program'),
        `${files} files`,
        prettyBytes(bytes),
        state,
        `${milliseconds} ms`,
      ].join(', ');
  process.stdout.write(`${line}\n`);
}

/** The time of each answer, and in the end all of them together, as ping(8) says it. */
async function pingMore(peer: Peer, { count, interval, json }: Args): Promise<number | undefined> {
  const times: number[] = [];
  for (let sequence = 1; sequence <= count; sequence++) {
    const begin = performance.now();
    try {
      await peer.ping();
      const milliseconds = rounded(performance.now() - begin);
      times.push(milliseconds);
      print(json, { sequence, milliseconds }, `${sequence}: ${milliseconds} ms`);
    } catch (thrown) {
      const error = describe(thrown).text;
      print(json, { sequence, error }, `${sequence}: ${error}`);
    }
    const left = interval * 1000 - (performance.now() - begin);
    if (sequence < count && left > 0) await pause(left);
  }
  const answered = times.length;
  const min = Math.min(...times);
  const avg = rounded(times.reduce((a, b) => a + b, 0) / answered);
  const max = Math.max(...times);
  const range = answered === 0 ? undefined : { min, avg, max };
  const asked = `${count} asked, ${answered} answered`;
  const summary = range === undefined ? asked : `${asked}; min/avg/max ${min}/${avg}/${max} ms`;
  print(json, { asked: count, answered, ...range }, summary);
  return answered === 0 ? EXIT.unreachable : undefined;
}

function print(json: boolean, value: object, text: string): void {
  process.stdout.write(`${json ? printableJson(value) : printable(text)}\n`);
}

/** To microseconds. */
function rounded(milliseconds: number): number {
  return Math.round(milliseconds * 1000) / 1000;
}

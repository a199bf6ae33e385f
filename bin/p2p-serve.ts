#!/usr/bin/env node
/** Share a folder. */
import prettyBytes from 'pretty-bytes';
import { formatAddress } from '../lib/net/address.js';
import { createNode, type PeerNode } from '../lib/node.js';
import { OPTIONS, option } from '../lib/options.js';
import type { Progress } from '../lib/share/share.js';
import { defaultStateFolder } from '../lib/state/state-folder.js';
import { printable } from '../lib/support/printable.js';
import { EXIT, describe, optionalRate, runCommand } from './common/command.js';
import { addTlsOptions, tlsOptions, type TlsArgs } from './common/tls-options.js';
import { makeLog, type Logger } from './common/log.js';
import { ProgressBar } from './common/progress.js';

/** Lines about files that are left out; of the others only the number is said. */
const MAX_WARNINGS = 50;
/** Bytes that could be hashed in the time it takes to open a file, about. */
const FILE_COST = 256 * 1024;
/** Milliseconds between lines of progress where there is no terminal. */
const LINE_EVERY = 5000;

interface Args extends TlsArgs {
  dir: string;
  port: number;
  host: string;
  dotfiles: boolean;
  ignore: string[];
  threads: number | undefined;
  state: string | undefined;
  watch: boolean;
  sendfile: boolean;
  rescan: number;
  peer: string[];
  advertise: string | undefined;
  'max-peers': number;
  'max-peers-per-network': number;
  discover: boolean;
  allow: string[];
  'allow-file': string | undefined;
  'max-connections': number | undefined;
  'max-uploads': number | undefined;
  'up-limit': string | undefined;
  grace: number;
  verbose: boolean;
}

await runCommand<Args>({
  name: 'p2p-serve',
  usage: '<dir>',
  describe: 'Share a folder: everybody who knows this peer can search it and fetch its files.',
  build: (argv) =>
    addTlsOptions(argv)
      .positional('dir', { type: 'string', demandOption: true, describe: OPTIONS.share.describe })
      .option('port', { type: 'number', requiresArg: true, ...pick(OPTIONS.port) })
      .option('host', { type: 'string', requiresArg: true, ...pick(OPTIONS.host) })
      .option('dotfiles', { type: 'boolean', ...pick(OPTIONS.dotfiles) })
      .option('ignore', {
        type: 'string',
        array: true,
        requiresArg: true,
        nargs: 1,
        default: [] as string[],
        defaultDescription: 'none',
        describe: OPTIONS.ignore.describe,
      })
      .option('threads', { type: 'number', requiresArg: true, describe: OPTIONS.threads.describe })
      .option('state', { type: 'string', requiresArg: true, describe: OPTIONS.state.describe })
      .option('watch', { type: 'boolean', ...pick(OPTIONS.watch) })
      .option('sendfile', { type: 'boolean', ...pick(OPTIONS.sendfile) })
      .option('rescan', { type: 'number', requiresArg: true, ...inSeconds(OPTIONS.rescan) })
      .option('peer', {
        type: 'string',
        array: true,
        requiresArg: true,
        nargs: 1,
        default: [] as string[],
        defaultDescription: 'none',
        describe: OPTIONS.peers.describe,
      })
      .option('advertise', {
        type: 'string',
        requiresArg: true,
        describe: OPTIONS.advertise.describe,
      })
      .option('max-peers', { type: 'number', requiresArg: true, ...pick(OPTIONS.maxPeers) })
      .option('max-peers-per-network', {
        type: 'number',
        requiresArg: true,
        ...pick(OPTIONS.maxPeersPerNetwork),
      })
      .option('discover', { type: 'boolean', ...pick(OPTIONS.discover) })
      .option('allow', {
        type: 'string',
        array: true,
        requiresArg: true,
        nargs: 1,
        default: [] as string[],
        defaultDescription: 'everybody may',
        describe: OPTIONS.allow.describe,
      })
      .option('allow-file', {
        type: 'string',
        requiresArg: true,
        describe: OPTIONS.allowFile.describe,
      })
      .option('max-connections', {
        type: 'number',
        requiresArg: true,
        describe: OPTIONS.maxConnections.describe,
      })
      .option('max-uploads', {
        type: 'number',
        requiresArg: true,
        describe: OPTIONS.maxUploads.describe,
      })
      .option('up-limit', {
        type: 'string',
        requiresArg: true,
        describe: OPTIONS.upLimit.describe,
      })
      .option('grace', { type: 'number', requiresArg: true, ...inSeconds(OPTIONS.grace) })
      .option('verbose', { type: 'boolean', default: false, describe: 'say more in the log' })
      .example('$0 ./data', 'share ./data on port 7000')
      .example('$0 ./data --peer example.org', 'join the network that a peer there is part of')
      .example('$0 ./data --port 0 --ignore "*.tmp"', 'on a free port, without *.tmp')
      .example('$0 ./data --up-limit 2M --max-uploads 20', 'at most 2 MB/s, to 20 clients at once'),
  run: serve,
});

function pick<T>({ describe, default: value }: { describe: string; default: T }): {
  describe: string;
  default: T;
} {
  return { describe, default: value };
}

function inSeconds(spec: { describe: string; default: number }): ReturnType<typeof pick<number>> {
  return { describe: `seconds ${spec.describe}`, default: spec.default / 1000 };
}

async function serve(args: Args): Promise<number> {
  const log = makeLog(args.verbose ? 'debug' : 'info');
  const grace = option('grace', args.grace * 1000);
  const node = createNode({
    share: args.dir,
    port: args.port,
    host: args.host,
    dotfiles: args.dotfiles,
    ignore: args.ignore,
    threads: args.threads,
    watch: args.watch,
    sendfile: args.sendfile,
    rescan: args.rescan * 1000,
    peers: args.peer,
    advertise: args.advertise,
    maxPeers: args['max-peers'],
    maxPeersPerNetwork: args['max-peers-per-network'],
    discover: args.discover,
    allow: args.allow,
    allowFile: args['allow-file'],
    tls: tlsOptions(args).tls,
    maxConnections: args['max-connections'],
    maxUploads: args['max-uploads'],
    upLimit: optionalRate('up-limit', args['up-limit']),
    state: option('state', args.state ?? (await defaultStateFolder(args.dir))),
  });
  const ended = untilStopped(node, log);
  const endReport = reportProgress(node, log);
  node.once('listening', (address) => {
    process.stdout.write(`listening on ${formatAddress(address)} as ${node.id}\n`);
  });
  // A signal ends also a start that hangs, on a dead mount for example.
  const code = await Promise.race([node.start(), ended]);
  if (code !== undefined) {
    endReport();
    process.exit(code);
  }
  const result = await ended;
  endReport();
  const { uploads } = node.stats;
  if (uploads > 0 && grace > 0) {
    log.info(`stopping: ${uploads} transfers may take up to ${args.grace} s more (again: at once)`);
  }
  await node.close({ grace });
  return result;
}

/** Resolves with the exit code when the node shall stop. */
function untilStopped(node: PeerNode, log: Logger): Promise<number> {
  return new Promise((resolve) => {
    let ending = false;
    const end = (code: number): void => {
      ending = true;
      // A further signal of either kind ends the process at once: their default action is back in force.
      process.off('SIGINT', onSignal).off('SIGTERM', onSignal);
      resolve(code);
    };
    const onSignal = (signal: NodeJS.Signals): void => {
      log.debug(`${signal}: stopping`);
      end(EXIT.done);
    };
    process.on('SIGINT', onSignal).on('SIGTERM', onSignal);
    process.on('SIGHUP', () => {
      if (ending) return;
      log.info('SIGHUP: scanning');
      node.rescan();
    });
    node.once('error', (error) => {
      log.error(printable(describe(error).text));
      end(EXIT.failed);
    });
  });
}

/** Say what the node does while it indexes. @returns ends the bar */
function reportProgress(node: PeerNode, log: Logger): () => void {
  let ended = false;
  const bar = process.stderr.isTTY ? new ProgressBar() : undefined;
  let warnings = 0;
  let lastLine = performance.now();
  node.on('progress', (progress) => {
    if (ended) return;
    if (bar !== undefined) {
      const { files, totalFiles, bytes, totalBytes: total } = progress;
      // A file costs as much as some bytes, however few it has.
      const fraction = (bytes + files * FILE_COST) / (total + totalFiles * FILE_COST || 1);
      bar.update({ bytes, total, detail: filesOf(progress), fraction });
    } else if (performance.now() - lastLine > LINE_EVERY) {
      lastLine = performance.now();
      const bytes = `${prettyBytes(progress.bytes)} of ${prettyBytes(progress.totalBytes)}`;
      log.info(`${progress.scanned ? 'hashing' : 'scanning'}: ${filesOf(progress)}, ${bytes}`);
    }
  });
  node.on('warning', ({ path, reason }) => {
    warnings++;
    // What is said of the share as a whole, or after the start, is never one of many.
    if (!ended && path !== '.' && warnings > MAX_WARNINGS) return;
    bar?.stop();
    log.warn(`${printable(path)}: ${printable(reason)}`);
  });
  node.on('change', ({ kind, path }) => {
    log.debug(`${kind}: ${printable(path)}`);
  });
  node.on('peer', ({ kind, id, host, port }) => {
    log.debug(`peer ${kind}: ${formatAddress({ host, port })} is ${id}`);
  });
  node.on('watching', ({ folders }) => {
    log.debug(`watching ${folders} folders`);
  });
  const endBar = (): void => {
    ended = true;
    bar?.stop();
  };
  node.once('indexed', ({ files, bytes, hashed, milliseconds }) => {
    endBar();
    if (warnings > MAX_WARNINGS) log.warn(`${warnings - MAX_WARNINGS} more files were skipped`);
    const seconds = (milliseconds / 1000).toFixed(1);
    process.stdout.write(`indexed ${files} files, ${bytes} bytes in ${seconds} s\n`);
    log.debug(`${hashed} of them were hashed, the others were known`);
  });
  return endBar;
}

function filesOf({ files, totalFiles }: Progress): string {
  return `${files} of ${totalFiles} files`;
}

#!/usr/bin/env node
/** Share a folder. */
import prettyBytes from 'pretty-bytes';
import { formatAddress } from '../lib/net/address.js';
// Its code is loaded when it is needed: what cannot be loaded (too few descriptors) is then said in one line.
import type { PeerNode } from '../lib/node.js';
import { OPTIONS, type NodeOptions } from '../lib/options.js';
import type { Progress } from '../lib/share/share.js';
import { defaultStateFolder } from '../lib/state/state-folder.js';
import { printable } from '../lib/support/printable.js';
import { EXIT, describe, runCommand } from './common/command.js';
import { LOG_FORMATS, makeLog, type LogFormat, type Logger } from './common/log.js';
import { addTlsOptions, tlsOptions, type TlsArgs } from './common/tls-options.js';
import { ProgressBar } from './common/progress.js';
import { OptionSources } from './serve/option-sources.js';
import { pageAddresses, sayPageAddress } from './serve/page-address.js';

/** Lines about files that are skipped; of the others only the number is said. */
const MAX_WARNINGS = 50;
/** Bytes that could be hashed in the time it takes to open a file, about. */
const FILE_COST = 256 * 1024;
/** Milliseconds between lines of progress where there is no terminal. */
const LINE_EVERY = 5000;

/** What the other options are is in OPTIONS. */
interface Args extends TlsArgs {
  dir: string;
  config: string | undefined;
}

const LOG = {
  describe: 'lines for people, or JSON lines with the same in fields',
  check: (format: string) =>
    LOG_FORMATS.some((one) => one === format) ? undefined : `is one of ${LOG_FORMATS.join(', ')}`,
};
/** As any option that is true or false. */
const { check: checkBoolean } = OPTIONS.watch;
const VERBOSE = { describe: 'say more in the log', check: checkBoolean };
const QR = { describe: 'show the address of the page as a QR code, too', check: checkBoolean };
const CONFIG = {
  describe: 'JSON file with options, such as {"port": 7001, "ignore": ["*.tmp"]}',
  check: OPTIONS.state.check,
};

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
      .option('lan', { type: 'boolean', ...pick(OPTIONS.lan) })
      .option('http', { type: 'boolean', ...pick(OPTIONS.http) })
      .option('http-host', {
        type: 'string',
        array: true,
        requiresArg: true,
        nargs: 1,
        default: [] as string[],
        defaultDescription: 'none',
        describe: OPTIONS.httpHosts.describe,
      })
      .option('qr', { type: 'boolean', default: false, describe: QR.describe })
      .option('allow', {
        type: 'string',
        array: true,
        requiresArg: true,
        nargs: 1,
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
      .option('log', {
        type: 'string',
        requiresArg: true,
        default: 'text',
        choices: LOG_FORMATS,
        describe: LOG.describe,
      })
      .option('verbose', { type: 'boolean', default: false, describe: VERBOSE.describe })
      .option('config', { type: 'string', requiresArg: true, describe: CONFIG.describe })
      .epilogue(
        'Each option can be given as a variable, too (P2P_SERVE_MAX_PEERS=8), and in the file: ' +
          'the command line counts first, then the environment, then the file.',
      )
      .example('$0 ./data', 'share ./data on port 7000')
      .example('$0 ./data --peer example.org', 'join the network that a peer there is part of')
      .example('$0 ./data --port 0 --ignore "*.tmp"', 'on a free port, without *.tmp')
      .example('$0 ./data --up-limit 2M --max-uploads 20', 'at most 2 MB/s, to 20 clients at once'),
  isServer: true,
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

interface Settings {
  node: NodeOptions;
  /** Milliseconds. */
  grace: number;
  qr: boolean;
  level: string;
  format: LogFormat;
}

async function readSettings({ dir, ...args }: Args, given: ReadonlySet<string>): Promise<Settings> {
  const from = new OptionSources(args, given, process.env);
  const config = from.text('config', CONFIG);
  if (config !== undefined) await from.readFile(config);
  const settings = {
    node: {
      share: dir,
      port: from.number('port', OPTIONS.port),
      host: from.text('host', OPTIONS.host),
      dotfiles: from.boolean('dotfiles', OPTIONS.dotfiles),
      ignore: from.list('ignore', OPTIONS.ignore),
      threads: from.number('threads', OPTIONS.threads),
      watch: from.boolean('watch', OPTIONS.watch),
      sendfile: from.boolean('sendfile', OPTIONS.sendfile),
      rescan: from.seconds('rescan', OPTIONS.rescan),
      peers: from.list('peer', OPTIONS.peers),
      advertise: from.text('advertise', OPTIONS.advertise),
      maxPeers: from.number('max-peers', OPTIONS.maxPeers),
      maxPeersPerNetwork: from.number('max-peers-per-network', OPTIONS.maxPeersPerNetwork),
      discover: from.boolean('discover', OPTIONS.discover),
      lan: from.boolean('lan', OPTIONS.lan),
      ...tlsOptions({
        plain: from.boolean('plain', { check: checkBoolean }),
        tls: from.boolean('tls', OPTIONS.tls),
      }),
      http: from.boolean('http', OPTIONS.http),
      httpHosts: from.list('http-host', OPTIONS.httpHosts),
      allow: from.list('allow', OPTIONS.allow),
      allowFile: from.text('allow-file', OPTIONS.allowFile),
      maxConnections: from.number('max-connections', OPTIONS.maxConnections),
      maxUploads: from.number('max-uploads', OPTIONS.maxUploads),
      upLimit: from.rate('up-limit'),
      state: from.text('state', OPTIONS.state),
    },
    grace: from.seconds('grace', OPTIONS.grace),
    qr: from.boolean('qr', QR),
    level: from.boolean('verbose', VERBOSE) ? 'debug' : 'info',
    format: from.text('log', LOG) as LogFormat,
  };
  from.end();
  settings.node.state ??= await defaultStateFolder(dir);
  return settings;
}

async function serve(args: Args, given: ReadonlySet<string>): Promise<number> {
  const settings = await readSettings(args, given);
  const log = await makeLog(settings.level, settings.format);
  try {
    return await run(settings, log);
  } catch (thrown) {
    if (settings.format === 'text') throw thrown;
    const { text, code } = describe(thrown);
    log.fatal(printable(text));
    return code;
  }
}

async function run({ node: options, grace, qr, format }: Settings, log: Logger): Promise<number> {
  /** Said on stdout, for programs that wait for it; in JSON lines with all others. */
  const announce = (fields: object, name: string, text: string): void => {
    if (format === 'json') log.info(fields, name);
    else process.stdout.write(`${text}\n`);
  };
  const { createNode } = await import('../lib/node.js');
  const node = createNode(options);
  const ended = untilStopped(node, log);
  const bar = format === 'text' && process.stderr.isTTY ? new ProgressBar() : undefined;
  const endReport = reportProgress(node, log, bar);
  node.once('listening', (at) => {
    const address = formatAddress(at);
    announce({ address, id: node.id }, 'listening', `listening on ${address} as ${node.id}`);
    if (options.http === false || !(qr || (process.stderr.isTTY && format === 'text'))) return;
    const isPrivate = (options.allow ?? options.allowFile) !== undefined;
    void sayPageAddress(pageAddresses(at, isPrivate), qr);
  });
  node.once('indexed', (indexed) => {
    const { files, bytes, hashed, milliseconds } = indexed;
    const seconds = (milliseconds / 1000).toFixed(1);
    announce(indexed, 'indexed', `indexed ${files} files, ${bytes} bytes in ${seconds} s`);
    log.debug(`${hashed} of them were hashed, the others were known`);
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
    log.info(
      `stopping: ${uploads} transfers may take up to ${grace / 1000} s more (again: at once)`,
    );
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
function reportProgress(node: PeerNode, log: Logger, bar: ProgressBar | undefined): () => void {
  let ended = false;
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
    log.warn({ path, reason }, `${printable(path)}: ${printable(reason)}`);
  });
  node.on('change', ({ kind, path }) => {
    log.debug({ kind, path }, `${kind}: ${printable(path)}`);
  });
  node.on('peer', ({ kind, id, host, port }) => {
    log.debug({ kind, id, host, port }, `peer ${kind}: ${formatAddress({ host, port })} is ${id}`);
  });
  node.on('watching', ({ folders }) => {
    log.debug(`watching ${folders} folders`);
  });
  const endBar = (): void => {
    ended = true;
    bar?.stop();
  };
  node.once('indexed', () => {
    endBar();
    if (warnings > MAX_WARNINGS) log.warn(`${warnings - MAX_WARNINGS} more files were skipped`);
  });
  return endBar;
}

function filesOf({ files, totalFiles }: Progress): string {
  return `${files} of ${totalFiles} files`;
}

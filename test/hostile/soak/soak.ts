/**
 * The soak: a node and two neighbours for hours, among clients that fetch, search and lose interest, a
 * share that changes, and peers that break the protocol. Every answer is compared with what is there.
 * Shows whether memory or descriptors grow. `npm run test:soak -- --hours 2`
 */
import { asError } from '../../../lib/errors.js';
import { createWriteStream, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import yargs from 'yargs';
import { hideBin } from 'yargs/helpers';
import { seeded } from '../../fixtures/bytes.js';
import { serve, type Served } from '../../fixtures/cli.js';
import { ChangingShare } from './changing-share.js';
import { Counts } from './counts.js';
import { Gauge, slope, totalOf, type Kinds, type Minute } from './gauge.js';
import { HonestClients, type SoakedNode } from './honest.js';
import { RudePeers } from './rude.js';
import { connect } from '../../fixtures/transport.js';

/** Milliseconds between two of each; a quarter more or less. Together a few percent of a processor. */
const EVERY = {
  whole: 350,
  range: 450,
  abort: 2000,
  alone: 500,
  network: 1500,
  ping: 1000,
  change: 700,
  mutated: 350,
  cut: 1000,
  slow: 20_000,
  nothing: 60_000,
};
const SAMPLE = 5000;
const MINUTE = 60_000;
/** Minutes that do not count: caches fill. Of a short run a third. */
const WARM_UP = 10;
/** Milliseconds after the last connection has ended, before descriptors are counted. */
const QUIET = 30_000;
const KIB = 1024;
const MIB = 1024 * KIB;
/** Sizes of the node's files that do not change: small ones, some of several blocks, four large. */
const SIZES = [
  ...Array.from({ length: 180 }, (_, i) => 10 + i * 400),
  ...Array.from({ length: 16 }, (_, i) => (200 + i * 100) * KIB),
  ...Array.from({ length: 4 }, (_, i) => (4 + 4 * i) * MIB - 12_345),
];
const OTHERS_SIZES = Array.from({ length: 60 }, (_, i) => 100 + i * 50);

const {
  hours,
  log: logFile,
  seed,
} = yargs(hideBin(process.argv))
  .option('hours', { type: 'number', default: 2, describe: 'how long' })
  .option('log', {
    type: 'string',
    default: 'soak.jsonl',
    describe: 'a line of JSON for each minute',
  })
  .option('seed', { type: 'number', default: 1, describe: 'of all that is random' })
  .strict()
  .parseSync();

const ends: (() => Promise<void>)[] = [];
const teardown = (end: () => Promise<void>): void => {
  ends.unshift(end);
};
const folder = mkdtempSync(join(tmpdir(), 'soak-'));
const random = seeded(seed);
const counts = new Counts();
const log = createWriteStream(logFile);
let over = false;

/** What a process of its own serves, and what is in its share. */
interface Running extends SoakedNode {
  served: Served;
  gauge: Gauge;
}

async function start(name: string, sizes: readonly number[], peers: string[]): Promise<Running> {
  const share = new ChangingShare(join(folder, name, 'share'), random, 100);
  await share.fill(name, sizes);
  const memory = join(folder, name, 'memory.json');
  const probe = new URL('./memory-probe.js', import.meta.url).href;
  const served = await serve(
    { teardown },
    [
      share.folder,
      ...['--state', join(folder, name, 'state'), '--threads', '1'],
      ...peers.flatMap((peer) => ['--peer', peer]),
    ],
    {
      nodeArgs: ['--import', probe, '--heapsnapshot-signal=SIGUSR2', `--diagnostic-dir=${folder}`],
      env: { ...process.env, P2P_SOAK_MEMORY: memory },
    },
  );
  await served.indexed;
  if (served.child.pid === undefined) throw new Error('no process');
  served.child.once('exit', (code, signal) => {
    if (!over) counts.wrong(`${name} ended: ${code ?? signal ?? ''}`);
  });
  const gauge = new Gauge(served.child.pid, memory);
  return { served, gauge, share, name, peer: served.peer, id: served.id };
}

/** Do something again and again, whether the last one has ended or not, until the end. */
function repeat(milliseconds: number, act: () => Promise<unknown>): void {
  let under = 0;
  const next = (): void => {
    if (over) return;
    // What hangs shall not become many.
    if (under < 5) {
      under++;
      act()
        .catch((error: unknown) => {
          if (!over) counts.wrong(asError(error).stack ?? String(error));
        })
        .finally(() => under--);
    } else {
      counts.add('left out: too many under way');
    }
    setTimeout(next, milliseconds * (0.75 + random() / 2));
  };
  next();
}

/** Every process, each minute. Resolves after so many milliseconds. */
async function watch(nodes: readonly Running[], milliseconds: number): Promise<Minute[]> {
  const minutes: Minute[] = [];
  const begun = performance.now();
  let next = begun + MINUTE;
  while (performance.now() - begun < milliseconds && counts.wrongCount < 1000) {
    await new Promise((resolve) => setTimeout(resolve, SAMPLE));
    for (const { gauge } of nodes) gauge.sample();
    if (performance.now() < next) continue;
    const minute = Math.round((next - begun) / MINUTE);
    next += MINUTE;
    const [first, ...others] = nodes.map(({ gauge }) => gauge.minute(minute));
    if (first === undefined) break;
    minutes.push(first);
    log.write(`${JSON.stringify({ ...first, others, counts: counts.all })}\n`);
  }
  return minutes;
}

/** Resolves when the neighbours are found by way of the node. */
async function joined(node: Running, others: number): Promise<void> {
  const peer = await connect(node.peer);
  for (;;) {
    const results: unknown[] = [];
    for await (const result of peer.searchNetwork('-1-of-all', { timeout: 1000 }))
      results.push(result);
    if (results.length === others + 1) break;
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
  await peer.close();
}

async function run(): Promise<boolean> {
  mkdirSync(folder, { recursive: true });
  const node = await start('alpha', SIZES, []);
  const others = [
    await start('beta', OTHERS_SIZES, [node.peer]),
    await start('gamma', OTHERS_SIZES, [node.peer]),
  ];
  await joined(node, others.length);
  const atRest = node.gauge.kinds();
  console.log(
    `process ${node.served.child.pid ?? ''}, ${totalOf(atRest)} descriptors at rest; ${folder}`,
  );

  const honest = new HonestClients(node, others, random, counts);
  const large = node.share.steady.at(-1);
  if (large === undefined) throw new Error('no files');
  const rude = new RudePeers(node.peer, large.hash, random, counts);
  repeat(EVERY.whole, () => honest.fetchWhole());
  repeat(EVERY.range, () => honest.fetchRange());
  repeat(EVERY.abort, () => honest.fetchAndAbort());
  repeat(EVERY.alone, () => honest.searchAlone());
  repeat(EVERY.network, () => honest.searchNetwork());
  repeat(EVERY.ping, () => honest.ping());
  repeat(EVERY.change, async () => {
    counts.add(await node.share.change());
  });
  repeat(EVERY.mutated, () => rude.mutate());
  repeat(EVERY.cut, () => rude.cut());
  repeat(EVERY.slow, () => rude.readSlowly());
  repeat(EVERY.nothing, () => rude.readNothing());
  const minutes = await watch([node, ...others], hours * 60 * MINUTE);
  over = true;
  await honest.close();
  rude.close();
  await new Promise((resolve) => setTimeout(resolve, QUIET));
  report(minutes, atRest, node.gauge.kinds());
  return counts.wrongCount === 0;
}

function report(minutes: readonly Minute[], before: Kinds, after: Kinds): void {
  const warm = Math.min(WARM_UP, Math.floor(minutes.length / 3));
  const counted = minutes.filter(({ minute }) => minute > warm);
  const perHour = (of: (minute: Minute) => number | undefined): string => {
    const points = counted.flatMap((minute) => {
      const bytes = of(minute);
      return bytes === undefined ? [] : [[minute.minute / 60, bytes / MIB] as const];
    });
    return points.length < 2 ? 'unknown' : `${slope(points).toFixed(2)} MiB/h`;
  };
  const inMib = (bytes = NaN): string => `${(bytes / MIB).toFixed(1)} MiB`;
  const [first, last] = [counted[0], counted.at(-1)];
  console.log(`${minutes.length} minutes, of which the first ${warm} do not count`);
  console.log(
    `resident: ${inMib(first?.rss)} to ${inMib(last?.rss)}, ${perHour(({ rss }) => rss)}`,
  );
  console.log(`anonymous: ${inMib(last?.anonymous)}, ${perHour(({ anonymous }) => anonymous)}`);
  console.log(`live heap: ${inMib(last?.own?.live)}, ${perHour(({ own }) => own?.live)}`);
  console.log(
    `descriptors: ${first?.descriptors ?? NaN} first, ${last?.descriptors ?? NaN} last, ` +
      `${Math.max(...minutes.map(({ mostDescriptors }) => mostDescriptors))} at most; ` +
      `at rest ${totalOf(before)} before, ${totalOf(after)} after`,
  );
  console.log(
    `processor: ${(((last?.cpu ?? NaN) / (minutes.length * 60)) * 100).toFixed(1)} % of one`,
  );
  console.log(`at rest before: ${JSON.stringify(before)}; after: ${JSON.stringify(after)}`);
  console.log(JSON.stringify(counts.all));
  for (const wrong of counts.wrongs) console.log(`WRONG: ${wrong}`);
}

try {
  process.exitCode = (await run()) ? 0 : 1;
} finally {
  over = true;
  for (const end of ends) await end();
  log.end();
  rmSync(folder, { recursive: true, force: true });
}

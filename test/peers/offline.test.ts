/** A node that has no network for a while, sleeps, or gets other addresses, finds its peers again. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { NetworkMonitor } from '../../lib/peers/network-monitor.js';
import { PeerTable } from '../../lib/peers/table.js';
import { PEER_TIMES } from '../../lib/peers/times.js';
import { id } from '../fixtures/search.js';

const at = (n: number): { host: string; port: number } => ({ host: `192.168.0.${n}`, port: 7000 });
const none = (): boolean => false;

t.test(
  'the network is gone for hours: every peer is kept, and the last ones are tried often',
  (t) => {
    let now = 1_000_000_000;
    const table = new PeerTable({
      self: id(0),
      times: PEER_TIMES,
      now: () => now,
      random: Math.random,
    });
    for (let n = 1; n <= 200; n++) {
      now += 1000;
      table.reached(at(n), id(n), 1);
    }
    table.hear(at(201), 'a');
    const end = now + 3 * 3600_000;
    let longest = 0;
    let attempts = 0;
    while (now < end) {
      const due = table.order.nextDue(none);
      longest = Math.max(longest, due - now);
      now = Math.max(now, due);
      const peer = table.order.next(true, none);
      if (peer === undefined) continue;
      table.trying(peer.address);
      table.failed(peer.address, true);
      attempts++;
    }
    t.equal([...table.up()].length, 0);
    t.equal(table.save().length, 200, 'what is saved is not replaced by less');
    t.ok(table.at(at(201)), 'what was only heard of, too');
    t.ok(longest < 30_000, `the longest time without an attempt: ${longest} ms`);
    t.ok(attempts / (3 * 3600) < 5, `${attempts} attempts`);
    table.retryAll();
    now += PEER_TIMES.soon * 2;
    t.ok(table.order.next(false, none), 'when it is back, at once');
    t.end();
  },
);

t.test('a peer that is gone for ever is tried less and less, and dropped in the end', (t) => {
  let now = 1_000_000_000;
  const table = new PeerTable({
    self: id(0),
    times: PEER_TIMES,
    now: () => now,
    random: Math.random,
  });
  const isUp = ({ up }: { up: boolean }): boolean => up;
  table.reached(at(1), id(1), 1);
  table.reached(at(2), id(2), 1);
  let last = 0;
  for (let i = 0; i < 8; i++) {
    table.failed(at(2));
    const pause = table.order.nextDue(isUp) - now;
    t.ok(pause > last || pause > 450_000, `${Math.round(pause)} ms`);
    last = pause;
    now += pause;
  }
  now += PEER_TIMES.forgotten;
  table.failed(at(2));
  t.equal(table.at(at(2)), undefined);
  t.end();
});

t.test('the machine slept, or has other addresses', async (t) => {
  let time = 5_000_000;
  let addresses = '10.0.0.1';
  let changes = 0;
  let look = (): void => undefined;
  const looked = (): Promise<void> =>
    new Promise((resolve) => {
      look = resolve;
    });
  const monitor = new NetworkMonitor({
    every: 5,
    onChange: () => changes++,
    wallClock: () => time,
    addresses: () => {
      look();
      return addresses;
    },
  });
  t.teardown(() => {
    monitor.close();
  });
  await looked();
  await looked();
  t.equal(changes, 0);
  const before = monitor.now();
  time += 3600_000;
  await looked();
  await looked();
  t.equal(changes, 1, 'an hour has passed at once');
  t.ok(monitor.now() - before >= 3599_000, 'and counts');
  addresses = '10.0.0.2';
  await looked();
  await looked();
  t.equal(changes, 2);
});

const hasNetworks =
  spawnSync('unshare', ['-Urn', 'ip', 'link', 'set', 'lo', 'up'], { stdio: 'ignore' }).status === 0;

t.test('the link is down, and up again', { skip: hasNetworks ? false : 'no namespaces' }, (t) => {
  const script = fileURLToPath(new URL('./offline/cut.js', import.meta.url));
  const env = { ...process.env };
  delete env['NODE_OPTIONS'];
  const run = spawnSync('unshare', ['-Urn', process.execPath, script], { env, encoding: 'utf8' });
  t.equal(run.stderr, '');
  const { lost, back } = JSON.parse(run.stdout) as { lost: boolean; back: number };
  t.ok(lost, 'it notices');
  t.ok(back < 30_000, `and has its peer ${back} ms after the network is back`);
  t.end();
});

/**
 * Outside the share nothing is read: names and folders are swapped for links out of it, fifos and devices
 * all the time, while clients fetch and the index follows. What is outside never leaves.
 */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  mkdtempSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  utimesSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from '../fixtures/tap.js';
import type { Peer } from '../../lib/fetch/peer.js';
import { PeerError } from '../../lib/errors.js';
import type { PeerAddress } from '../../lib/net/address.js';
import type { PeerNode } from '../../lib/node.js';
import { random, writeFiles } from '../fixtures/bytes.js';
import { bytesOf, connectTo, listOf, startIndexed } from '../fixtures/node.js';
import { startProxy, type Harm } from '../fixtures/proxy.js';
import { FULL } from './sizes.js';
import { connect } from '../fixtures/transport.js';

/** 32 bytes that stand all over what is outside, and nowhere else. */
const CANARY = random(16).toString('hex');
const SMALL = 20_000;
const LARGE = 3_000_000;
const SWAPPER = fileURLToPath(new URL('../fixtures/swapper.js', import.meta.url));

interface Test {
  teardown(end: () => Promise<unknown>): void;
}

const canaries = (bytes: number): Buffer => Buffer.alloc(bytes, CANARY);
/** Files and folders below one that this process has open. */
function openBelow(folder: string): string[] {
  return readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      const link = readlinkSync(`/proc/self/fd/${fd}`);
      return link.startsWith(`${folder}/`) ? [link] : [];
    } catch {
      // That of /proc/self/fd itself.
      return [];
    }
  });
}

/** Fifos, sockets and devices that can be made here, in a folder. */
async function specialFiles(t: Test, folder: string): Promise<string[]> {
  const made: string[] = [];
  const make = (name: string, ...args: string[]): void => {
    const { status } = spawnSync('mknod', [join(folder, name), ...args], { stdio: 'ignore' });
    if (status === 0) made.push(name);
  };
  make('fifo', 'p');
  // zero(4): would never end. For root alone.
  make('device', 'c', '1', '5');
  // A socket's path has 107 bytes at most: made elsewhere.
  const short = mkdtempSync(join(tmpdir(), 's-'));
  const server = createServer().listen(join(short, 'socket'));
  await once(server, 'listening');
  spawnSync('mv', [join(short, 'socket'), folder]);
  t.teardown(async () => {
    server.close();
    await once(server, 'close');
    rmSync(short, { recursive: true });
  });
  return [...made, 'socket'];
}

/** Looks into what passes. */
function lookout(onSeen: () => void): Harm {
  let tail = Buffer.alloc(0);
  return (chunk) => {
    const all = Buffer.concat([tail, chunk]);
    if (all.includes(CANARY)) onSeen();
    tail = Buffer.from(all.subarray(-CANARY.length));
    return chunk;
  };
}

t.test('folders and files are swapped for what is outside, again and again', async (t) => {
  const root = t.testdir({ share: { folder: {}, deep: {} }, beside: { bad: {}, hold: {} } });
  const [share, beside] = [join(root, 'share'), join(root, 'beside')];
  const bad = join(beside, 'bad');
  await specialFiles(t, bad);
  const contents: Record<string, Buffer> = {};
  for (const folder of ['folder', 'deep/folder', 'aside']) {
    contents[`${folder}/small`] = random(SMALL);
    contents[`${folder}/large`] = random(LARGE);
  }
  writeFiles(share, contents);
  const outside = {
    small: canaries(SMALL),
    large: canaries(LARGE),
    'folder/small': canaries(SMALL),
  };
  writeFiles(bad, { ...outside, 'folder/large': canaries(LARGE) });
  // Nothing in size or time tells them from those inside.
  for (const path of Object.keys(contents)) utimesSync(join(share, path), 1e9, 1e9);
  for (const path of [...Object.keys(outside), 'folder/large'])
    utimesSync(join(bad, path), 1e9, 1e9);
  let seen = 0;
  const wrong: string[] = [];
  const pairs: { node: PeerNode; client: Peer }[] = [];
  for (const sendfile of [true, false]) {
    const node = await startIndexed(t, share, { sendfile, watch: true, rescan: 1000, threads: 1 });
    const proxy: PeerAddress = await startProxy(t, node.address, () => lookout(() => seen++));
    const client = await connect(proxy);
    t.teardown(() => client.close());
    pairs.push({ node, client });
  }
  const all = await Promise.all(pairs.map(({ client }) => listOf(client.search('')))).then(
    ([files = []]) => files,
  );
  t.equal(all.length, Object.keys(contents).length);
  const rounds = FULL ? '60s' : '25';
  const swapper = spawn(process.execPath, [SWAPPER, share, beside, rounds], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: {},
  });
  let said = '';
  swapper.stdout.on('data', (chunk: Buffer) => (said += chunk.toString()));
  const over = once(swapper, 'close');
  let swapping = true;
  const counts = { fetched: 0, refused: 0 };
  const fetchAll = async (client: Peer): Promise<void> => {
    while (swapping) {
      for (const { path, hash } of all) {
        const wanted = contents[path] ?? Buffer.alloc(0);
        try {
          const bytes = await bytesOf(client.fetch(hash));
          if (!bytes.equals(wanted)) wrong.push(path);
          counts.fetched++;
        } catch (error) {
          if (!(error instanceof PeerError) || error.code === 'ERR_MISMATCH') throw error;
          counts.refused++;
        }
      }
      // What is listed is inside, whatever stood there when it was hashed.
      for (const { path, hash } of await listOf(client.search(''))) {
        if (!all.some((file) => file.path === path && file.hash === hash)) wrong.push(path);
      }
    }
  };
  const fetching = pairs.map(({ client }) => fetchAll(client));
  for (const { node } of pairs) {
    const follow = async (): Promise<void> => {
      while (swapping) {
        node.rescan();
        await once(node, 'settled');
      }
    };
    fetching.push(Promise.race([follow(), over.then(() => undefined)]));
  }
  const [code] = (await over) as [number | null];
  swapping = false;
  await Promise.all(fetching);
  t.equal(code, 0, said.trim());
  t.equal(seen, 0, 'no canary has passed');
  t.same(wrong, []);
  t.ok(counts.fetched > 0 && counts.refused > 0, JSON.stringify(counts));
  // All is as it was, and so is what is offered.
  for (const { node, client } of pairs) {
    while (node.shared.files < all.length) {
      const settled = once(node, 'settled');
      node.rescan();
      await settled;
    }
    for (const { path, hash } of all) {
      const bytes = await bytesOf(client.fetch(hash));
      t.ok(contents[path]?.equals(bytes), path);
    }
  }
  t.same(openBelow(root), [], 'nothing is left open');
});

t.test('links, fifos, sockets and devices are not shared, and hang nothing', async (t) => {
  const root = t.testdir({ share: { sub: {} }, beside: {} });
  const [share, beside] = [join(root, 'share'), join(root, 'beside')];
  writeFiles(beside, { canary: canaries(100), 'sub/canary': canaries(100) });
  const kinds = await specialFiles(t, join(share, 'sub'));
  const links = { absolute: join(beside, 'canary'), relative: '../beside/canary', folder: beside };
  for (const [name, to] of Object.entries({ ...links, up: '..', self: '.', loop: 'loop' })) {
    symlinkSync(to, join(share, name));
  }
  const bytes = { small: random(100), middle: random(300_000), large: random(LARGE) };
  writeFiles(share, { ...bytes, rest: 'rest' });
  const node = await startIndexed(t, share);
  const peer = await connectTo(t, node);
  const files = await listOf(peer.search(''));
  t.same(files.map(({ path }) => path).sort(), ['large', 'middle', 'rest', 'small']);
  const rest = files.find(({ path }) => path === 'rest')?.hash ?? '';
  for (const kind of kinds) {
    for (const name of Object.keys(bytes)) {
      rmSync(join(share, name));
      spawnSync('mv', [join(share, 'sub', kind), join(share, name)]);
      const hash = files.find(({ path }) => path === name)?.hash ?? '';
      // More than there are threads that could wait for somebody to write into a fifo.
      const asked = Array.from({ length: 16 }, () =>
        peer.fetchTo(hash, { write: () => Promise.resolve() }),
      );
      for (const outcome of await Promise.allSettled(asked)) {
        const error: unknown = outcome.status === 'rejected' ? outcome.reason : undefined;
        const code = error instanceof PeerError ? error.code : 'none';
        t.ok(['ERR_CHANGED', 'ERR_NOT_FOUND'].includes(code), `${name} is a ${kind}: ${code}`);
      }
      t.equal((await bytesOf(peer.fetch(rest))).toString(), 'rest', 'others are served');
      spawnSync('mv', [join(share, name), join(share, 'sub', kind)]);
      const fresh = random(bytes[name as keyof typeof bytes].length);
      writeFiles(share, { [name]: fresh });
      const settled = once(node, 'settled');
      node.rescan();
      await settled;
      const [again] = await listOf(peer.search(name));
      if (again === undefined) throw new Error(`${name} is not back`);
      files.splice(
        files.findIndex(({ path }) => path === name),
        1,
        again,
      );
      t.ok((await bytesOf(peer.fetch(again.hash))).equals(fresh), 'it is served again');
    }
  }
  t.equal(readFileSync(join(beside, 'canary')).length, 100);
});

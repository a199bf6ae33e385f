/** When a file was last changed comes along with it, as far as the peer says it and the disk can hold it. */
import { statSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import t from '../fixtures/tap.js';
import { fetchAll } from '../../lib/fetch/folder/fetch-all.js';
import { fetchToFile } from '../../lib/fetch/part/fetch-to-file.js';
import { ManyPeers } from '../../lib/fetch/sources/fetch-many.js';
import { hashBlock } from '../../lib/hash/blake3.js';
import type { FileMatch } from '../../lib/wire/messages.js';
import { random, writeFiles } from '../fixtures/bytes.js';
import { connectTo, listOf, startIndexed } from '../fixtures/node.js';
import { RawPeer, startFake } from '../fixtures/raw.js';
import { TRANSPORT, connect } from '../fixtures/transport.js';

const secondsOf = (file: string): number => statSync(file).mtimeMs / 1000;

t.test('of files, copies and large files', async (t) => {
  const folder = t.testdir({ share: {}, out: {} });
  const at = (...names: string[]): string => join(folder, ...names);
  const large = random(600_000);
  writeFiles(at('share'), { old: 'same', 'a/copy': 'same', large, ancient: 'x', empty: '' });
  const times = { old: 1_000_000_000, 'a/copy': 1_100_000_000, large: 123, empty: 0 };
  for (const [name, time] of Object.entries(times)) utimesSync(at('share', name), 1, time);
  // Node takes a negative number for now.
  utimesSync(at('share/ancient'), 1, new Date(-1_000_000));
  const node = await startIndexed(t, at('share'), { workers: false });
  const peer = await connectTo(t, node);
  const before = Date.now() / 1000 - 1;

  await listOf(fetchAll(peer, '', at('all')));
  for (const [name, time] of Object.entries(times)) t.equal(secondsOf(at('all', name)), time, name);
  t.ok(secondsOf(at('all/ancient')) > before, 'before 1970 nothing is said');

  const [found] = await listOf(peer.search('large'));
  const hash = found?.hash ?? '';
  t.equal(found?.modified, times.large);
  await fetchToFile(peer, hash, at('out/one'));
  t.equal(secondsOf(at('out/one')), times.large);
  const many = new ManyPeers([node.address, node.address], TRANSPORT);
  await fetchToFile(many, hash, at('out/many'));
  await many.close();
  t.equal(secondsOf(at('out/many')), times.large, 'from several peers');
  await fetchToFile(peer, hash, at('out/range'), { offset: 300_000 });
  t.ok(secondsOf(at('out/range')) > before, 'a part of it is a new file');
});

t.test('whatever a peer says', async (t) => {
  const folder = t.testdir({ out: {} });
  const said = [0, 2 ** 31, 2 ** 34, 2 ** 40, Number.MAX_SAFE_INTEGER, undefined];
  const contents = said.map((_, i) => Buffer.from(`content ${i}`));
  const files = said.map((modified, i): FileMatch => {
    const bytes = contents[i] ?? Buffer.alloc(0);
    const hash = Buffer.from(hashBlock(bytes)).toString('hex');
    return { path: `${i}`, hash, size: bytes.length, modified };
  });
  const { address } = await startFake(t, (socket) => {
    const raw = new RawPeer(socket);
    void (async () => {
      for (let got = await raw.next(); got !== undefined; got = await raw.next()) {
        const { message, tag } = got;
        const info = { version: 1 };
        if (message.type === 'PING') {
          raw.send({ type: 'ACKN', of: 'PING', info, files: 1, bytes: 1, state: 'ready' }, tag);
        } else if (message.type === 'RQFS') {
          raw.send({ type: 'RPFL', total: files.length, files }, tag);
        } else if (message.type === 'RQFH') {
          const i = files.findIndex(({ hash }) => hash === message.hash);
          const size = files[i]?.size ?? 0;
          const head = { type: 'ACKN', of: 'RQFH', size, offset: 0, length: size } as const;
          raw.send({ ...head, modified: said[i] }, tag).raw(contents[i] ?? Buffer.alloc(0));
        }
      }
    })();
  });
  const peer = await connect(address);
  t.teardown(() => peer.close());
  const before = Date.now() / 1000 - 1;
  await listOf(fetchAll(peer, '', join(folder, 'all')));
  for (const [i, time] of said.entries()) {
    const one = join(folder, 'out', `${i}`);
    await fetchToFile(peer, files[i]?.hash ?? '', one);
    for (const file of [join(folder, 'all', `${i}`), one]) {
      const now = secondsOf(file);
      // How much a file system can hold differs.
      const isNow = now > before && now < before + 1000;
      t.ok(now === time || (isNow && time !== 0), `${time} became ${now}`);
    }
  }
});

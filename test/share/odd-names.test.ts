/** Names that cannot be shared are named once; a name is the same in each Unicode form. */
import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { FSWatcher } from 'chokidar';
import t from '../fixtures/tap.js';
import { createNode } from '../../lib/node.js';
import { connectTo, listOf, startIndexed } from '../fixtures/node.js';

const bytes = (folder: string, name: string): Buffer =>
  Buffer.concat([Buffer.from(`${folder}/`), Buffer.from(name, 'latin1')]);

t.test('names that are not UTF-8, of files and folders, at the start and later', async (t) => {
  const share = t.testdir({ keep: 'keep' });
  writeFileSync(bytes(share, 'file-\xff'), 'x');
  mkdirSync(bytes(share, 'folder-\xff'));
  writeFileSync(join(share, 'really-\ufffd'), 'a name in UTF-8');
  const said: string[] = [];
  const node = createNode({ share, host: '127.0.0.1', port: 0 });
  t.teardown(() => node.close());
  node.on('warning', ({ path, reason }) => said.push(`${path}: ${reason}`));
  const watching = once(node, 'watching');
  await node.start();
  await watching;
  const says = async (path: string): Promise<void> => {
    while (!said.some((line) => line.startsWith(`${path}: `))) await once(node, 'warning');
  };
  await says('file-\ufffd');
  await says('folder-\ufffd');
  writeFileSync(bytes(share, 'late-file-\xfe'), 'x');
  mkdirSync(bytes(share, 'late-folder-\xfe'));
  await says('late-file-\ufffd');
  await says('late-folder-\ufffd');
  const settled = once(node, 'settled');
  node.rescan();
  await settled;
  const names = ['file-', 'folder-', 'late-file-', 'late-folder-'];
  t.same(
    said.sort(),
    names.map((name) => `${name}\ufffd: its name is not valid UTF-8; skipped`),
    'each once',
  );
  const files = await listOf((await connectTo(t, node)).search(''));
  t.same(files.map(({ path }) => path).sort(), ['keep', 'really-\ufffd']);
});

t.test('what is to be ignored is, in either form', async (t) => {
  const [nfc, nfd] = ['caf\u00e9', 'cafe\u0301'];
  const share = t.testdir({ keep: 'keep' });
  writeFileSync(join(share, `${nfc}.1`), '1');
  writeFileSync(join(share, `${nfd}.2`), '2');
  mkdirSync(join(share, nfd));
  writeFileSync(join(share, nfd, 'inside'), '3');
  for (const name of [nfc, nfd]) {
    const node = await startIndexed(t, share, { ignore: [`${name}*`], workers: false });
    t.equal(node.shared.files, 1);
  }
});

t.test('chokidar is the one version whose private members are used', (t) => {
  interface Package {
    version: string;
    dependencies: Record<string, string>;
  }
  const read = (file: string): Package => JSON.parse(readFileSync(file, 'utf8')) as Package;
  const chokidar = createRequire(import.meta.url).resolve('chokidar');
  const { version } = read(join(chokidar, '../package.json'));
  const { dependencies } = read(new URL('../../../package.json', import.meta.url).pathname);
  t.equal(dependencies['chokidar'], version, 'package.json names this version and no range');
  for (const name of ['_readdirp', '_remove']) t.ok(name in FSWatcher.prototype, name);
  t.end();
});

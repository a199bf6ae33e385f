/** A folder as one download, taken apart by programs of others. */
import { spawnSync } from 'node:child_process';
import {
  closeSync,
  mkdirSync,
  openSync,
  readFileSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import type { Archive, Entry } from '../../lib/http/archive/archive.js';
import { Tar } from '../../lib/http/archive/tar.js';
import { Zip } from '../../lib/http/archive/zip.js';
import { random, writeFiles } from '../fixtures/bytes.js';
import { ask } from '../fixtures/http.js';
import { startIndexed } from '../fixtures/node.js';
import t from '../fixtures/tap.js';

const has = (program: string): false | string =>
  spawnSync(program, ['--version']).status === 0 ? false : `no ${program} here`;

const LIST = `
import sys, zipfile, json
z = zipfile.ZipFile(sys.argv[1])
if len(sys.argv) > 2: z.extractall(sys.argv[2])
infos = z.infolist()
print(json.dumps([z.testzip() if len(sys.argv) > 2 else None, [[i.filename, i.file_size] for i in infos[:5]], len(infos)]))
`;

const KINDS = [
  {
    kind: 'zip',
    skip: has('python3'),
    extract: (file: string, to: string): unknown => {
      const { stdout, stderr } = spawnSync('python3', ['-c', LIST, file, to], { encoding: 'utf8' });
      return stderr === '' ? (JSON.parse(stdout) as unknown[])[0] : stderr;
    },
  },
  {
    kind: 'tar',
    skip: has('tar'),
    extract: (file: string, to: string): unknown => {
      const { stderr } = spawnSync('tar', ['-xf', file, '-C', to], { encoding: 'utf8' });
      return stderr === '' ? null : stderr;
    },
  },
];

const FILES: Record<string, Uint8Array | string> = {
  'photos/empty': '',
  'photos/small.txt': 'small',
  'photos/medium': random(40_000),
  'photos/large': random(2_000_001),
  'photos/gr\u00fc\u00dfe \u{1f600}.txt': 'names',
  [`photos/${'long '.repeat(30)}/${'longer '.repeat(25)}.txt`]: 'long',
  'other/file': 'not in there',
};
for (let i = 0; i < 300; i++) FILES[`photos/many/${i}`] = random(i * 10);

t.test('all files of a folder', async (t) => {
  const folder = t.testdir({ share: {}, zip: {}, tar: {} });
  writeFiles(join(folder, 'share'), FILES);
  utimesSync(join(folder, 'share/photos/small.txt'), 1_600_000_000, 1_600_000_000);
  for (const sendfile of [true, false]) {
    const { address } = await startIndexed(t, join(folder, 'share'), { sendfile });
    for (const { kind, skip, extract } of KINDS) {
      await t.test(`${kind}, ${sendfile ? 'by sendfile' : 'as a stream'}`, { skip }, async (t) => {
        const { status, headers, body } = await ask(address, 'GET', `/files/photos/?${kind}`);
        t.equal(status, 200);
        t.match(headers['content-disposition'], `attachment; filename=photos.${kind}`);
        // The length that was said is the length that came, or `ask` would have thrown.
        t.equal(Number(headers['content-length']), body.length);
        const file = join(folder, `archive.${kind}`);
        const to = join(folder, kind, String(sendfile));
        mkdirSync(to);
        writeFileSync(file, body);
        t.equal(extract(file, to), null);
        for (const [path, content] of Object.entries(FILES)) {
          if (!path.startsWith('photos/')) continue;
          t.ok(readFileSync(join(to, path)).equals(Buffer.from(content)), path);
        }
        const head = await ask(address, 'HEAD', `/files/photos/?${kind}`);
        t.equal(head.headers['content-length'], headers['content-length']);
      });
    }
  }
});

t.test('what is no folder, and a share that is empty', async (t) => {
  const { address } = await startIndexed(t, t.testdir({}));
  t.equal((await ask(address, 'GET', '/files/nothing/?zip')).status, 404);
  const { body } = await ask(address, 'GET', '/files/?tar');
  t.ok(body.equals(Buffer.alloc(1024)));
  t.equal((await ask(address, 'GET', '/files/?zip')).body.length, 22);
});

/** An archive of files that hold zeros, which a file with holes needs no room for. @returns the file */
function writeArchive(folder: string, archive: Archive, entries: readonly Entry[]): string {
  const file = join(folder, 'archive');
  const fd = openSync(file, 'w');
  let at = 0;
  const write = (bytes: Uint8Array): void => {
    if (bytes.length > 0) writeSync(fd, bytes, 0, bytes.length, at);
    at += bytes.length;
  };
  for (const [i, { size }] of entries.entries()) {
    write(archive.before(i));
    at += size;
    write(archive.after(i, size === 0 ? 0 : crc32(Buffer.from('not looked at'))));
  }
  for (const piece of archive.end()) write(piece);
  closeSync(fd);
  if (at !== archive.length) throw new Error(`${at} bytes of ${archive.length}`);
  return file;
}

const GIANT = 10 * 2 ** 30 + 1;
const GIANTS = [GIANT, 3, 5 * 2 ** 30, 2].map((size, i) => ({ path: `${i}`, size, modified: 0 }));
const MANY = Array.from({ length: 70_000 }, (_, i) => ({ path: `${i}`, size: 0, modified: 0 }));

t.test('larger than 32 bits', { skip: has('python3') }, (t) => {
  for (const entries of [GIANTS, MANY]) {
    const file = writeArchive(t.testdir({}), new Zip(entries), entries);
    const { stdout, stderr } = spawnSync('python3', ['-c', LIST, file], { encoding: 'utf8' });
    t.equal(stderr, '');
    t.same(JSON.parse(stdout), [
      null,
      entries.slice(0, 5).map(({ path, size }) => [path, size]),
      entries.length,
    ]);
  }
  const file = writeArchive(t.testdir({}), new Tar(GIANTS), GIANTS);
  const { stdout, stderr } = spawnSync('tar', ['-tvf', file], { encoding: 'utf8' });
  t.equal(stderr, '');
  t.same(
    stdout
      .trimEnd()
      .split('\n')
      .map((line) => Number(line.split(/ +/)[2])),
    GIANTS.map(({ size }) => size),
  );
  t.end();
});

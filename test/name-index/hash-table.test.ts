/** Names that are chosen so that their hashes collide. */
import { execFileSync } from 'node:child_process';
import t from 'tap';
import { HashTable, hashBytes } from '../../lib/name-index/hash-table.js';

/** FNV-1a, which has no key, from a state. */
function fnv(state: number, text: string): number {
  let hash = state;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return hash;
}

/** 2^n names with the same FNV-1a. */
function colliding(n: number): string[] {
  let names = [''];
  let state = 0x811c9dc5 | 0;
  for (let block = 0; block < n; block++) {
    const seen = new Map<number, string>();
    for (let i = 0; ; i++) {
      const text = Math.imul(i, 0x9e3779b1).toString(36).padStart(7, '-').slice(0, 7);
      const hash = fnv(state, text);
      const other = seen.get(hash);
      seen.set(hash, text);
      if (other === undefined || other === text) continue;
      names = names.flatMap((name) => [name + text, name + other]);
      state = hash;
      break;
    }
  }
  return names;
}

const hashOf = (name: string): number => {
  const bytes = Buffer.from(name);
  return hashBytes(0, bytes, 0, bytes.length);
};

t.test('names that collide without a key do not here', (t) => {
  const names = colliding(12);
  t.equal(names.length, 4096);
  t.equal(new Set(names.map((name) => fnv(0x811c9dc5 | 0, name))).size, 1);
  const hashes = names.map(hashOf);
  t.ok(new Set(hashes).size > 4090, 'hashes differ');
  const table = new HashTable();
  hashes.forEach((hash, item) => {
    table.add(hash, item);
  });
  let looked = 0;
  const found = hashes.map((hash, item) =>
    table.find(hash, (other) => {
      looked++;
      return other === item;
    }),
  );
  t.same(found, Array.from(names.keys()));
  t.ok(looked < 4200, `${looked} items compared`);
  t.end();
});

t.test('every byte and the number count', (t) => {
  const bytes = Buffer.from('folder/name.txt');
  const hashes = new Set([hashBytes(0, bytes, 0, 15), hashBytes(1, bytes, 0, 15)]);
  for (let i = 0; i < 15; i++) {
    hashes.add(hashBytes(0, bytes, 0, i));
    const other = Buffer.from(bytes);
    other[i] = 0;
    hashes.add(hashBytes(0, other, 0, 15));
  }
  t.equal(hashes.size, 32);
  t.equal(hashBytes(0, bytes, 7, 11), hashBytes(0, Buffer.from('name'), 0, 4));
  t.end();
});

t.test('the key is another in another process', (t) => {
  const module = new URL('../../lib/name-index/hash-table.js', import.meta.url).href;
  const script = `import { hashBytes } from '${module}';
    console.log([1, 2, 3].map((n) => hashBytes(n, Buffer.from('name'), 0, 4)).join());`;
  const run = (): string =>
    execFileSync(process.execPath, ['--input-type=module', '-e', script]).toString();
  t.not(run(), run());
  t.end();
});

/** The block tree against PROTOCOL.md's examples, and its verifier against every kind of damage. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import t from 'tap';
import { PeerError } from '../../lib/errors.js';
import { LIST_CONTEXT, hashBlock, hashList } from '../../lib/hash/blake3.js';
import { TreeHasher, buildTree, listBytes, rootOf, type Tree } from '../../lib/hash/tree.js';
import { BodyVerifier } from '../../lib/fetch/receive/body-verifier.js';
import {
  BLOCK_BYTES,
  LIST_HASHES,
  blockCount,
  blockLength,
  bodyBytes,
  bodyParts,
  levelCounts,
} from '../../lib/wire/body.js';
import { pattern, seeded } from '../fixtures/bytes.js';

const PROTOCOL = readFileSync(new URL('../../../lib/wire/PROTOCOL.md', import.meta.url), 'utf8');

function treeOf(bytes: Uint8Array): Tree {
  return new TreeHasher().update(bytes).digest();
}

function hexOf(tree: Tree): string {
  return Buffer.from(rootOf(tree)).toString('hex');
}

/** A body as a sender makes it. */
function bodyOf(bytes: Buffer, tree: Tree, offset: number, length: number): Buffer {
  const parts = Array.from(bodyParts(bytes.length, offset, length), (part) =>
    part.kind === 'list'
      ? listBytes(tree, part.level, part.index)
      : bytes.subarray(part.first * BLOCK_BYTES, part.first * BLOCK_BYTES + part.bytes),
  );
  return Buffer.concat(parts);
}

/** Write a body in pieces; what came out before it ended or failed. */
function verify(
  body: Buffer,
  range: ConstructorParameters<typeof BodyVerifier>[0],
  pieceLength: () => number,
): { out: Buffer; error?: PeerError } {
  const verifier = new BodyVerifier(range);
  const out: Buffer[] = [];
  try {
    for (let at = 0; at < body.length && verifier.remaining > 0;) {
      if (verifier.needsBuffer) verifier.useBuffer(Buffer.alloc(verifier.expected));
      const space = verifier.space();
      const n = Math.min(space.length, pieceLength(), body.length - at);
      space.set(body.subarray(at, at + n));
      at += n;
      const received = verifier.advance(n);
      if (received !== undefined) out.push(Buffer.from(received.bytes));
    }
  } catch (error) {
    if (error instanceof PeerError) return { out: Buffer.concat(out), error };
    throw error;
  }
  return { out: Buffer.concat(out) };
}

t.test('the examples of PROTOCOL.md', (t) => {
  const rows = [...PROTOCOL.matchAll(/^\| ([\d,]+) \| `([0-9a-f]{64})` \|$/gm)];
  t.ok(rows.length >= 9);
  for (const [, size = '', hash] of rows) {
    const bytes = Number(size.replaceAll(',', ''));
    const hasher = new TreeHasher();
    // 251 is prime to the piece: every piece is another one.
    for (let at = 0; at < bytes; at += 1_000_003) {
      hasher.update(pattern(Math.min(1_000_003, bytes - at), at));
    }
    t.equal(hexOf(hasher.digest()), hash, size);
  }
  t.ok(PROTOCOL.includes(`\`${LIST_CONTEXT}\``), 'the context string');
  t.end();
});

t.test('b3sum agrees up to one block, and about lists', (t) => {
  const b3sum = (input: Uint8Array, ...args: string[]): string =>
    execFileSync('b3sum', [...args, '--no-names'], { input })
      .toString()
      .trim();
  try {
    b3sum(Buffer.alloc(0));
  } catch {
    t.pass('not run', { skip: 'b3sum is not installed (Debian package b3sum)' });
    t.end();
    return;
  }
  for (const size of [0, 1, 1023, 1024, 1025, 65_537, BLOCK_BYTES - 1, BLOCK_BYTES]) {
    t.equal(hexOf(treeOf(pattern(size))), b3sum(pattern(size)), `${size} bytes`);
  }
  const list = pattern(96);
  const derived = b3sum(list, '--derive-key', LIST_CONTEXT);
  t.equal(Buffer.from(hashList(list)).toString('hex'), derived);
  t.end();
});

t.test('the shape follows from the size', (t) => {
  const MiB = 2 ** 20;
  for (const [size, counts] of [
    [0, [1]],
    [1, [1]],
    [BLOCK_BYTES, [1]],
    [BLOCK_BYTES + 1, [2, 1]],
    [256 * MiB, [1024, 1]],
    [256 * MiB + 1, [1025, 2, 1]],
    [256 * 1024 * MiB, [2 ** 20, 1024, 1]],
    [256 * 1024 * MiB + 1, [2 ** 20 + 1, 1025, 2, 1]],
  ] as const) {
    t.same(levelCounts(size), counts, `${size}`);
    t.equal(blockCount(size), counts[0]);
  }
  t.end();
});

t.test('a body holds each list before what it covers, and its length is known', (t) => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.nat(2 ** 40),
        fc.integer({ min: 0, max: 4 }).map((n) => n * BLOCK_BYTES * 1024),
      ),
      fc.integer({ min: -2, max: 2 }),
      fc.double({ min: 0, max: 1, noNaN: true }),
      fc.nat(600 * 1024 * 1024),
      (near, delta, where, wanted) => {
        const size = Math.max(0, near + delta);
        const offset = Math.floor(where * size);
        const length = Math.min(wanted, size - offset);
        let bytes = 0;
        let next: number | undefined;
        const covered = new Set<string>();
        for (const part of bodyParts(size, offset, length)) {
          bytes += part.bytes;
          if (part.kind === 'list') {
            covered.add(`${part.level}/${part.index}`);
            continue;
          }
          if (next !== undefined && part.first !== next) return false;
          if (next === undefined && part.first !== Math.floor(offset / BLOCK_BYTES)) return false;
          next = part.first + part.count;
          // Every list above the part has been sent.
          for (let level = 1, i = part.first; level < levelCounts(size).length; level++) {
            i = Math.floor(i / LIST_HASHES);
            if (!covered.has(`${level}/${i}`)) return false;
          }
        }
        if (next !== undefined && next !== Math.ceil((offset + length) / BLOCK_BYTES)) return false;
        return bytes === bodyBytes(size, offset, length);
      },
    ),
    { numRuns: 2000 },
  );
  t.end();
});

t.test('any range, in any pieces', (t) => {
  const bytes = pattern(5 * BLOCK_BYTES + 777);
  const tree = treeOf(bytes);
  const hash = rootOf(tree);
  fc.assert(
    fc.property(fc.nat(bytes.length), fc.nat(bytes.length), fc.nat(), (a, b, seed) => {
      const offset = Math.min(a, b);
      const length = Math.abs(a - b);
      const next = seeded(seed);
      const body = bodyOf(bytes, tree, offset, length);
      const range = { hash, size: bytes.length, offset, length };
      const { out, error } = verify(body, range, () => 1 + Math.floor(next() * 300_000));
      return error === undefined && out.equals(bytes.subarray(offset, offset + length));
    }),
    { numRuns: 60 },
  );
  t.end();
});

t.test('three levels: a range deep inside a file that nobody has to have', (t) => {
  // 256 GiB + 1 byte of zeros: two kinds of blocks, so that the hashes need no file.
  const size = 256 * 2 ** 30 + 1;
  const zero = hashBlock(Buffer.alloc(BLOCK_BYTES));
  const hashes = Buffer.alloc(blockCount(size) * 32);
  for (let at = 0; at < hashes.length; at += 32) hashes.set(zero, at);
  hashes.set(hashBlock(Buffer.alloc(1)), hashes.length - 32);
  const tree = buildTree(hashes);
  t.equal(tree.levels.length, 4);
  const offset = size - 1 - BLOCK_BYTES - 5;
  const length = size - offset;
  const parts = [...bodyParts(size, offset, length)];
  t.same(
    parts.map((part) => (part.kind === 'list' ? `L${part.level}.${part.index}` : part.count)),
    ['L3.0', 'L2.0', 'L1.1023', 2, 'L2.1', 'L1.1024', 1],
  );
  const body = Buffer.concat(
    parts.map((part) =>
      part.kind === 'list' ? listBytes(tree, part.level, part.index) : Buffer.alloc(part.bytes),
    ),
  );
  const { out, error } = verify(body, { hash: rootOf(tree), size, offset, length }, () => 1e6);
  t.equal(error, undefined);
  t.equal(out.length, length);
  t.end();
});

t.test('damage is found before anything of the block comes out', (t) => {
  const size = 4 * BLOCK_BYTES + 99;
  const bytes = pattern(size);
  const tree = treeOf(bytes);
  const range = { hash: rootOf(tree), size, offset: 0, length: size };
  const body = bodyOf(bytes, tree, 0, size);
  const next = seeded(7);
  for (let i = 0; i < 200; i++) {
    const bad = Buffer.from(body);
    const at = Math.floor(next() * bad.length);
    bad[at] = (bad[at] ?? 0) ^ (1 << Math.floor(next() * 8));
    const { out, error } = verify(bad, range, () => 1 + Math.floor(next() * 100_000));
    t.equal(error?.code, 'ERR_MISMATCH');
    const block = Math.floor((at - 5 * 32) / BLOCK_BYTES);
    t.equal(out.length, Math.max(0, block) * BLOCK_BYTES, 'all before it, nothing of it');
    t.ok(out.equals(bytes.subarray(0, out.length)));
    t.match(error?.message, at < 160 ? /list 0 of level 1/ : new RegExp(`block ${block} `));
  }
  t.end();
});

t.test('a wrong size is found', (t) => {
  const bytes = pattern(3 * BLOCK_BYTES + 5);
  const tree = treeOf(bytes);
  const body = Buffer.concat([bodyOf(bytes, tree, 0, bytes.length), Buffer.alloc(2 * BLOCK_BYTES)]);
  const off = [-5, -1, 1, BLOCK_BYTES - 5, BLOCK_BYTES, -BLOCK_BYTES, 2 - bytes.length];
  for (const size of off.map((d) => bytes.length + d)) {
    const { out, error } = verify(
      body,
      { hash: rootOf(tree), size, offset: 0, length: size },
      () => 70_000,
    );
    t.equal(error?.code, 'ERR_MISMATCH', `${size}`);
    t.ok(out.equals(bytes.subarray(0, out.length)));
  }
  t.end();
});

t.test('a list cannot pass for a block, nor a block for a list', (t) => {
  const bytes = pattern(2 * BLOCK_BYTES);
  const tree = treeOf(bytes);
  const list = Buffer.from(listBytes(tree, 1, 0));
  const range = { hash: rootOf(tree), size: list.length, offset: 0, length: list.length };
  t.equal(verify(list, range, () => 64).error?.code, 'ERR_MISMATCH', 'the list as a file');
  const fake = hashBlock(list);
  const asTree = { hash: fake, size: bytes.length, offset: 0, length: bytes.length };
  t.equal(verify(Buffer.concat([list, bytes]), asTree, () => 64).error?.code, 'ERR_MISMATCH');
  t.end();
});

t.test('streaming: the same hash whatever the pieces', (t) => {
  const bytes = pattern(2 * BLOCK_BYTES + 12345);
  const whole = hexOf(treeOf(bytes));
  fc.assert(
    fc.property(fc.nat(), (seed) => {
      const next = seeded(seed);
      const hasher = new TreeHasher();
      for (let at = 0; at < bytes.length;) {
        const n = 1 + Math.floor(next() * 400_000);
        hasher.update(bytes.subarray(at, at + n));
        at += n;
      }
      return hexOf(hasher.digest()) === whole;
    }),
    { numRuns: 30 },
  );
  t.equal(blockLength(bytes.length, 2), 12345);
  t.end();
});

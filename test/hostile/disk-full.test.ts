/**
 * A disk that is full, where a file is fetched to and where the state is kept: said in a line, nothing
 * lost, and all well when there is room again.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from '../fixtures/tap.js';
import { formatAddress } from '../../lib/net/address.js';
import { random, writeFiles } from '../fixtures/bytes.js';
import { command, hasNamespaces, inNamespaces, serve, within } from '../fixtures/cli.js';
import { bytesOf, connectTo, listOf, startIndexed } from '../fixtures/node.js';
import { FULL, size } from './sizes.js';
import { connect } from '../fixtures/transport.js';

const skip = hasNamespaces() ? false : 'no user namespaces here (unshare -Urm)';
const MIB = 1024 * 1024;

t.test('p2p-fetch: one line, code 1, the part is kept and resumed', { skip }, async (t) => {
  const folder = t.testdir({ share: {}, small: {} });
  const content = random(5 * MIB + 7);
  writeFiles(join(folder, 'share'), { 'a film': content, notes: random(1000) });
  const node = await startIndexed(t, join(folder, 'share'));
  const peer = await connectTo(t, node);
  const [found] = await listOf(peer.search('film'));
  const address = formatAddress(node.address);
  const small = join(folder, 'small');
  const one = [address, found?.hash ?? '', '-o', join(small, 'film')];
  const ways = {
    'one peer': { args: one, file: 'film' },
    'several peers': {
      args: [...one, '--from', `localhost:${node.address.port}`],
      file: 'film',
    },
    all: { args: [address, '--all', '', '-o', small], file: 'a film' },
  };
  for (const [way, { args, file }] of Object.entries(ways)) {
    const [program, rest] = command('p2p-fetch', args);
    // Full, then with room again: what each attempt said, its code, and what it left.
    const [outer, lines] = inNamespaces(
      `mount -t tmpfs -o size=8m none '${small}'
head -c ${5 * MIB} /dev/zero > '${small}/other'
code=0; "$@" 2> '${folder}/err' || code=$?
cat '${folder}/err'; echo "code $code"; stat -c '%n has %s bytes' '${small}/'*
rm '${small}/other'
code=0; "$@" 2> '${folder}/err2' || code=$?
cat '${folder}/err2' | tail -n 1; echo "code $code"; stat -c '%n has %s bytes' '${small}/'*
cmp '${small}/${file}' '${join(folder, 'share/a film')}' && echo same
exec true`,
      [program, rest],
    );
    const said = (await outputOf(outer, lines)).replaceAll(small, 'DIR');
    const [before = '', after = ''] = said.split(/(?<=code 1\n[^]*?)(?=code 0)/);
    t.match(before, /^p2p-fetch: DIR\/[^\n]*: no space left on the device$/m, way);
    t.match(before, /code 1\n/, `${way}: code`);
    t.notMatch(before, /^ {2,}at /m, `${way}: no stack`);
    const kept = new RegExp(`DIR/(${file}\\.[0-9a-f]{32}\\.part) has (\\d+) bytes`).exec(before);
    t.ok(Number(kept?.[2]) > 2 * MIB, `${way}: ${kept?.[2]} bytes are kept`);
    if (way !== 'all') t.match(before, `what was verified is in DIR/${kept?.[1]}\n`, way);
    t.match(after, /code 0\n/, `${way}: with room again`);
    t.match(after, /^same$/m, `${way}: the right bytes`);
    t.notMatch(after, /\.part has/, `${way}: no part is left`);
  }
});

t.test('the state folder: served on, said once, kept when there is room', { skip }, async (t) => {
  const folder = t.testdir({ share: { first: 'first' }, state: {} });
  const [share, state] = [join(folder, 'share'), join(folder, 'state')];
  const args = [share, '--state', state, '--verbose'];
  const setup = `mount -t tmpfs -o size=8m none '${state}'`;
  const served = await serve(t, args, { setup });
  await served.indexed;
  await served.says('watching');
  const peer = await connect(served.peer);
  t.teardown(() => peer.close());
  for (let round = 0; round < size(1, 5); round++) {
    within(served.child, `head -c 8m /dev/zero > '${state}/other' || true`);
    // Trees whose lists are in the store, too.
    const files: Record<string, Uint8Array> = {};
    for (let i = 0; i < size(5, 40); i++) files[`full-${round}-${i}`] = random(600_000);
    for (const [path, bytes] of Object.entries(files)) {
      writeFiles(share, { [path]: bytes });
      await served.says(`added: ${path}`);
      const [match] = await listOf(peer.search(path));
      t.equal(match?.path, path);
      t.ok((await bytesOf(peer.fetch(match?.hash ?? ''))).equals(bytes), `${path} is served`);
    }
    const said = served.stderr().split('the index cannot be written (ENOSPC)').length - 1;
    t.equal(said, round + 1, 'said once');
    const back = served.says('the index is written again');
    within(served.child, `rm '${state}/other'`);
    await back;
  }
  t.notMatch(served.stderr(), /(?: at |Error|Write error|damaged)/);
  // What was learned meanwhile has been kept: the next start hashes nothing.
  const count = 1 + size(1, 5) * size(5, 40);
  within(served.child, `cp -r '${state}/.' '${folder}/copy'`);
  served.child.kill('SIGTERM');
  const [code] = (await once(served.child, 'exit')) as [number | null];
  t.equal(code, 0);
  const again = await serve(t, [share, '--state', join(folder, 'copy'), '--verbose']);
  t.match(await again.indexed, `indexed ${count} files`);
  await again.says('0 of them were hashed');
});

t.test('a first start with almost no room: one line', { skip }, async (t) => {
  const folder = t.testdir({ share: {}, state: {} });
  const state = join(folder, 'state');
  const args = ['--port', '0', '--host', '127.0.0.1', '--state', state];
  for (const kib of !FULL ? [4, 20] : [0, 4, 8, 12, 16, 20, 24, 32, 48, 64, 512, 2000]) {
    // Not exec: a shell says by which signal it ended.
    const full = `mount -t tmpfs -o size=4m none '${state}'
head -c ${4096 - kib}k /dev/zero > '${state}/other'
code=0; "$@" 2>&1 || code=$?; echo "code $code"; exec true`;
    const served = command('p2p-serve', [join(folder, 'share'), ...args]);
    const said = await outputOf(...inNamespaces(full, served));
    t.match(
      said.replace(/^listening on .*\n/, ''),
      /^p2p-serve: cannot keep state in [^\n]*: ENOSPC\ncode 2\n$/,
      `${kib} KiB free`,
    );
  }
});

t.test('SIGTERM while the disk is full ends the node all the same', { skip }, async (t) => {
  const folder = t.testdir({ share: { first: 'first' }, state: {} });
  const [share, state] = [join(folder, 'share'), join(folder, 'state')];
  const setup = `mount -t tmpfs -o size=8m none '${state}'`;
  const served = await serve(t, [share, '--state', state, '--verbose'], { setup });
  await served.indexed;
  await served.says('watching');
  within(served.child, `head -c 8m /dev/zero > '${state}/other' || true`);
  writeFiles(share, { late: 'late' });
  await served.says('the index cannot be written');
  served.child.kill('SIGTERM');
  const [code] = (await once(served.child, 'exit')) as [number | null];
  t.equal(code, 0);
  t.equal(readFileSync(join(share, 'late')).toString(), 'late');
});

/** What a program says on stdout; the node that it asks runs in this process. */
async function outputOf(program: string, args: string[]): Promise<string> {
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  let said = '';
  child.stdout.on('data', (chunk: Buffer) => (said += chunk.toString()));
  await once(child, 'close');
  return said;
}

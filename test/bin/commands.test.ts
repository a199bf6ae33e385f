/** The commands as people use them, and misuse them. */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  truncateSync,
  writeSync,
} from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from '../fixtures/tap.js';
import { connect } from '../../lib/fetch/peer.js';
import { partOf } from '../fixtures/part.js';
import { random, writeFiles, writeLarge } from '../fixtures/bytes.js';
import { TERMINAL, PEAK, command, commandPath, run, serve } from '../fixtures/cli.js';
import { HELLO } from '../fixtures/messages.js';
import { RawPeer, startFake } from '../fixtures/raw.js';
import { size as sizeOf } from '../hostile/sizes.js';

const ABSENT = 'ab'.repeat(32);
const VERSION = (
  JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8')) as {
    version: string;
  }
).version;

t.test('help and version', async (t) => {
  for (const name of [
    ...['p2p-serve', 'p2p-fetch', 'p2p-search', 'p2p-peers', 'p2p-ping', 'p2p-hash', 'p2p-id'],
  ]) {
    const help = await run(name, ['--help']);
    t.equal(help.code, 0);
    t.match(
      help.stdout.toString(),
      new RegExp(`^${name}(?: [<[]|\n)[^]*Examples:[^]*${name}`),
      name,
    );
    const version = await run(name, ['--version']);
    t.match(version, { code: 0, stderr: '' });
    t.equal(version.stdout.toString(), `${VERSION}\n`);
    t.ok(statSync(commandPath(name)).mode & 0o100, 'can be executed');
  }
});

t.test('share, search, ping, fetch', async (t) => {
  const folder = t.testdir({ share: { sub: {} }, out: {} });
  const content = random(1_000_000);
  writeFiles(folder, {
    'share/hello.txt': 'hello\n',
    'share/sub/Füm \u001b[31m.bin': content,
    'share/empty': '',
  });
  const share = join(folder, 'share');
  const { peer, id, indexed, child, stderr } = await serve(t, [
    share,
    '--state',
    join(folder, 'state'),
  ]);
  t.match(await indexed, /^indexed 3 files, 1000006 bytes in \d+\.\d s$/);
  t.equal(stderr(), '', 'nothing to say');

  const search = await run('p2p-search', [peer, 'HELLO']);
  const summary =
    /^p2p-search: 1 file at 1 peer; 1 asked, 1 answered, 0 late; first after .* ms\n$/;
  t.match(search, { code: 0, stderr: summary });
  t.equal(search.stdout.toString(), `${HELLO}  6  ${peer}  hello.txt\n`);
  const json = await run('p2p-search', [peer, 'fÜm bin', '--json']);
  const found = JSON.parse(json.stdout.toString()) as { hash: string; path: string };
  const [host, port] = peer.split(':');
  t.match(found, { size: 1_000_000, peer: { id, host, port: Number(port) }, hops: 0 });
  t.equal(found.path, 'sub/Füm \u001b[31m.bin', 'the exact name');
  t.same(
    (await run('p2p-search', [peer, 'fÜm', 'bin', '--json'])).stdout,
    json.stdout,
    'two words',
  );
  const plain = (await run('p2p-search', [peer, 'bin'])).stdout.toString();
  t.match(plain, /sub\/Füm \\u\{1b\}\[31m\.bin\n$/, 'made visible');
  t.match(await run('p2p-search', [peer, 'nothing like it', '--ttl', '0']), {
    code: 3,
    stderr: '',
  });
  t.equal(
    (await run('p2p-search', [peer, '', '--max', '2'])).stdout.toString().split('\n').length,
    3,
  );

  const ping = await run('p2p-ping', [peer]);
  t.match(
    ping.stdout.toString(),
    new RegExp(`^${peer} is ${id}, p2p-serve/.*, 3 files, 1 MB, ready`),
  );
  const pong = JSON.parse((await run('p2p-ping', [peer, '--json'])).stdout.toString()) as object;
  t.match(pong, { id, files: 3, bytes: 1_000_006, state: 'ready', version: 1 });

  t.ok((await run('p2p-fetch', [peer, found.hash])).stdout.equals(content));
  const upper = await run('p2p-fetch', [
    peer,
    HELLO.toUpperCase(),
    '--offset',
    '1',
    '--length',
    '3',
  ]);
  t.equal(upper.stdout.toString(), 'ell');
  const out = join(folder, 'out/film');
  t.match(await run('p2p-fetch', [peer, found.hash, '-o', out]), { code: 0, stderr: '' });
  t.ok(readFileSync(out).equals(content));
  t.match(await run('p2p-fetch', [peer, HELLO, '--offset', '2', '-o', out]), { code: 0 });
  t.equal(readFileSync(out).toString(), 'llo\n');
  t.same(readdirSync(join(folder, 'out')), ['film'], 'no part is left');
  t.match(await run('p2p-fetch', [peer, HELLO, '-o', '/dev/null']), { code: 0 });
  t.ok(statSync('/dev/null').isCharacterDevice(), 'a device is written to, not replaced');

  t.equal(statSync(join(folder, 'state/key.pem')).mode & 0o777, 0o600);
  child.kill('SIGTERM');
  const [code] = (await once(child, 'exit')) as [number];
  t.equal(code, 0);
  const again = await serve(t, [share, '--state', join(folder, 'state')]);
  t.equal(again.id, id, 'the same peer after a restart');
});

t.test('two that know each other; pings counted', async (t) => {
  const folder = t.testdir({ share: {} });
  const share = join(folder, 'share');
  const first = await serve(t, [share, '--state', join(folder, 'a')]);
  const second = await serve(t, [share, '--state', join(folder, 'b'), '--peer', first.peer]);
  // It is listed when it has been dialled back.
  let listed = await run('p2p-peers', [first.peer]);
  while (listed.stdout.length === 0) listed = await run('p2p-peers', [first.peer]);
  t.match(listed, { code: 0, stderr: '' });
  const line = listed.stdout.toString();
  t.match(line, new RegExp(`^${second.id}  ${second.peer}  \\d+\n$`));
  const json = await run('p2p-peers', [second.peer, '--json']);
  const [host, port] = first.peer.split(':');
  const wanted = { id: first.id, host, port: Number(port), link: true };
  t.match(JSON.parse(json.stdout.toString()), wanted);
  t.equal((await run('p2p-peers', [first.peer, '--max', '0'])).stdout.length, 0);

  const often = ['--count', '3', '--interval', '0'];
  const pings = await run('p2p-ping', [first.peer, ...often]);
  t.equal(pings.code, 0);
  t.match(
    pings.stdout.toString(),
    /^\S+ is .*\n1: [\d.]+ ms\n2: .*\n3: .*\n3 asked, 3 answered; min\/avg\/max [\d.]+\/[\d.]+\/[\d.]+ ms\n$/,
  );
  const lines = (await run('p2p-ping', [first.peer, ...often, '--json'])).stdout.toString();
  const summary = JSON.parse(lines.trim().split('\n').at(-1) ?? '') as Record<string, number>;
  t.match(summary, { asked: 3, answered: 3 });
  const { min = 0, avg = 0, max = 0 } = summary;
  t.ok(min > 0 && min <= avg && avg <= max);
  // A peer that goes away in between.
  const { address, server } = await startFake(t, (socket) => {
    const peer = new RawPeer(socket);
    const info = { version: 1, id: second.id };
    const ack = { type: 'ACKN', of: 'PING', info, files: 0, bytes: 0, state: 'ready' } as const;
    void (async () => {
      for (let i = 0; i < 2; i++) peer.send(ack, (await peer.next())?.tag ?? 0);
      await peer.next();
      server.close();
      socket.destroy();
    })();
  });
  const gone = await run('p2p-ping', [`127.0.0.1:${address.port}`, ...often]);
  t.equal(gone.code, 4, 'no answer but the first');
  t.match(gone.stdout.toString(), /3 asked, 0 answered\n$/);
});

t.test('p2p-hash', async (t) => {
  const folder = t.testdir();
  writeFiles(folder, { 'a b': 'hello\n', 'new\nline': '', large: random(40 * 2 ** 20) });
  const options = { cwd: folder };
  const both = await run('p2p-hash', ['a b', 'new\nline'], options);
  t.equal(both.stdout.toString().split('\n')[0], `${HELLO}  a b`);
  t.match(both.stdout.toString().split('\n')[1], /^\\af1349.* {2}new\\nline$/);
  const large = (await run('p2p-hash', ['large'], options)).stdout.toString().split(' ')[0];
  const input = readFileSync(join(folder, 'large'));
  const piped = await run('p2p-hash', ['-'], { ...options, input });
  t.equal(piped.stdout.toString(), `${large ?? ''}  -\n`, 'file and pipe agree');
  const some = await run('p2p-hash', ['none', 'a b', '.'], options);
  t.equal(some.code, 1);
  t.match(
    some.stderr,
    /^p2p-hash: none: no such file or folder\np2p-hash: \.: not a regular file\n$/,
  );
  t.match(some.stdout.toString(), /a b\n$/, 'the others are hashed');
  try {
    const b3sum = execFileSync('b3sum', ['a b', 'new\nline'], options).toString();
    t.equal(both.stdout.toString(), b3sum, 'as b3sum prints');
  } catch {
    t.pass('not compared', { skip: 'b3sum is not installed (Debian package b3sum)' });
  }
});

t.test('wrong usage: one line, exit code 2', async (t) => {
  const folder = t.testdir({ file: 'x', share: {} });
  const share = join(folder, 'share');
  const used = await serve(t, [share, '--state', join(folder, 'state')]);
  const port = used.peer.split(':')[1] ?? '';
  const cases: [string, string[], RegExp][] = [
    ['p2p-serve', [], /^p2p-serve: <dir> is missing \(see p2p-serve --help\)/],
    ['p2p-serve', [join(folder, 'none')], /none: no such folder/],
    ['p2p-serve', [join(folder, 'file')], /file: not a folder/],
    ['p2p-serve', [share, '--port', '70000'], /port is a whole number from 0 to 65535/],
    ['p2p-serve', [share, '--port', 'x'], /port is a whole number/],
    ['p2p-serve', [share, '--port', '1', '--port', '2'], /--port is given more than once/],
    ['p2p-serve', [share, '--threads', '0'], /threads is a whole number/],
    ['p2p-serve', [share, '--nonsense'], /: unknown: --nonsense \(/],
    [
      'p2p-serve',
      [share, '--some-thing=3', '--no-other'],
      /: unknown: --some-thing, --no-other \(/,
    ],
    ['p2p-serve', [share, 'another'], /: unknown: another \(/],
    ['p2p-serve', [share, '--host', '192.0.2.1'], /does not have that address/],
    ['p2p-serve', [share, '--state', join(folder, 'file')], /cannot keep state in/],
    ['p2p-fetch', ['localhost'], /: <hash> or --all is missing/],
    ['p2p-fetch', ['localhost', ABSENT, '-o'], /: -o needs a value/],
    ['p2p-search', ['localhost', 'x', '--max'], /: --max needs a value/],
    ['p2p-fetch', ['localhost', 'abc'], /is not a hash: that is 64 .*\(this has 3 characters\)/],
    ['p2p-fetch', ['localhost', 'g'.repeat(64)], /is not a hash/],
    ['p2p-fetch', ['localhost:0', ABSENT], /is not a peer \(a port is/],
    ['p2p-fetch', ['[::1', ABSENT], /is not a peer/],
    ['p2p-fetch', [used.peer, ABSENT, '--offset', '-1'], /--offset is a whole number/],
    ['p2p-fetch', [used.peer, ABSENT, '--length', '1.5'], /--length is a whole number/],
    ['p2p-fetch', [used.peer, ABSENT, '--retry', '-1'], /--retry is a whole number/],
    ['p2p-fetch', [used.peer, ABSENT, '-o', folder], /is a folder/],
    ['p2p-search', ['localhost'], /: <words..> is missing/],
    ['p2p-search', [used.peer, 'x', '--ttl', '8'], /--ttl is a whole number from 0 to 7/],
    [
      'p2p-search',
      [used.peer, 'x', '--timeout', '61'],
      /--timeout is a number of seconds up to 60/,
    ],
    ['p2p-search', [used.peer, 'x', '--timeout', '0'], /--timeout is a number of seconds/],
    ['p2p-serve', [share, '--peer', 'a b'], /"a b" is not a peer/],
    ['p2p-serve', [share, '--advertise', 'host:0'], /is not a peer \(a port is/],
    ['p2p-serve', [share, '--max-peers', '0'], /--max-peers is a whole number from 1/],
    ['p2p-peers', [], /: <peer> is missing/],
    ['p2p-ping', ['a b'], /is not a peer/],
    ['p2p-ping', ['localhost', '--count', '0'], /--count is a whole number from 1/],
    ['p2p-ping', ['localhost', '--interval', '-1'], /--interval is a number of seconds/],
    ['p2p-hash', ['-', 'x'], /must be the only file/],
  ];
  const next = cases.entries();
  const runSome = async (): Promise<void> => {
    for (const [i, [name, args, expected]] of next) {
      // A state folder each: while one command has it, another would be refused for that.
      const env = { ...process.env, XDG_STATE_HOME: join(folder, 'xdg', `${i}`) };
      const { code, stdout, stderr } = await run(name, args, { env });
      const what = `${name} ${args.slice(-2).join(' ')}`;
      t.equal(code, 2, what);
      t.equal(stdout.length, 0);
      t.match(stderr, new RegExp(`^${name}: [^\n]*\n$`), 'one line');
      t.match(stderr, expected);
    }
  };
  await Promise.all([runSome(), runSome(), runSome()]);
  t.same(readdirSync(folder).sort(), ['file', 'share', 'state', 'xdg'], 'nothing half-written');
  const at = ['--host', '127.0.0.1', '--port', port, '--state', join(folder, 'other')];
  const taken = await run('p2p-serve', [share, ...at]);
  t.match(taken, { code: 1, stderr: /the port is in use\n$/ }, 'a failure, no wrong usage');
  const locked = await run('p2p-serve', [share, '--port', '0', '--state', join(folder, 'state')]);
  t.match(locked, { code: 1, stderr: /another node is using this state folder\n$/ });
});

t.test('not found, not reached: 3 and 4', async (t) => {
  const folder = t.testdir({ share: { a: 'a' } });
  const { peer, indexed } = await serve(t, [join(folder, 'share'), '--state', join(folder, 's')]);
  await indexed;
  const out = join(folder, 'out');
  const absent = await run('p2p-fetch', [peer, ABSENT, '-o', out]);
  t.match(absent, {
    code: 3,
    stderr: `p2p-fetch: ${peer}: no file with this hash (${ABSENT})\n`,
  });
  t.notOk(readdirSync(folder).some((name) => name.startsWith('out')));
  const http = createServer((_request, response) => response.end('hi'));
  http.listen(0, '127.0.0.1');
  await once(http, 'listening');
  t.teardown(() => {
    http.close();
  });
  const web = `127.0.0.1:${(http.address() as AddressInfo).port}`;
  t.match(await run('p2p-ping', [web]), { code: 4, stderr: /is not a peer[^\n]*\n$/ });
  const garbage = await startFake(t, (socket) => socket.end(random(100)));
  const { port } = garbage.address;
  t.match(await run('p2p-fetch', [`127.0.0.1:${port}`, ABSENT]), {
    code: 4,
    stderr: /is not a peer[^\n]*\n$/,
  });
  t.match(await run('p2p-search', ['127.0.0.1:1', 'x']), {
    code: 4,
    stderr: 'p2p-search: 127.0.0.1:1: connection refused\n',
  });
  t.match(await run('p2p-ping', ['no.such.host.invalid']), { code: 4, stderr: /[^\n]*\n$/ });
});

t.test('a file without read permission is skipped with a warning', async (t) => {
  const folder = t.testdir({ share: { good: 'good', bad: 'bad', closed: { x: 'x' } } });
  const share = join(folder, 'share');
  chmodSync(join(share, 'bad'), 0);
  chmodSync(join(share, 'closed'), 0);
  // Root reads everything: be nobody, if nobody can reach the program and the folder.
  const nobody = process.getuid?.() === 0 ? { uid: 65534, gid: 65534 } : {};
  const probe = spawn(...command('p2p-hash', [join(share, 'good')]), nobody);
  const [reached] = (await once(probe, 'exit').catch(() => [1])) as [number];
  if (reached !== 0) {
    t.pass('not run', { skip: 'started by root in a place that nobody else can read' });
    return;
  }
  mkdirSync(join(folder, 'state'));
  chmodSync(join(folder, 'state'), 0o777);
  const { indexed, stderr } = await serve(t, [share, '--state', join(folder, 'state')], nobody);
  t.match(await indexed, /^indexed 1 files, 4 bytes/);
  t.match(stderr(), /WARN: bad: EACCES; skipped\n/);
  t.match(stderr(), /WARN: closed: EACCES; skipped\n/);
  chmodSync(join(share, 'closed'), 0o755);
});

t.test('into a pipe whose reader has had enough', async (t) => {
  const folder = t.testdir();
  writeLarge(join(folder, 'share'), 30 * 2 ** 20);
  mkdirSync(join(folder, 'd'));
  execFileSync('mv', [join(folder, 'share'), join(folder, 'd')]);
  const { peer, indexed } = await serve(t, [join(folder, 'd'), '--state', join(folder, 's')]);
  await indexed;
  const hash = (await run('p2p-search', [peer, ''])).stdout.toString().slice(0, 64);
  const [program, args] = command('p2p-fetch', [peer, hash]);
  const shell = `"$0" "$@" | head -c 5 | wc -c`;
  const child = spawn('bash', ['-c', `set -o pipefail; ${shell}`, program, ...args], {
    stdio: 'pipe',
  });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  const [code] = (await once(child, 'close')) as [number];
  t.equal(stdout.trim(), '5');
  t.equal(stderr, '', 'quietly');
  t.equal(code, 0);
});

t.test('output that nobody reads', async (t) => {
  const folder = t.testdir({ share: { a: 'a', b: 'b' } });
  const shell = async (line: string, args: [string, string[]]): Promise<[number, string]> => {
    const child = spawn('bash', ['-c', `set -o pipefail; ${line}`, args[0], ...args[1]], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let stderr = '';
    child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
    const [code] = (await once(child, 'close')) as [number];
    return [code, stderr];
  };
  const { peer, indexed } = await serve(t, [join(folder, 'share'), '--state', join(folder, 's')]);
  await indexed;
  for (const [name, args] of [
    ['p2p-search', [peer, '', '--ttl', '0']],
    ['p2p-ping', [peer]],
    ['p2p-hash', [join(folder, 'share/a')]],
    ['p2p-search', ['--help']],
  ] as const) {
    t.same(await shell('"$0" "$@" | true', command(name, args)), [0, ''], `${name} | true`);
    const [code, stderr] = await shell('"$0" "$@" > /dev/full', command(name, args));
    t.equal(code, 1);
    t.match(stderr, new RegExp(`^${name}: stdout: no space left on the device\n$`));
  }
  // A server whose first line was read by a reader that then left keeps serving.
  const port = Number(peer.split(':')[1]) + 1;
  const lonely = spawn(
    ...command('p2p-serve', [
      ...[join(folder, 'share'), '--host', '127.0.0.1', '--port', '0'],
      ...['--state', join(folder, 's2')],
    ]),
    { stdio: ['ignore', 'pipe', 'pipe'] },
  );
  t.teardown(() => {
    lonely.kill('SIGKILL');
    return Promise.resolve();
  });
  const [line] = (await once(lonely.stdout, 'data')) as [Buffer];
  lonely.stdout.destroy();
  const address = / on (\S+) as/.exec(line.toString())?.[1] ?? String(port);
  for (let i = 0; i < 3; i++) {
    t.equal((await run('p2p-ping', [address])).code, 0);
  }
});

t.test('Ctrl-C on a terminal', async (t) => {
  const folder = t.testdir({ share: {} });
  writeLarge(join(folder, 'share/large'), 400 * 2 ** 20);
  const [program, args] = command('p2p-serve', [
    ...[join(folder, 'share'), '--host', '127.0.0.1', '--port', '0', '--threads', '1'],
    ...['--state', join(folder, 's')],
  ]);
  // script(1) gives it a terminal; the signal goes to the server itself, as ^C would.
  const line = `echo $$; exec ${[program, ...args].map((arg) => `'${arg}'`).join(' ')}`;
  const child = spawn('script', ['-qefc', line, '/dev/null'], {
    stdio: ['pipe', 'pipe', 'ignore'],
    env: TERMINAL,
  });
  const failed = await Promise.race([once(child, 'error'), once(child, 'spawn').then(() => [])]);
  if (failed.length > 0) {
    t.pass('not run', { skip: 'script(1) is not installed' });
    return;
  }
  let out = '';
  let killed = false;
  child.stdout.on('data', (chunk: Buffer) => {
    out += chunk.toString();
    if (killed || !out.includes('of 1 files')) return;
    killed = true;
    process.kill(Number.parseInt(out, 10), 'SIGINT');
  });
  const [code] = (await once(child, 'close')) as [number];
  t.equal(code, 0);
  t.ok(killed, 'while it was indexing');
  t.match(out, /1 of 1 files|0 of 1 files/);
  t.notMatch(out, '\u001b[?25l', 'the cursor was never hidden');
});

t.test('short of descriptors: nothing is lost', async (t) => {
  const folder = t.testdir({ share: {} });
  for (let i = 0; i < 20; i++) writeFiles(folder, { [`share/f${i}`]: random(3_000_000) });
  const [program, args] = command('p2p-serve', [
    ...[join(folder, 'share'), '--host', '127.0.0.1', '--port', '0', '--no-watch'],
    ...['--state', join(folder, 's')],
  ]);
  const child = spawn('bash', ['-c', 'ulimit -n 90; exec "$0" "$@"', program, ...args], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  t.teardown(async () => {
    child.kill('SIGKILL');
    await once(child, 'exit');
  });
  let out = '';
  while (!out.includes('indexed 20')) {
    const [chunk] = (await once(child.stdout, 'data')) as [Buffer];
    out += chunk.toString();
  }
  const [host = '', port = ''] = (/ on (\S+) as/.exec(out)?.[1] ?? '').split(':');
  const address = { host, port: Number(port) };
  const all = (await run('p2p-search', [`${host}:${port}`, ''])).stdout.toString().trim();
  const hashes = all.split('\n').map((line) => line.slice(0, 64));
  const slow: RawPeer[] = [];
  for (let i = 0; i < 24; i++) {
    const peer = await RawPeer.to(t, address);
    peer.socket.pause();
    for (const [tag, hash] of hashes.entries()) peer.send({ type: 'RQFH', hash }, tag + 1);
    slow.push(peer);
  }
  const honest = await connect(address).catch(() => undefined);
  if (honest !== undefined) for (let i = 0; i < 30; i++) await honest.ping();
  for (const peer of slow) peer.socket.destroy();
  await honest?.close();
  // The server learns one by one that they are gone; until then it may have no descriptor for us.
  let after = await connect(address).catch(() => undefined);
  for (let i = 0; i < 500 && after === undefined; i++) {
    after = await connect(address).catch(() => undefined);
  }
  t.equal((await after?.ping())?.files, 20);
  await after?.close();
});

t.test('a disk that is full', async (t) => {
  const folder = t.testdir({ share: {} });
  // Not in the test's own folder, which is removed before what follows here is undone.
  const small = mkdtempSync(join(tmpdir(), 'p2p-serve-'));
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'tmpfs', small], { stdio: 'ignore' });
  } catch {
    rmSync(small, { recursive: true });
    t.pass('not run', { skip: 'not allowed to mount a tmpfs' });
    return;
  }
  t.teardown(() => {
    execFileSync('umount', ['-l', small]);
    rmSync(small, { recursive: true });
  });
  writeLarge(join(folder, 'share/f'), 10 * 2 ** 20);
  const { peer, indexed } = await serve(t, [join(folder, 'share'), '--state', join(folder, 's')]);
  await indexed;
  const hash = (await run('p2p-search', [peer, ''])).stdout.toString().slice(0, 64);
  const out = join(small, 'f');
  const full = await run('p2p-fetch', [peer, hash, '-o', out]);
  t.equal(full.code, 1);
  t.match(full.stderr, /p2p-fetch: [^\n]*\/f: no space left on the device\n$/);
  t.notOk(existsSync(out));
  const part = readFileSync(partOf(out, hash));
  t.ok(part.equals(readFileSync(join(folder, 'share/f')).subarray(0, part.length)));
});

t.test('a large file takes no more memory than a small one', async (t) => {
  const root = t.testdir();
  /** Serve and fetch a file, sparse but for a mark in every 64 MiB. @returns the most MiB that each command had */
  const peaks = async (size: number): Promise<Map<string, number>> => {
    const folder = mkdtempSync(join(root, 'size-'));
    mkdirSync(join(folder, 'share'));
    const fd = openSync(join(folder, 'share/file'), 'w');
    truncateSync(join(folder, 'share/file'), size);
    for (let at = 0; at < size; at += 64 * 2 ** 20) writeSync(fd, `mark ${at}`, at);
    closeSync(fd);
    const server = await serve(t, [join(folder, 'share'), '--state', join(folder, 's')], {
      nodeArgs: PEAK,
    });
    await server.indexed;
    const hash = (await run('p2p-search', [server.peer, ''])).stdout.toString().slice(0, 64);
    // The bytes are compared where they can be told apart; that all are right is what the exit says.
    for (const at of [0, 64 * 2 ** 20, size - 64 * 2 ** 20]) {
      const range = ['--offset', `${at}`, '--length', `${`mark ${at}`.length}`];
      const { stdout } = await run('p2p-fetch', [server.peer, hash, ...range]);
      t.equal(stdout.toString(), `mark ${at}`);
    }
    const whole = [server.peer, hash, '-o', '/dev/null'];
    const { code, stderr } = await run('p2p-fetch', whole, { nodeArgs: PEAK });
    t.equal(code, 0);
    server.child.kill('SIGTERM');
    await once(server.child, 'close');
    const peakOf = (text: string): number => Number(/^peak (\d+) MiB$/m.exec(text)?.[1]);
    return new Map([
      ['p2p-fetch', peakOf(stderr)],
      ['p2p-serve', peakOf(server.stderr())],
    ]);
  };
  const small = await peaks(128 * 2 ** 20);
  const large = await peaks(sizeOf(640 * 2 ** 20, 5 * 2 ** 30));
  for (const [name, peak] of large) {
    // Node itself takes 40 to 60 MiB, more with each version; how much is in memory at once varies by some more.
    const most = (small.get(name) ?? NaN) + 40;
    t.comment(`${name}: at most ${peak} MiB resident`);
    t.ok(peak < most, `${name}: ${peak} of ${most} MiB`);
  }
});

/** What is answered to which request (RFC 9110, 9112): a table, on a node with a folder. */
import { writeFileSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from '../fixtures/tap.js';
import type { PeerNode } from '../../lib/node.js';
import { random } from '../fixtures/bytes.js';
import {
  ask,
  exchange,
  partsOf,
  requestText,
  responsesOf,
  type Response,
} from '../fixtures/http.js';
import { startIndexed } from '../fixtures/node.js';

/** BLAKE3 of `hello\n`, as b3sum prints it. */
const HELLO = '8e4c7c1b99dbfd50e7a95185fead5ee1448fa904a2fdd778eaf5f2dbfd629a99';
const OTHER = HELLO.replace('8', '9');
const TAG = `"${HELLO}"`;
const DATE = 'Tue, 03 Feb 2026 04:05:06 GMT';
const BEFORE = 'Tue, 03 Feb 2026 04:05:05 GMT';
const MEDIUM = random(40_000);
const LARGE = random(3_000_000);

async function start(t: Test): Promise<PeerNode> {
  const folder = t.testdir({
    'hello.txt': 'hello\n',
    empty: '',
    'page.html': '<script>document.title = 1</script>',
    'image.svg': '<svg xmlns="http://www.w3.org/2000/svg"><script>1</script></svg>',
    'code.js': 'self.x = 1;',
    'style.css': 'a{}',
    'odd "name"; \\x=1 é.txt': 'odd',
    sub: { 'caf\u00e9.txt': 'composed', 'nai\u0308ve.txt': 'decomposed', deep: { file: 'deep' } },
  });
  writeFileSync(join(folder, 'medium.bin'), MEDIUM);
  writeFileSync(join(folder, 'large.bin'), LARGE);
  const time = Date.parse(DATE) / 1000;
  utimesSync(join(folder, 'hello.txt'), time, time);
  return startIndexed(t, folder);
}

type Row = readonly [
  what: string,
  target: string,
  headers: Record<string, string>,
  status: number,
  wanted: { body?: string; headers?: Record<string, string | RegExp | undefined> },
];

const HELLO_FILE = '/files/hello.txt';
const ROWS: readonly Row[] = [
  [
    'a file',
    HELLO_FILE,
    {},
    200,
    {
      body: 'hello\n',
      headers: {
        etag: TAG,
        'last-modified': DATE,
        'content-length': '6',
        'content-type': 'text/plain; charset=utf-8',
        'accept-ranges': 'bytes',
        'x-content-type-options': 'nosniff',
        'cache-control': 'no-cache',
        link: `</hash/${HELLO}/hello.txt>; rel=duplicate`,
        'content-security-policy': undefined,
      },
    },
  ],
  ['an empty file', '/files/empty', {}, 200, { body: '', headers: { 'content-length': '0' } }],
  [
    'by hash',
    `/hash/${HELLO}`,
    {},
    200,
    {
      body: 'hello\n',
      headers: {
        'cache-control': /immutable/,
        'content-type': 'text/plain; charset=utf-8',
        link: '</files/hello.txt>; rel=duplicate',
      },
    },
  ],
  [
    'by hash, as something else',
    `/hash/${HELLO.toUpperCase()}/a%20song.mp3`,
    {},
    200,
    {
      body: 'hello\n',
      headers: {
        'content-type': 'audio/mpeg',
        'content-disposition': 'inline; filename="a song.mp3"',
      },
    },
  ],
  ['no such hash', `/hash/${OTHER}`, {}, 404, {}],
  ['no hash', '/hash/hello', {}, 404, {}],
  ['a folder in a hash', `/hash/${HELLO}/a/b`, {}, 404, {}],
  ['no such file', '/files/hello', {}, 404, { headers: { 'x-content-type-options': 'nosniff' } }],
  ['out of the share', '/files/../../etc/passwd', {}, 404, {}],
  ['out of the share, encoded', '/files/%2e%2e/%2e%2e%2fetc/passwd', {}, 404, {}],
  ['NUL', '/files/hello.txt%00', {}, 404, {}],
  ['a percent sign and no digits', '/files/%zz', {}, 404, {}],
  ['no such room', '/etc', {}, 404, {}],
  ['the composed form', '/files/sub/caf%C3%A9.txt', {}, 200, { body: 'composed' }],
  ['the decomposed form of it', '/files/sub/cafe%CC%81.txt', {}, 200, { body: 'composed' }],
  ['the composed form of another', '/files/sub/na%C3%AFve.txt', {}, 200, { body: 'decomposed' }],
  ['Latin-1', '/files/sub/caf%e9.txt', {}, 200, { body: 'composed' }],
  ['all of it encoded', '/%66iles/%68ello%2Etxt', {}, 200, { body: 'hello\n' }],
  ['a slash encoded', '/files/sub%2Fdeep%2Ffile', {}, 200, { body: 'deep' }],
  [
    'an odd name',
    '/files/odd%20%22name%22;%20%5Cx=1%20%C3%A9.txt',
    {},
    200,
    {
      body: 'odd',
      headers: {
        'content-disposition':
          'inline; filename="odd \\"name\\"; \\\\x=1 ?.txt"; ' +
          "filename*=UTF-8''odd%20%22name%22%3B%20%5Cx%3D1%20%C3%A9.txt",
      },
    },
  ],
  [
    'as an attachment',
    `${HELLO_FILE}?download`,
    {},
    200,
    { headers: { 'content-disposition': 'attachment; filename=hello.txt' } },
  ],
  // Nothing of the share runs in this server's origin.
  ['HTML', '/files/page.html', {}, 200, { headers: { 'content-security-policy': /^sandbox;/ } }],
  ['SVG', '/files/image.svg', {}, 200, { headers: { 'content-security-policy': /^sandbox;/ } }],
  [
    'HTML by a name that it has not',
    `/hash/${HELLO}/x.xhtml`,
    {},
    200,
    { headers: { 'content-security-policy': /^sandbox;/ } },
  ],
  ['a script', '/files/code.js', {}, 200, { headers: { 'content-type': /^text\/plain/ } }],
  ['a style', '/files/style.css', {}, 200, { headers: { 'content-type': /^text\/plain/ } }],
  // Conditions (RFC 9110, section 13).
  ['has it', HELLO_FILE, { 'If-None-Match': TAG }, 304, { headers: { etag: TAG } }],
  ['has it, weakly', HELLO_FILE, { 'If-None-Match': `"x", W/${TAG}` }, 304, {}],
  ['has anything', HELLO_FILE, { 'If-None-Match': '*' }, 304, {}],
  ['has another', HELLO_FILE, { 'If-None-Match': `"${OTHER}"` }, 200, {}],
  ['has it by date', HELLO_FILE, { 'If-Modified-Since': DATE }, 304, {}],
  [
    'by date as RFC 850 wrote it',
    HELLO_FILE,
    { 'If-Modified-Since': 'Tuesday, 03-Feb-26 04:05:06 GMT' },
    304,
    {},
  ],
  ['by asctime', HELLO_FILE, { 'If-Modified-Since': 'Tue Feb  3 04:05:06 2026' }, 304, {}],
  ['has an older one', HELLO_FILE, { 'If-Modified-Since': BEFORE }, 200, {}],
  ['no date', HELLO_FILE, { 'If-Modified-Since': '2026' }, 200, {}],
  [
    'the tag counts, not the date',
    HELLO_FILE,
    { 'If-None-Match': '"x"', 'If-Modified-Since': DATE },
    200,
    {},
  ],
  ['wants what is there', HELLO_FILE, { 'If-Match': TAG }, 200, {}],
  ['wants anything', HELLO_FILE, { 'If-Match': '*' }, 200, {}],
  ['wants another', HELLO_FILE, { 'If-Match': '"x"' }, 412, {}],
  ['weakly what is there', HELLO_FILE, { 'If-Match': `W/${TAG}` }, 412, {}],
  ['unmodified', HELLO_FILE, { 'If-Unmodified-Since': DATE }, 200, {}],
  ['modified since', HELLO_FILE, { 'If-Unmodified-Since': BEFORE }, 412, {}],
  // Ranges (section 14).
  [
    'the first two bytes',
    HELLO_FILE,
    { Range: 'bytes=0-1' },
    206,
    { body: 'he', headers: { 'content-range': 'bytes 0-1/6', 'content-length': '2' } },
  ],
  ['the last two', HELLO_FILE, { Range: 'bytes=-2' }, 206, { body: 'o\n' }],
  ['more than there is', HELLO_FILE, { Range: 'bytes=4-99' }, 206, { body: 'o\n' }],
  ['more than all', HELLO_FILE, { Range: 'bytes=-99' }, 206, { body: 'hello\n' }],
  ['from one on', HELLO_FILE, { Range: 'BYTES= 1- ' }, 206, { body: 'ello\n' }],
  ['two that touch', HELLO_FILE, { Range: 'bytes=0-1,2-2' }, 206, { body: 'hel' }],
  ['one of two', HELLO_FILE, { Range: 'bytes=0-1,9-' }, 206, { body: 'he' }],
  [
    'beyond the end',
    HELLO_FILE,
    { Range: 'bytes=6-' },
    416,
    { headers: { 'content-range': 'bytes */6' } },
  ],
  ['none', HELLO_FILE, { Range: 'bytes=-0' }, 416, {}],
  ['backwards', HELLO_FILE, { Range: 'bytes=3-1' }, 200, { body: 'hello\n' }],
  ['in lines', HELLO_FILE, { Range: 'lines=0-1' }, 200, { body: 'hello\n' }],
  ['no range', HELLO_FILE, { Range: 'bytes=a-b' }, 200, { body: 'hello\n' }],
  ['of nothing', '/files/empty', { Range: 'bytes=0-' }, 416, {}],
  ['the end of nothing', '/files/empty', { Range: 'bytes=-5' }, 200, { body: '' }],
  [
    'too many',
    '/files/large.bin',
    { Range: `bytes=${Array.from({ length: 65 }, (_, i) => `${i * 9}-${i * 9}`).join()}` },
    200,
    { headers: { 'content-length': '3000000' } },
  ],
  [
    'the rest of what it has',
    HELLO_FILE,
    { Range: 'bytes=1-', 'If-Range': TAG },
    206,
    { body: 'ello\n' },
  ],
  ['by date', HELLO_FILE, { Range: 'bytes=1-', 'If-Range': DATE }, 206, { body: 'ello\n' }],
  [
    'the rest of another',
    HELLO_FILE,
    { Range: 'bytes=1-', 'If-Range': '"x"' },
    200,
    { body: 'hello\n' },
  ],
  ['weakly', HELLO_FILE, { Range: 'bytes=1-', 'If-Range': `W/${TAG}` }, 200, { body: 'hello\n' }],
  ['of an older one', HELLO_FILE, { Range: 'bytes=1-', 'If-Range': BEFORE }, 200, {}],
  ['has it, and a range', HELLO_FILE, { Range: 'bytes=0-1', 'If-None-Match': TAG }, 304, {}],
  // Folders.
  ['the page', '/', {}, 200, { headers: { 'content-security-policy': /script-src 'self'/ } }],
  ['its script', '/page/app.js', {}, 200, { headers: { 'content-type': /^text\/javascript/ } }],
  ['no file of it', '/page/../assets.js', {}, 404, {}],
  ['the room', '/files', {}, 301, { headers: { location: '/files/' } }],
  ['a folder without its slash', '/files/sub', {}, 301, { headers: { location: '/files/sub/' } }],
  ['a file with a slash', '/files/hello.txt/', {}, 404, {}],
  ['two slashes', '/files//sub/', {}, 404, {}],
  [
    'a folder as a page',
    '/files/sub/',
    {},
    200,
    {
      body: undefined,
      headers: { 'content-type': 'text/html; charset=utf-8', vary: 'Accept' },
    },
  ],
  ['a page of it that begins nowhere', '/files/?max=0', { Accept: 'application/json' }, 400, {}],
  // Hosts.
  ['an address', '/healthz', { Host: '127.0.0.1:7000' }, 200, { body: 'ok\n' }],
  ['IPv6', '/healthz', { Host: '[::1]:7000' }, 200, {}],
  ['with a dot', '/healthz', { Host: 'LOCALHOST.' }, 200, {}],
  ['another site', '/healthz', { Host: 'evil.example' }, 421, {}],
  ['a name that begins as an address', '/healthz', { Host: '127.0.0.1.evil.example' }, 421, {}],
  ['no host', '/healthz', { Host: '' }, 421, {}],
  ['the target counts', 'http://evil.example/healthz', {}, 421, {}],
  ['the whole target', 'http://localhost/healthz', { Host: 'evil.example' }, 200, {}],
];

t.test('a table', async (t) => {
  const { address } = await start(t);
  for (const [what, target, headers, status, wanted] of ROWS) {
    const got = await ask(address, 'GET', target, headers);
    t.equal(got.status, status, `${what}: ${got.status}`);
    if (wanted.body !== undefined) t.equal(got.body.toString(), wanted.body, `${what}: body`);
    for (const [name, value] of Object.entries(wanted.headers ?? {})) {
      const own = got.headers[name];
      const isRight = value instanceof RegExp ? value.test(own ?? '') : own === value;
      t.ok(isRight, `${what}: ${name}: ${own}`);
    }
    // HEAD says the same, and no more; a range is for GET alone.
    if (headers['Range'] !== undefined) continue;
    const head = await ask(address, 'HEAD', target, headers);
    t.equal(head.status, got.status, `HEAD, ${what}`);
    t.same(without(head.headers), without(got.headers), `HEAD, ${what}`);
  }
});

function without(headers: Response['headers']): Response['headers'] {
  const { date, ...others } = headers;
  return { ...others, isDated: String(date !== undefined) };
}

t.test('folders as JSON', async (t) => {
  const { address } = await start(t);
  const json = async (target: string): Promise<unknown> => {
    const { body } = await ask(address, 'GET', target, { Accept: 'application/json' });
    return JSON.parse(body.toString()) as unknown;
  };
  const entries = (names: string[]): object[] =>
    names.map((name) =>
      name.endsWith('/') ? { name: name.slice(0, -1), type: 'folder' } : { name, type: 'file' },
    );
  t.match(await json('/files/sub/'), {
    path: 'sub',
    entries: entries(['deep/', 'caf\u00e9.txt', 'nai\u0308ve.txt']),
    next: null,
  });
  t.match(await json('/files/?max=2'), { path: '', entries: entries(['sub/', 'code.js']) });
  // One page after the other brings everything once.
  const names: string[] = [];
  let after: string | null = '';
  do {
    const page = (await json(`/files/?max=1&after=${encodeURIComponent(after)}`)) as {
      entries: { name: string }[];
      next: string | null;
    };
    t.equal(page.entries.length, 1);
    names.push(...page.entries.map(({ name }) => name));
    after = page.next;
  } while (after !== null);
  t.same(names, ['sub', ...[...names.slice(1)].sort()]);
  t.equal(new Set(names).size, 10);
  const [hello] = ((await json('/files/')) as { entries: { name: string }[] }).entries.filter(
    ({ name }) => name === 'hello.txt',
  );
  const modified = Date.parse(DATE) / 1000;
  t.same(hello, { name: 'hello.txt', type: 'file', size: 6, modified, hash: HELLO });
});

t.test('files of every size, whole and in parts', async (t) => {
  const { address } = await start(t);
  for (const [name, content] of [
    ['medium.bin', MEDIUM],
    ['large.bin', LARGE],
  ] as const) {
    const whole = await ask(address, 'GET', `/files/${name}`);
    t.ok(whole.body.equals(content), name);
    const part = await ask(address, 'GET', `/files/${name}`, { Range: 'bytes=1000-39000' });
    t.ok(part.body.equals(content.subarray(1000, 39_001)), name);
    const several = await ask(address, 'GET', `/files/${name}`, {
      Range: 'bytes=30000-, 5-9,20-20000',
    });
    t.equal(several.status, 206);
    const size = content.length;
    t.same(
      partsOf(several).map(({ range }) => range),
      [`bytes 30000-${size - 1}/${size}`, `bytes 5-9/${size}`, `bytes 20-20000/${size}`],
    );
    const slices = [
      content.subarray(30_000),
      content.subarray(5, 10),
      content.subarray(20, 20_001),
    ];
    t.ok(partsOf(several).every(({ bytes }, i) => bytes.equals(slices[i] ?? bytes.subarray(1))));
  }
  const small = await ask(address, 'GET', HELLO_FILE, { Range: 'bytes=0-0,4-' });
  t.same(
    partsOf(small).map(({ bytes }) => bytes.toString()),
    ['h', 'o\n'],
  );
});

t.test('one connection', async (t) => {
  const { address } = await start(t);
  await t.test('requests that follow one another, also at once', async (t) => {
    const targets = ['large.bin', 'hello.txt', 'none', 'medium.bin', 'empty', 'large.bin'];
    const texts = targets.map((name, i) =>
      requestText(i === 4 ? 'HEAD' : 'GET', `/files/${name}`, i < 5 ? {} : { Connection: 'close' }),
    );
    const got = responsesOf(
      await exchange(address, texts.join('')),
      targets.map((_, i) => (i === 4 ? 'HEAD' : 'GET')),
    );
    t.same(
      got.map(({ status }) => status),
      [200, 200, 404, 200, 200, 200],
    );
    t.ok(got[0]?.body.equals(LARGE));
    t.ok(got[3]?.body.equals(MEDIUM));
    t.ok(got[5]?.body.equals(LARGE));
  });
  await t.test('500 at once', async (t) => {
    const one = requestText('GET', HELLO_FILE);
    const last = requestText('GET', HELLO_FILE, { Connection: 'close' });
    const got = responsesOf(await exchange(address, one.repeat(499) + last));
    t.equal(got.length, 500);
    t.ok(got.every(({ body }) => body.toString() === 'hello\n'));
  });
  await t.test('HTTP/1.0', async (t) => {
    const got = responsesOf(await exchange(address, `GET ${HELLO_FILE} HTTP/1.0\r\n\r\n`));
    t.match(got, [{ status: 200, headers: { connection: 'close' } }]);
    const kept = `GET ${HELLO_FILE} HTTP/1.0\r\nConnection: keep-alive\r\n\r\n`;
    const both = await exchange(address, `${kept}GET /healthz HTTP/1.0\r\n\r\n`);
    t.same(
      responsesOf(both).map(({ body }) => body.toString()),
      ['hello\n', 'ok\n'],
    );
  });
  await t.test('a client that ends its half', async (t) => {
    const { connect } = await import('node:net');
    const socket = connect({ ...address, allowHalfOpen: true });
    const chunks: Buffer[] = [];
    socket.on('data', (chunk: Buffer) => chunks.push(chunk));
    socket.end(requestText('GET', '/files/large.bin'));
    await new Promise((resolve) => socket.once('end', resolve));
    socket.destroy();
    t.ok(responsesOf(Buffer.concat(chunks))[0]?.body.equals(LARGE));
  });
  await t.test('byte by byte', async (t) => {
    const socket = (await import('node:net')).connect(address);
    const chunks: Buffer[] = [];
    socket.on('data', (chunk: Buffer) => chunks.push(chunk));
    for (const byte of Buffer.from(requestText('GET', HELLO_FILE, { Connection: 'close' }))) {
      await new Promise((resolve) => socket.write(Uint8Array.of(byte), resolve));
    }
    await new Promise((resolve) => socket.once('close', resolve));
    t.equal(responsesOf(Buffer.concat(chunks))[0]?.body.toString(), 'hello\n');
  });
});

t.test('who is answered', async (t) => {
  const folder = t.testdir({ 'hello.txt': 'hello\n' });
  const named = await startIndexed(t, folder, {
    httpHosts: ['files.example'],
    advertise: 'node.example:7000',
  });
  for (const Host of ['files.example', 'Node.Example:7000']) {
    t.equal((await ask(named.address, 'GET', '/healthz', { Host })).status, 200, Host);
  }
  const without = await startIndexed(t, folder, { http: false });
  t.notMatch(String(await exchange(without.address, requestText('GET', '/'))), /HTTP/);
  // Where only some peers may use the node, this machine may by HTTP.
  const closed = await startIndexed(t, folder, { allow: [] });
  t.equal((await ask(closed.address, 'GET', HELLO_FILE)).status, 200);
});

t.test('methods, bodies and expectations', async (t) => {
  const { address } = await start(t);
  const row = async (text: string, statuses: number[]): Promise<void> => {
    const got = responsesOf(await exchange(address, text));
    t.same(
      got.map(({ status }) => status),
      statuses,
      JSON.stringify(text),
    );
    t.ok(got.every(({ headers }) => headers['x-content-type-options'] === 'nosniff'));
  };
  const close = { Connection: 'close' };
  for (const method of ['POST', 'PUT', 'DELETE', 'PATCH', 'TRACE']) {
    const { status, headers } = await ask(address, method, HELLO_FILE);
    t.equal(status, 405, method);
    t.match(headers['allow'], /GET, HEAD/);
  }
  await row(requestText('CONNECT', 'localhost:80'), [405]);
  await row(requestText('OPTIONS', '*', close), [200]);
  await row(requestText('GET', HELLO_FILE, { Expect: '100-continue', ...close }), [200]);
  await row(requestText('GET', HELLO_FILE, { Expect: 'a miracle', ...close }), [200]);
  await row(requestText('GET', HELLO_FILE, { Upgrade: 'h2c', ...close }), [200]);
  // A body is never read: the connection ends.
  const body = requestText('GET', HELLO_FILE, { 'Content-Length': '4' });
  await row(`${body}abcd${requestText('GET', '/healthz')}`, [200]);
  await row(requestText('POST', '/', { Expect: '100-continue', 'Content-Length': '4' }), [405]);
  // HTTP/2 without TLS.
  await row('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', [400]);
});

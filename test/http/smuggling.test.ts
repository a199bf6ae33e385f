/**
 * Requests that two servers may read in two ways, so that one of them takes for a request what the other takes for
 * something else (request smuggling, RFC 9112, section 11.2). Each is refused, or nothing that comes after it is read.
 */
import t from '../fixtures/tap.js';
import { exchange, responsesOf } from '../fixtures/http.js';
import { startIndexed } from '../fixtures/node.js';

const LINE = 'GET /healthz HTTP/1.1';
const HOST = 'Host: localhost\r\n';
const NEXT = `${LINE}\r\n${HOST}Connection: close\r\n\r\n`;

/** What the request has, its head, and the answers to it and to one more behind it. */
type Row = readonly [what: string, headers: string, statuses: readonly number[], line?: string];

const ROWS: readonly Row[] = [
  ['nothing wrong', HOST, [200, 200]],
  // How long is it?
  ['a length and chunks', `${HOST}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n`, [400]],
  ['chunks and a length', `${HOST}Transfer-Encoding: chunked\r\nContent-Length: 4\r\n`, [400]],
  ['two lengths', `${HOST}Content-Length: 0\r\nContent-Length: 5\r\n`, [400]],
  ['a length twice', `${HOST}Content-Length: 0\r\nContent-Length: 0\r\n`, [400]],
  ['a list of lengths', `${HOST}Content-Length: 0, 0\r\n`, [400]],
  ['a length with a sign', `${HOST}Content-Length: +0\r\n`, [400]],
  ['a length below 0', `${HOST}Content-Length: -1\r\n`, [400]],
  ['a length in hexadecimal', `${HOST}Content-Length: 0x0\r\n`, [400]],
  ['an empty length', `${HOST}Content-Length: \r\n`, [400]],
  ['a length above all', `${HOST}Content-Length: ${'9'.repeat(23)}\r\n`, [400]],
  ['a space before the colon', `${HOST}Content-Length : 0\r\n`, [400]],
  ['a body', `${HOST}Content-Length: ${NEXT.length}\r\n`, [200]],
  ['chunks', `${HOST}Transfer-Encoding: chunked\r\n`, [200]],
  ['chunks in HTTP/1.0', `${HOST}Transfer-Encoding: chunked\r\n`, [200], 'GET /healthz HTTP/1.0'],
  ['chunks that are none', `${HOST}Transfer-Encoding: xchunked\r\n`, [200]],
  ['another encoding', `${HOST}Transfer-Encoding: identity\r\n`, [200]],
  ['another after it', `${HOST}Transfer-Encoding: chunked, identity\r\n`, [400]],
  ['twice', `${HOST}Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n`, [400]],
  ['after a tab', `${HOST}Transfer-Encoding:\tchunked\r\n`, [200]],
  ['after a vertical tab', `${HOST}Transfer-Encoding: \x0bchunked\r\n`, [400]],
  ['before the colon, a space', `${HOST}Transfer-Encoding : chunked\r\n`, [400]],
  ['folded', `${HOST}Transfer-Encoding:\r\n chunked\r\n`, [400]],
  ['a line folded', `${HOST}X: a\r\n b\r\n`, [400]],
  // Where does a line end?
  ['NUL', `${HOST}X: a\0b\r\n`, [400]],
  ['CR alone', `${HOST}X: a\rContent-Length: 5\r\n`, [400]],
  ['LF alone', `${HOST}X: a\nContent-Length: 5\r\n`, [400]],
  ['a name with a space', `${HOST}X Y: 1\r\n`, [400]],
  ['no name', `${HOST}: 1\r\n`, [400]],
  ['no colon', `${HOST}X\r\n`, [400]],
  ['bytes above ASCII', `${HOST}X: \x80\xff\r\n`, [200, 200]],
  // What is asked of whom?
  ['two spaces', HOST, [200, 200], 'GET  /healthz HTTP/1.1'],
  ['a space at the end', HOST, [400], 'GET /healthz HTTP/1.1 '],
  ['another version', HOST, [400], 'GET /healthz HTTP/1.2'],
  ['one that is not there yet', HOST, [400], 'GET /healthz HTTP/9.9'],
  ['no version', HOST, [200], 'GET /healthz'],
  ['no path', HOST, [400], 'GET healthz HTTP/1.1'],
  ['a part of a page', HOST, [404, 200], 'GET /healthz#x HTTP/1.1'],
  ['an empty line before it', HOST, [200, 200], `\r\n${LINE}`],
  ['no host', '', [400]],
  ['two hosts', HOST + HOST, [400]],
  ['two in one', 'Host: localhost, evil.example\r\n', [421, 200]],
  ['a user', 'Host: a@localhost\r\n', [421, 200]],
  ['a path', 'Host: localhost/x\r\n', [421, 200]],
  ['a user in the target', HOST, [421, 200], 'GET http://localhost@evil.example/ HTTP/1.1'],
  ['a host behind many headers', `${'a:\r\n'.repeat(2500)}${HOST}Host: evil.example\r\n`, [400]],
  // How much may it be?
  ['a long header', `${HOST}X: ${'a'.repeat(17_000)}\r\n`, [431]],
  ['many headers', `${HOST}${'a:\r\n'.repeat(2500)}`, [200, 200]],
  ['a long target', HOST, [431], `GET /${'a'.repeat(17_000)} HTTP/1.1`],
  // Something else?
  ['HTTP/2', `${HOST}Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\n`, [200]],
  ['a web socket', `${HOST}Upgrade: websocket\r\nConnection: Upgrade\r\n`, [200]],
  ['an answer before its body', `${HOST}Expect: 100-continue\r\nContent-Length: 9\r\n`, [200]],
];

t.test('each by itself', async (t) => {
  const { address } = await startIndexed(t, t.testdir({}));
  for (const [what, headers, statuses, line = LINE] of ROWS) {
    const text = Buffer.from(`${line}\r\n${headers}\r\n${NEXT}`, 'latin1');
    const got = responsesOf(await exchange(address, text)).map(({ status }) => status);
    t.same(got, statuses, what);
  }
});

t.test('all behind one another: nothing is read behind the first that is wrong', async (t) => {
  const { address } = await startIndexed(t, t.testdir({}));
  for (const [what, headers, statuses, line = LINE] of ROWS) {
    if (statuses.length > 1) continue;
    const before = `${LINE}\r\n${HOST}\r\n`.repeat(3);
    const text = Buffer.from(`${before}${line}\r\n${headers}\r\n${NEXT}`, 'latin1');
    const got = responsesOf(await exchange(address, text)).map(({ status }) => status);
    t.same(got, [200, 200, 200, ...statuses], what);
  }
});

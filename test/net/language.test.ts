/** What a connection speaks is known as soon as its first bytes tell it apart. */
import t from 'tap';
import { languageOf } from '../../lib/net/language.js';
import { encodeMessage } from '../../lib/wire/messages.js';
import { HELLO } from '../fixtures/messages.js';

/** What is thought of the first bytes, one after the other, until it is known. */
function thoughts(first: Uint8Array | string): (string | undefined)[] {
  const bytes = Buffer.from(first);
  const all: (string | undefined)[] = [];
  for (let length = 1; length <= bytes.length && all.at(-1) === undefined; length++) {
    all.push(languageOf(bytes.subarray(0, length)));
  }
  return all;
}

t.test('methods of HTTP', (t) => {
  for (const method of ['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH', 'PRI']) {
    const found = thoughts(`${method} * HTTP/1.1`);
    t.equal(found.at(-1), 'http', method);
    t.ok(found.length <= 5);
  }
  t.end();
});

t.test('frames of every kind, and what is neither', (t) => {
  const messages = [
    encodeMessage({ type: 'PING', info: { version: 1 } }, 1),
    encodeMessage({ type: 'RQLT' }, 0x2000_0000),
    encodeMessage({ type: 'RQFH', hash: HELLO }, 2),
    encodeMessage({ type: 'RQFS', query: 'HEAD ', ttl: 0 }, 3),
  ];
  for (const message of messages) t.equal(thoughts(message).at(-1), 'frames');
  for (const bytes of ['get / ', 'GETS', '\0', '\xff', 'HEADS', ' GET /']) {
    t.equal(thoughts(bytes).at(-1), 'frames', bytes);
  }
  t.same(thoughts(Uint8Array.of(0x16, 3, 1)), ['tls']);
  t.end();
});

/** A line that is slower than the time in which an answer must come, and full all the time. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from '../fixtures/tap.js';
import { random, writeFiles } from '../fixtures/bytes.js';
import { bytesOf, listOf, startIndexed } from '../fixtures/node.js';
import { ThrottledRelay } from '../fixtures/throttled-relay.js';
import { connect } from '../fixtures/transport.js';

/** Bytes a second, and bytes of what is asked for at once: a list of files, and a body beside it. */
const RATE = 60_000;
const BODY = 100_000;
const NAMES = 700;
const ANSWER_TIMEOUT = 2000;

t.test('bytes of an answer are progress, and what others send is no silence', async (t) => {
  const folder = t.testdir();
  const long = (i: number): string => `${i}-${'x'.repeat(200)}`;
  const files = Object.fromEntries(Array.from({ length: NAMES }, (_, i) => [long(i), '']));
  writeFiles(folder, files);
  const body = random(BODY);
  writeFileSync(join(folder, 'body'), body);
  const node = await startIndexed(t, folder, { workers: false });
  const relay = new ThrottledRelay(node.address, { rate: RATE });
  t.teardown(() => relay.close());
  const peer = await connect(await relay.listen(), { answerTimeout: ANSWER_TIMEOUT });
  t.teardown(() => peer.close());
  const [found] = await listOf(peer.search('body'));
  const begin = performance.now();
  const [list, bytes] = await Promise.all([
    listOf(peer.search('x')),
    bytesOf(peer.fetch(found?.hash ?? '')),
  ]);
  const took = performance.now() - begin;
  t.ok(took > ANSWER_TIMEOUT, `all of it takes longer than that: ${took.toFixed(0)} ms`);
  t.equal(list.length, NAMES);
  t.ok(bytes.equals(body));
});

import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { setImmediate as turn } from 'node:timers/promises';
import type { Worker } from 'node:worker_threads';
import t from 'tap';
import { hashBlock } from '../../../lib/hash/blake3.js';
import { BlockChecker } from '../../../lib/fetch/receive/block-checker.js';
import { RUN_BLOCKS, SharedRun } from '../../../lib/fetch/receive/shared-run.js';
import type { ReceivedBlock } from '../../../lib/fetch/receive/body-verifier.js';
import { BLOCK_BYTES } from '../../../lib/wire/body.js';

/** Fill a run with blocks; their hashes are right but for those of `wrong`. */
function fill(run: SharedRun, count: number, wrong: readonly number[] = []): ReceivedBlock[] {
  return Array.from({ length: count }, (_, index) => {
    // The last one is short.
    const bytes = index === count - 1 ? 1000 : BLOCK_BYTES;
    const whole = run.memory.subarray(index * BLOCK_BYTES, index * BLOCK_BYTES + bytes);
    randomBytes(bytes).copy(whole);
    const hash = hashBlock(whole);
    if (wrong.includes(index)) whole[bytes >> 1] = (whole[bytes >> 1] ?? 0) ^ 1;
    const block = { start: index * BLOCK_BYTES, bytes: whole, buffer: run.memory };
    return { index, whole, hash, block };
  });
}

/** A checker whose thread is there, and the thread. */
async function startChecker(): Promise<{ checker: BlockChecker; worker: Worker; run: SharedRun }> {
  const started = once(process, 'worker') as Promise<[Worker]>;
  const checker = new BlockChecker();
  const run = checker.makeRun();
  const blocks = fill(run, RUN_BLOCKS);
  for (let i = 0; i < 10; i++) await checker.check(run, 0, blocks);
  const [worker] = await started;
  worker.ref();
  await once(worker, 'message');
  await turn();
  return { checker, worker, run };
}

t.test('here and in the thread: how many are right', async (t) => {
  const here = new BlockChecker();
  const { checker, worker } = await startChecker();
  t.teardown(() => worker.terminate());
  let answers = 0;
  worker.on('message', () => answers++);
  for (const one of [here, checker]) {
    const [a, b] = [one.makeRun(), one.makeRun()];
    const good = fill(a, RUN_BLOCKS);
    const bad = fill(b, 3, [1, 2]);
    const [all, first, last] = await Promise.all([
      one.check(a, 0, good),
      one.check(b, 0, bad),
      one.check(a, 5, good.slice(5)),
    ]);
    t.same([all, first, last], [RUN_BLOCKS, 1, RUN_BLOCKS - 5]);
    one.forget(a);
    one.forget(b);
  }
  t.equal(answers, 3, 'the second was asked');
});

t.test('a thread that dies: what it had, and all that follows, is compared here', async (t) => {
  const { checker, worker, run } = await startChecker();
  const bad = fill(run, 4, [2]);
  // Comes before the blocks, and is too much for it.
  worker.postMessage(null);
  t.equal(await checker.check(run, 0, bad), 2);
  t.equal(await checker.check(run, 0, bad), 2);
});

import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { closeSync, existsSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate as turn } from 'node:timers/promises';
import type { Worker } from 'node:worker_threads';
import t from 'tap';
import { FileWriter } from '../../lib/disk/file-writer.js';

const MIB = 1024 * 1024;

/** A writer whose thread is there, and the thread. */
async function startWriter(): Promise<{ writer: FileWriter; worker: Worker }> {
  const started = once(process, 'worker') as Promise<[Worker]>;
  const writer = new FileWriter();
  const bytes = new Uint8Array(new SharedArrayBuffer(MIB));
  for (let i = 0; i < 33; i++) writer.takes(bytes);
  const [worker] = await started;
  worker.ref();
  await once(worker, 'message');
  await turn();
  return { writer, worker };
}

t.test('bytes at their place, in any order, and errors with their code', async (t) => {
  const { writer, worker } = await startWriter();
  t.teardown(() => worker.terminate());
  const content = randomBytes(3 * MIB + 7);
  const shared = Buffer.from(new SharedArrayBuffer(content.length));
  content.copy(shared);
  const file = join(t.testdir(), 'f');
  const fd = openSync(file, 'w');
  t.notOk(writer.takes(content), 'memory of one thread only is not for it');
  t.ok(writer.takes(shared));
  await Promise.all([
    writer.write(fd, shared.subarray(MIB + 5), MIB + 5),
    writer.write(fd, shared.subarray(0, MIB + 5), 0),
  ]);
  closeSync(fd);
  t.ok(readFileSync(file).equals(content));
  t.match(await writer.write(fd, shared, 0), { written: 0, error: { code: 'EBADF' } });
  if (!existsSync('/dev/full')) return;
  const full = openSync('/dev/full', 'w');
  t.match(await writer.write(full, shared, 0), { written: 0, error: { code: 'ENOSPC' } });
  closeSync(full);
});

t.test('a thread that dies: what it had is an error, and nothing is given to it', async (t) => {
  const { writer, worker } = await startWriter();
  const shared = new Uint8Array(new SharedArrayBuffer(MIB));
  const fd = openSync(join(t.testdir(), 'f'), 'w');
  t.teardown(() => {
    closeSync(fd);
  });
  // Comes before the bytes, and is too much for it.
  worker.postMessage(null);
  const { error } = await writer.write(fd, shared, 0);
  t.equal(error?.message, 'the thread that writes has died');
  t.notOk(writer.takes(shared));
});

import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import type { Worker } from 'node:worker_threads';
import t from 'tap';
import { Thread } from '../../lib/support/thread.js';

const THREAD = new URL('../../lib/support/thread.js', import.meta.url).href;
/** Answers a number to whatever it is asked. */
const ENTRY = `data:text/javascript,${encodeURIComponent(`
  import { parentPort } from 'node:worker_threads';
  parentPort.on('message', (n) => {
    if (n < 0) process.exit();
    parentPort.postMessage(n + 1);
  });
  parentPort.postMessage('ready');
`)}`;

/** Run a program, for 10 seconds at most, that starts a thread and waits until it is ready. */
function run(rest: string): { status: number | null; stdout: string; stderr: string } {
  const program = `
    import { Thread } from ${JSON.stringify(THREAD)};
    const thread = new Thread(new URL(${JSON.stringify(ENTRY)}));
    while (!thread.ready) await new Promise((resolve) => setImmediate(resolve));
    ${rest}
  `;
  const args = ['--input-type=module', '-e', program];
  // By itself, without what the test runner loads into it.
  const env = { ...process.env, NODE_OPTIONS: '' };
  return spawnSync(process.execPath, args, { encoding: 'utf8', timeout: 10_000, env });
}

t.test('it does not hold a process that asks nothing, or nothing more', (t) => {
  t.match(run(''), { status: 0, stdout: '', stderr: '' });
  const asked = run('console.log(await Promise.all([thread.ask(1), thread.ask(2)]))');
  t.match(asked, { status: 0, stdout: '[ 2, 3 ]\n', stderr: '' });
  t.end();
});

t.test('it holds a process that waits for an answer', (t) => {
  const asked = run('void thread.ask(1).then(console.log)');
  t.match(asked, { status: 0, stdout: '2\n', stderr: '' });
  t.end();
});

t.test('when it dies, who has asked and who asks is told', async (t) => {
  const started = once(process, 'worker') as Promise<[Worker]>;
  const thread = new Thread<number, number>(new URL(ENTRY));
  const [worker] = await started;
  worker.ref();
  await once(worker, 'message');
  t.ok(thread.ready);
  worker.ref();
  const exit = once(worker, 'exit');
  t.same(await Promise.all([thread.ask(1), thread.ask(-1), thread.ask(1)]), [
    2,
    undefined,
    undefined,
  ]);
  await exit;
  t.notOk(thread.ready);
  t.equal(await thread.ask(1), undefined);
  thread.tell({});
});

t.test('one whose module is not there is never ready', async (t) => {
  const started = once(process, 'worker') as Promise<[Worker]>;
  const thread = new Thread<number, number>(new URL('./nothing.js', import.meta.url));
  const [worker] = await started;
  worker.ref();
  await new Promise((resolve) => worker.on('exit', resolve));
  t.notOk(thread.ready);
  t.equal(await thread.ask(1), undefined);
});

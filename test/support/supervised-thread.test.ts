/** A thread that dies is started again, but not for ever. */
import t from 'tap';
import { SupervisedThread, type ThreadOptions } from '../../lib/support/supervised-thread.js';
import { killThread, threadsStarted } from '../fixtures/threads.js';

const DIES = new URL('data:text/javascript,process.exit(3)');
const THROWS = new URL('data:text/javascript,throw new TypeError("on purpose")');
const ECHO = new URL(
  'data:text/javascript,import { parentPort as p } from "node:worker_threads";' +
    'p.on("message", (m) => p.postMessage(m))',
);

/** The deaths of a thread until it is given up, or until there were `most` of them. */
async function deathsOf(
  options: Pick<ThreadOptions<unknown>, 'entry' | 'deathsCount'> & { data?: unknown },
  most = 100,
): Promise<{ message: string; restarts: boolean }[]> {
  const deaths: { message: string; restarts: boolean }[] = [];
  await new Promise<void>((resolve) => {
    const thread = new SupervisedThread({
      data: undefined,
      ...options,
      onMessage: () => undefined,
      onDeath: ({ message }, restarts) => {
        deaths.push({ message, restarts });
        if (restarts && deaths.length < most) return;
        void thread.close().then(resolve);
      },
    });
  });
  return deaths;
}

for (const [name, entry, message] of [
  ['exits', DIES, 'exit code 3'],
  ['throws', THROWS, 'on purpose'],
] as const) {
  t.test(`a thread that ${name} each time is given up`, async (t) => {
    const before = threadsStarted();
    const deaths = await deathsOf({ entry });
    t.same(
      deaths,
      [true, true, true, false].map((restarts) => ({ message, restarts })),
    );
    t.equal(threadsStarted() - before, 4);
  });
}

t.test('deaths of long ago do not count', async (t) => {
  const deaths = await deathsOf({ entry: DIES, deathsCount: 0 }, 6);
  t.ok(deaths.every(({ restarts }) => restarts));
  t.equal(deaths.length, 6);
});

t.test('one that cannot be started is given up as well', async (t) => {
  // What cannot be cloned makes the constructor of Worker throw.
  const deaths = await deathsOf({ entry: ECHO, data: () => undefined });
  t.same(
    deaths.map(({ restarts }) => restarts),
    [true, true, true, false],
  );
  t.match(deaths[0]?.message, 'could not be cloned');
});

t.test('it works again after a death, and not after close', async (t) => {
  const events: unknown[] = [];
  let wake: (() => void) | undefined;
  const note = (event: unknown): void => {
    events.push(event);
    wake?.();
  };
  const until = async (event: string): Promise<void> => {
    while (!events.includes(event)) await new Promise<void>((resolve) => (wake = resolve));
  };
  const thread = new SupervisedThread({
    entry: ECHO,
    data: undefined,
    onReady: () => {
      note('ready');
    },
    onMessage: note,
    onDeath: (_error, restarts) => {
      note(`died, restarts: ${restarts}`);
    },
  });
  await until('ready');
  thread.post('one');
  await until('one');
  t.ok(await killThread(0));
  await until('died, restarts: true');
  thread.post('two');
  await until('two');
  const before = threadsStarted();
  await thread.close();
  thread.post('three');
  t.same(events, ['ready', 'one', 'died, restarts: true', 'ready', 'two']);
  t.equal(threadsStarted(), before);
});

/** What nobody expected ends a command, is said with its cause, and has an exit code of its own. */
import { once } from 'node:events';
import t from '../fixtures/tap.js';
import { run, serve } from '../fixtures/cli.js';

const FAULT = ['--import', new URL('../fixtures/fault.js', import.meta.url).href];

for (const [kind, origin] of [
  ['exception', 'uncaughtException'],
  ['rejection', 'unhandledRejection'],
] as const) {
  t.test(`p2p-serve: ${kind}`, async (t) => {
    const folder = t.testdir({ share: { hello: 'hello\n' }, state: {} });
    const { child, stderr } = await serve(t, [`${folder}/share`, '--state', `${folder}/state`], {
      nodeArgs: FAULT,
      env: { ...process.env, P2P_FAULT: kind },
    });
    if (child.exitCode === null) await once(child, 'close');
    t.equal(child.exitCode, 70);
    t.match(stderr(), `p2p-serve: internal error (${origin}): RangeError: a fault`);
    t.match(stderr(), /at .*fault\.js/, 'where');
    t.match(stderr(), 'its cause');
    t.notOk(stderr().includes('\u001b'), 'nothing for the terminal');
  });
}

t.test('other commands, other things thrown', async (t) => {
  const folder = t.testdir({ hello: 'hello\n' });
  for (const [kind, said] of [
    ['exception', 'RangeError'],
    ['text', "'only a text'"],
  ] as const) {
    const { code, stderr } = await run('p2p-hash', [`${folder}/hello`], {
      nodeArgs: FAULT,
      env: { ...process.env, P2P_FAULT: kind },
    });
    t.equal(code, 70, kind);
    t.match(stderr, 'p2p-hash: internal error (uncaughtException)');
    t.match(stderr, said);
  }
});

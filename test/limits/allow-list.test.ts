/** The list of those for whom a private share is there, and the file with more of them. */
import { renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from '../fixtures/tap.js';
import { AllowList } from '../../lib/limits/allow-list.js';

const id = (n: number): string => n.toString(16).padStart(64, '0');

/** A list, and what it says: each call of `next` resolves with the next of it. */
async function open(t: Test, file: string | undefined, ids: string[] = []) {
  const said: string[] = [];
  let wake: () => void = () => undefined;
  const say = (what: string): void => {
    said.push(what);
    wake();
  };
  const list = await AllowList.open({
    ...{ ids, file, onWarning: say },
    onChange: () => {
      say('changed');
    },
  });
  // It keeps no process alive.
  const alive = setInterval(() => undefined, 1000);
  t.teardown(() => {
    clearInterval(alive);
    list.close();
  });
  const next = async (): Promise<string> => {
    while (said.length === 0) await new Promise<void>((resolve) => (wake = resolve));
    return said.shift() ?? '';
  };
  return { list, next };
}

t.test('ids that are given', async (t) => {
  const { list } = await open(t, undefined, [id(1)]);
  t.ok(list.has(id(1)));
  t.notOk(list.has(id(2)));
  t.notOk(list.has(undefined));
});

t.test('10,000 in a file, which is followed', async (t) => {
  const file = join(t.testdir({}), 'allowed');
  const lines = Array.from({ length: 10_000 }, (_, n) => `${id(n).toUpperCase()} # number ${n}`);
  writeFileSync(file, ['# those we know', '', ...lines, ''].join('\r\n'));
  const { list, next } = await open(t, file, [id(20_000)]);
  t.ok([0, 1, 9_999, 20_000].every((n) => list.has(id(n))));
  writeFileSync(`${file}.new`, `${id(5)}\n`);
  renameSync(`${file}.new`, file);
  t.equal(await next(), 'changed');
  t.ok(list.has(id(5)));
  t.notOk(list.has(id(6)));
  t.ok(list.has(id(20_000)), 'what was given stays');
  writeFileSync(file, `${id(6)}\nnobody\n${id(5)}${id(5)}\n${id(7)}`);
  t.equal(await next(), `${file}, line 2: not an id`);
  t.equal(await next(), `${file}, line 3: not an id`);
  t.equal(await next(), 'changed', 'the others count');
  t.same([list.has(id(5)), list.has(id(6)), list.has(id(7))], [false, true, true]);
  rmSync(file);
  t.equal(await next(), `${file}: ENOENT; the ids that it held stay`);
  t.ok(list.has(id(6)));
});

t.test('a file that is none', async (t) => {
  const folder = t.testdir({ wrong: `${id(1)}\nwrong\n` });
  const wrong = join(folder, 'wrong');
  await t.rejects(open(t, wrong), { code: 'ERR_USAGE', message: `${wrong}, line 2: not an id` });
  await t.rejects(open(t, join(folder, 'none')), { code: 'ERR_USAGE', message: /ENOENT/ });
});

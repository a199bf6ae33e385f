/** Nodes in networks of their own find one another without being told of any. */
import t from 'tap';
import { commandPath } from '../fixtures/cli.js';
import { Lab, noLab, type Machine, type Script } from '../fixtures/lab.js';

const skip = noLab();

interface Started {
  machine: Machine;
  node: Script;
  id: string;
}

async function start(machine: Machine): Promise<Started> {
  const node = machine.start('discovery/lan/node-process.js');
  const { id } = await node.until<{ id?: string }>((line) => line.id !== undefined);
  return { machine, node, id: id ?? '' };
}

/** Resolves when a node reaches all of these, and perhaps itself, with all that it reaches. */
async function reaches({ node }: Started, ids: readonly string[]): Promise<string[]> {
  const isThere = (up: readonly string[]): boolean => ids.every((id) => up.includes(id));
  const { up } = await node.until<{ up: string[] }>((line) => isThere(line.up));
  return up;
}

t.test('two networks', { skip }, async (t) => {
  const lab = new Lab(t, ['red', 'blue']);
  const startIn = async (lan: string, numbers: readonly number[]): Promise<Started[]> => {
    const machines = numbers.map((number) => {
      const machine = lab.machine();
      machine.join(lan, number);
      return machine;
    });
    return Promise.all(machines.map(start));
  };
  const [red, blue] = await Promise.all([
    startIn('red', [1, 2, 3, 4]),
    startIn('blue', [1, 2, 3, 4]),
  ]);
  const idsIn = (lan: readonly Started[]): string[] => lan.map(({ id }) => id).sort();
  for (const lan of [red, blue]) {
    for (const one of lan) {
      const others = idsIn(lan).filter((id) => id !== one.id);
      t.same(await reaches(one, others), others, 'it finds all in its network and none beyond');
    }
  }

  const client = lab.machine();
  client.join('red', 50);
  const state = `XDG_STATE_HOME=${t.testdir()}`;
  const command = async (name: string, ...args: string[]): Promise<string> => {
    const all = [state, process.execPath, commandPath(name), '--lan', ...args];
    const { code, stdout, stderr } = await client.run('env', all);
    t.equal(code, 0, stderr);
    return stdout;
  };
  const listed = await command('p2p-peers');
  const ids = Array.from(listed.matchAll(/^([0-9a-f]{64}) {2}10\.77\.1\.[1-4]:7000 {2}red$/gm));
  t.same(ids.map(([, id]) => id).sort(), idsIn(red), listed);
  const found = await command('p2p-search', 'file-of');
  const [one] = red;
  const hash = new RegExp(`^([0-9a-f]{64}) .* file-of-${one?.id ?? ''}.txt$`, 'm').exec(found)?.[1];
  t.equal(new Set(found.match(/file-of-\w+/g)).size, 4, found);
  t.equal(await command('p2p-fetch', hash ?? ''), one?.id);

  const both = lab.machine();
  both.join('red', 100);
  const between = await start(both);
  await reaches(between, idsIn(red));
  both.join('blue', 100);
  await reaches(between, [...idsIn(red), ...idsIn(blue)]);
  t.pass('an interface that comes is used, beside the other');
  both.ip('link set blue down');
  const late = await startIn('blue', [5]);
  both.ip('link set blue up');
  await reaches(between, idsIn(late));
  t.pass('one that was away is asked again');
});

/** Nodes in networks of their own find one another without being told of any. */
import t from 'tap';
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

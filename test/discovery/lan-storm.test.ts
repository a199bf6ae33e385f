/** A network full of hostile announcements: a node stays alive, dials few of them, and still finds an honest one. */
import t from 'tap';
import { Lab, noLab } from '../fixtures/lab.js';

const HOSTS = 200;

t.test('a storm', { skip: noLab() }, async (t) => {
  const lab = new Lab(t, ['red']);
  const [machine, attacker, late] = [lab.machine(), lab.machine(), lab.machine()];
  machine.join('red', 1);
  attacker.join('red', 20);
  late.join('red', 2);
  const more = Array.from({ length: HOSTS - 1 }, (_, i) => `10.77.1.${21 + i}/24`);
  attacker.ip(...more.map((address) => `address add ${address} dev red`));

  const node = machine.start('discovery/lan/node-process.js');
  await node.until<{ id?: string }>(({ id }) => id !== undefined);
  const args = ['10.77.1.1', '10.77.1', '20', `${HOSTS}`];
  const storm = attacker.start('discovery/lan/storm-process.js', args);
  const { sent } = await storm.until<{ sent?: number }>((line) => line.sent !== undefined);
  t.equal(sent, 10_000);

  const honest = late.start('discovery/lan/node-process.js');
  const { id } = await honest.until<{ id?: string }>((line) => line.id !== undefined);
  await node.until<{ up: string[] }>(({ up }) => up.includes(id ?? ''));
  t.pass('an honest node is found while it lasts');
  storm.child.kill('SIGTERM');
  const { dialled, answers, seconds } = await storm.until<{
    dialled: Record<string, number>;
    answers: number;
    seconds: number;
  }>((line) => 'dialled' in line);
  const dials = Object.values(dialled);
  const sum = dials.reduce((a, b) => a + b, 0);
  t.comment(`${sum} dials of ${dials.length} hosts, ${answers} answers in ${seconds} s`);
  t.ok(sum > 0, 'what is announced is dialled');
  t.ok(
    dials.every((n) => n <= 2),
    'no host more than twice',
  );
  t.ok(sum <= 64 + seconds + 1, 'and few of them');
  t.ok(answers <= seconds + 2, 'one answer a second at most');
});

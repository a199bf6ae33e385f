/** Which connections are admitted, and which are evicted. */
import fc from 'fast-check';
import t from 'tap';
import { VirtualClock } from '../fixtures/virtual-clock.js';
import { Admission, type AdmissionLimits, type Candidate } from '../../lib/limits/admission.js';
import { descriptorLimits } from '../../lib/limits/descriptors.js';
import { RequestQuota } from '../../lib/limits/request-quota.js';

interface Fake extends Candidate {
  lastUse: number | undefined;
  busy: boolean;
  kept: boolean;
}

const ROOMY: AdmissionLimits = { total: 100, perClient: 100, pending: 100 };

/** A door, and one way to come through it. */
function door(limits: Partial<AdmissionLimits>, step = 10_000) {
  const clock = new VirtualClock();
  const admission = new Admission<Fake>({ ...ROOMY, ...limits }, clock);
  /** @returns the newcomer, or undefined; the evicted one is told to `gone` */
  const gone: Fake[] = [];
  const come = (
    client: string,
    is: Partial<Fake> & { proven?: boolean } = {},
  ): Fake | undefined => {
    const verdict = admission.judge(client);
    if (!verdict.admitted) return undefined;
    if (verdict.evict !== undefined) {
      admission.delete(verdict.evict);
      gone.push(verdict.evict);
    }
    const { proven = false, ...rest } = is;
    const candidate = {
      since: clock.now(),
      lastUse: undefined,
      busy: false,
      kept: false,
      ...rest,
      client,
    };
    admission.add(candidate);
    if (proven) admission.proven(candidate);
    clock.run(clock.now() + step);
    return candidate;
  };
  return { admission, come, gone };
}

t.test('room for all', (t) => {
  const { admission, come, gone } = door({ total: 3 });
  const [a] = [come('a'), come('b'), come('a', { proven: true })];
  t.equal(admission.size, 3);
  t.equal(admission.pending, 2);
  t.same(gone, []);
  if (a !== undefined) {
    admission.delete(a);
    admission.delete(a);
    admission.proven(a);
  }
  t.equal(admission.size, 2);
  t.equal(admission.pending, 1);
  t.end();
});

t.test('the client that has most gives up its oldest idle one', (t) => {
  const { come, gone } = door({ total: 6 });
  const proven = true;
  come('once');
  come('useful', { proven, lastUse: 1 });
  come('flood', { busy: true });
  const oldest = come('flood', { proven });
  const next = come('flood');
  come('flood', { proven, lastUse: 2 });
  come('new');
  t.same(gone, [oldest]);
  come('newer');
  t.same(gone, [oldest, next]);
  t.end();
});

t.test('one that was never of use, then the one whose last use is longest ago', (t) => {
  const { come, gone } = door({ total: 5 });
  const proven = true;
  const early = come('a', { proven, lastUse: 10 });
  const late = come('b', { proven, lastUse: 20 });
  const useless = come('c', { proven });
  come('d', { proven, busy: true });
  come('e', { proven, kept: true });
  for (const client of ['f', 'g', 'h']) come(client, { proven, busy: true });
  t.same(gone, [useless, early, late]);
  t.equal(come('i'), undefined, 'all are busy, and nobody has more than another');
  t.end();
});

t.test('one that has just come', (t) => {
  const { come, gone } = door({ total: 4 }, 100);
  const proven = true;
  const idle = [come('a', { proven, lastUse: 1 }), come('b', { proven, lastUse: 2 })];
  const fresh = come('c');
  come('d', { proven, busy: true });
  come('e', { proven, busy: true });
  come('f', { proven, busy: true });
  t.same(gone, idle, 'has a second');
  come('g', { proven, busy: true });
  t.same(gone, [...idle, fresh], 'unless there is nobody else');
  t.end();
});

t.test('who comes again at once evicts nobody who has just come', (t) => {
  const { admission, come, gone } = door({ total: 14, perClient: 3 }, 10);
  const first = [come('a', { proven: true }), come('a'), come('a', { proven: true })];
  for (let i = 0; i < 20; i++) t.equal(come('a'), undefined, 'the others are refused meanwhile');
  t.same(gone, []);
  for (const one of first) if (one !== undefined) admission.delete(one);
  t.ok(come('a'), 'and have their turn');
  t.end();
});

t.test('all busy: the youngest of a client that has two more', (t) => {
  const { come, gone } = door({ total: 4 });
  const busy = { proven: true, busy: true };
  come('a', busy);
  come('b', busy);
  come('b', busy);
  const youngest = come('b', busy);
  come('c', busy);
  t.same(gone, [youngest]);
  t.equal(come('c', busy), undefined, 'b has one more only');
  t.end();
});

t.test('the limit of a client', (t) => {
  const { admission, come, gone } = door({ perClient: 2 });
  const busy = { proven: true, busy: true };
  const idle = come('a', { proven: true, lastUse: 1 });
  const pending = come('a');
  come('b');
  come('a', busy);
  come('a', busy);
  t.same(gone, [pending, idle], 'gives up its own');
  t.equal(come('a'), undefined, 'or gets no more');
  t.ok(come('b'));
  t.equal(admission.size, 4);
  t.end();
});

t.test('the limit of pending ones', (t) => {
  const { admission, come, gone } = door({ pending: 3 });
  come('c', { proven: true });
  come('b');
  const first = come('a');
  come('a');
  t.same(gone, []);
  t.ok(come('d'));
  t.same(gone, [first]);
  t.equal(admission.pending, 3);
  t.end();
});

t.test('no descriptor left: which one is evicted', (t) => {
  const { admission, come } = door({});
  const proven = true;
  const kept = come('a', { proven, kept: true });
  const busy = come('a', { proven, busy: true });
  const idle = come('b', { proven, lastUse: 9 });
  const useless = come('b', { proven });
  const pending = come('c');
  t.same(admission.leastUseful(3), [pending, useless, idle]);
  t.same(admission.leastUseful(9), [pending, useless, idle, busy, kept]);
  t.end();
});

t.test(
  'whatever happens: the limits hold, and nobody is let in twice or kept out for nothing',
  (t) => {
    const event = fc.record({
      client: fc.constantFrom('a', 'b', 'c', 'd'),
      proven: fc.boolean(),
      busy: fc.boolean(),
      kept: fc.boolean(),
      lastUse: fc.option(fc.nat(50), { nil: undefined }),
      leaves: fc.option(fc.nat(20), { nil: undefined }),
    });
    fc.assert(
      fc.property(fc.array(event, { maxLength: 60 }), (events) => {
        const limits = { total: 8, perClient: 4, pending: 3 };
        const { admission, come, gone } = door(limits);
        const inside: Fake[] = [];
        for (const { client, leaves, ...is } of events) {
          const before = gone.length;
          const full = inside.length === limits.total;
          const candidate = come(client, is);
          for (const evicted of gone.slice(before)) {
            if (evicted.kept || !inside.includes(evicted)) return false;
            inside.splice(inside.indexOf(evicted), 1);
          }
          const own = inside.filter((other) => other.client === client).length;
          if (candidate !== undefined) inside.push(candidate);
          else if (!full && own < limits.perClient && admission.pending < limits.pending)
            return false;
          const left = leaves === undefined ? undefined : inside.splice(leaves, 1)[0];
          if (left !== undefined) admission.delete(left);
          if (admission.size !== inside.length || inside.length > limits.total) return false;
          if (admission.pending > limits.pending || own > limits.perClient) return false;
        }
        return true;
      }),
      { numRuns: 2000 },
    );
    t.end();
  },
);

t.test('how the limit of open files is shared out', (t) => {
  for (const limit of [256, 1024, 20_000, 1_048_576]) {
    const { connections, transfers } = descriptorLimits(limit, 16);
    t.ok(connections >= 20 && transfers >= 4, `something for ${limit}`);
    const most = connections + Math.min(connections, transfers) * 5 + 16;
    t.ok(most < limit - 64, `at most ${most} of ${limit}`);
  }
  t.equal(descriptorLimits(Infinity, 16).connections, 8192);
  t.same(descriptorLimits(96, 16), { connections: 14, transfers: 2 }, 'few, but some');
  t.same(descriptorLimits(64, 16), { connections: 6, transfers: 1 });
  t.throws(() => descriptorLimits(63, 16), {
    code: 'ERR_USAGE',
    message: 'only 63 files may be open at once; a node needs 64 (ulimit -n)',
  });
  t.end();
});

t.test('requests of all connections', (t) => {
  const quota = new RequestQuota(10);
  for (let i = 0; i < 9; i++) quota.begin();
  t.ok(quota.allows(200));
  quota.begin();
  t.notOk(quota.allows(200));
  t.notOk(quota.allows(2));
  t.ok(quota.allows(1), 'a few are always taken');
  const told: string[] = [];
  const first = (): void => {
    told.push('first');
    quota.begin();
  };
  const second = (): void => void told.push('second');
  const third = (): void => void told.push('third');
  for (const one of [first, second, third]) quota.wait(one);
  quota.forget(second);
  quota.end(1);
  t.same(told, ['first'], 'who waits longest is told, as far as there is room');
  quota.end(1);
  quota.end(1);
  t.same(told, ['first', 'third'], 'once');
  t.end();
});

/** How clients share a rate, in a time of its own: properties that hold whatever they do. */
import fc from 'fast-check';
import t from 'tap';
import { VirtualClock } from '../fixtures/virtual-clock.js';
import { PeerError } from '../../lib/errors.js';
import { RateLimiter } from '../../lib/limits/rate-limiter.js';

const KIB = 1024;
const MAX_PIECE = 256 * KIB;

/** A transfer: asks for a piece, sends it for a while, asks for the next. */
interface Transfer {
  client: string;
  /** Its pieces as a part of the largest that can go at once; undefined: what is proposed. */
  piece: number | undefined;
  /** Milliseconds from a piece to the next question. */
  pause: number;
  /** Milliseconds until its first. */
  begin: number;
  /** How many pieces it wants. */
  pieces: number;
}

interface Grant {
  at: number;
  client: string;
  bytes: number;
  /** Milliseconds that it was waited for. */
  waited: number;
}

/** Let transfers run. @returns what they were given in `ms` milliseconds */
async function simulate(
  rate: number,
  transfers: readonly Transfer[],
  ms: number,
): Promise<Grant[]> {
  const clock = new VirtualClock();
  const limit = new RateLimiter(rate, clock);
  const grants: Grant[] = [];
  for (const { client, piece, pause, begin, pieces } of transfers) {
    const rate = limit.of(client);
    let left = pieces;
    const ask = (): void => {
      if (left-- === 0) return;
      const asked = clock.now();
      const bytes =
        piece === undefined ? rate.pieceBytes : Math.ceil(piece * Math.min(MAX_PIECE, limit.burst));
      const go = (): void => {
        grants.push({ at: clock.now(), client, bytes, waited: clock.now() - asked });
        clock.after(pause, ask);
      };
      const wait = rate.take(bytes);
      if (wait === undefined) go();
      else void wait.then(go);
    };
    clock.after(begin, ask);
  }
  // What is granted goes on in a microtask: one moment at a time.
  for (let at = 0; at <= ms; at++) {
    clock.run(at);
    await Promise.resolve();
    await Promise.resolve();
  }
  return grants;
}

const rates = fc.integer({ min: 10_000, max: 20_000_000 });
const pieceSizes = fc.constantFrom(undefined, 0.02, 0.1, 0.3, 1);
const names = fc.constantFrom('a', 'b', 'c', 'd');
const anyTransfer: fc.Arbitrary<Transfer> = fc.record({
  client: names,
  piece: pieceSizes,
  pause: fc.integer({ min: 0, max: 300 }),
  begin: fc.integer({ min: 0, max: 2000 }),
  pieces: fc.constantFrom(1, 10, Infinity),
});

const sum = (grants: readonly Grant[]): number => grants.reduce((n, { bytes }) => n + bytes, 0);

t.test('in any time no more than the rate and one burst', async () => {
  await fc.assert(
    fc.asyncProperty(
      rates,
      fc.array(anyTransfer, { minLength: 1, maxLength: 8 }),
      async (rate, all) => {
        const grants = await simulate(rate, all, 2500);
        const { burst } = new RateLimiter(rate);
        // From every grant on: the second after it, and all that follows.
        for (const [i, { at: from }] of grants.entries()) {
          if (i % 7 !== 0) continue;
          for (const ms of [0, 10, 1000, 2500]) {
            const bytes = sum(grants.filter(({ at }) => at >= from && at <= from + ms));
            const most = (rate * ms) / 1000 + burst + 1;
            if (bytes > most) throw new Error(`${bytes} bytes in ${ms} ms at ${rate}/s`);
          }
        }
      },
    ),
    { numRuns: 25 },
  );
});

t.test('nothing of the rate is left unused while somebody wants it', async () => {
  const greedy = fc.record({
    client: names,
    piece: fc.constant(undefined),
    pause: fc.constant(0),
    begin: fc.constant(0),
    pieces: fc.constant(Infinity),
  });
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 100_000, max: 5_000_000 }),
      greedy,
      fc.array(anyTransfer, { maxLength: 6 }),
      async (rate, one, others) => {
        const ms = 3000;
        const bytes = sum(await simulate(rate, [one, ...others], ms));
        const least = (rate * ms) / 1000 - MAX_PIECE;
        if (bytes < least) throw new Error(`${bytes} bytes in ${ms} ms at ${rate}/s`);
      },
    ),
    { numRuns: 25 },
  );
});

t.test(
  'clients that want more than there is get the same, whatever their connections',
  async () => {
    const client = fc.record({
      connections: fc.integer({ min: 1, max: 12 }),
      piece: pieceSizes,
    });
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1_000_000, max: 10_000_000 }),
        fc.array(client, { minLength: 2, maxLength: 6 }),
        async (rate, clients) => {
          const all = clients.flatMap(({ connections, piece }, i) =>
            Array.from({ length: connections }, () => ({
              ...{ client: `${i}`, piece, pause: 0, begin: 0, pieces: Infinity },
            })),
          );
          const grants = await simulate(rate, all, 3000);
          const got = clients.map((_, i) => sum(grants.filter((grant) => grant.client === `${i}`)));
          // Each may be one piece ahead of its time or behind it; and nobody waits for the first burst.
          const difference = Math.max(...got) - Math.min(...got);
          const largest = Math.max(...grants.map(({ bytes }) => bytes));
          if (difference > 3 * largest + new RateLimiter(rate).burst)
            throw new Error(`${got.join(', ')} bytes at ${rate}/s`);
        },
      ),
      { numRuns: 25 },
    );
  },
);

t.test('nobody waits for longer than what all others may take before', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 500_000, max: 5_000_000 }),
      fc.array(anyTransfer, { minLength: 2, maxLength: 12 }),
      async (rate, all) => {
        const grants = await simulate(rate, all, 3000);
        // Each other transfer asks for one piece at a time; each client may be one piece ahead.
        const before = (2 * all.length + 1) * Math.min(MAX_PIECE, new RateLimiter(rate).burst);
        const most = (before / rate) * 1000 + all.length + 1;
        const longest = Math.max(0, ...grants.map(({ waited }) => waited));
        if (longest > most) throw new Error(`${longest} ms instead of ${most} at ${rate}/s`);
      },
    ),
    { numRuns: 25 },
  );
});

t.test('what a client does not use goes to the others, and is not saved up', async (t) => {
  const rate = 1_000_000;
  const base = { piece: 0.08, pause: 0, begin: 0, pieces: Infinity };
  const grants = await simulate(
    rate,
    [
      { ...base, client: 'long' },
      // Sends a little now and then.
      { ...base, client: 'rare', pause: 500 },
      { ...base, client: 'late', begin: 3000 },
    ],
    6000,
  );
  const got = (client: string, from: number, to: number): number =>
    sum(grants.filter((grant) => grant.client === client && grant.at >= from && grant.at < to));
  t.ok(got('long', 0, 3000) > 2_900_000, 'nearly all of it');
  t.equal(got('late', 0, 3000), 0);
  const both = got('late', 3000, 6000) + got('long', 3000, 6000);
  t.ok(Math.abs(got('late', 3000, 6000) / both - 0.5) < 0.02, 'half of it, not what it missed');
  for (const { client, waited } of grants) {
    if (client === 'rare' && waited > 60) t.fail(`the client that asks rarely waited ${waited} ms`);
  }
});

t.test('a piece is small enough that all have their turn', (t) => {
  const clock = new VirtualClock();
  const limit = new RateLimiter(2_000_000, clock);
  t.equal(limit.of('a').pieceBytes, 250_000, 'alone');
  t.equal(limit.of('a').take(250_000), undefined);
  for (let i = 0; i < 99; i++) void limit.of(`${i}`).take(1);
  t.equal(limit.of('a').pieceBytes, 2500, '100 of them an eighth of a second');
  t.equal(new RateLimiter(1e9, clock).of('a').pieceBytes, MAX_PIECE);
  t.equal(new RateLimiter(1000, clock).of('a').pieceBytes, KIB);
  const slow = new RateLimiter(1000, clock);
  t.equal(slow.burst, KIB, 'a piece is never more than may go out at once');
  t.end();
});

t.test('a request that is given up has used nothing, and does not stand in the way', async (t) => {
  const clock = new VirtualClock();
  const limit = new RateLimiter(100_000, clock);
  const { burst } = limit;
  t.equal(limit.of('a').take(burst), undefined, 'what is there goes at once');
  const gone = new AbortController();
  const large = limit.of('b').take(burst, gone.signal);
  const reason = new PeerError('ERR_CLOSED', 'gone');
  const done: string[] = [];
  void limit
    .of('c')
    .take(100)
    ?.then(() => done.push('c'));
  gone.abort(reason);
  await t.rejects(large ?? Promise.resolve(), reason);
  clock.run(1);
  await Promise.resolve();
  t.same(done, ['c'], 'after 1 ms, not after 126');
  await t.rejects(limit.of('b').take(1, gone.signal) ?? Promise.resolve(), reason);
  clock.run(1000);
  t.equal(limit.of('b').take(burst), undefined, 'all of it is there again');
});

t.test('more than the burst at once is paid afterwards', async (t) => {
  const clock = new VirtualClock();
  const limit = new RateLimiter(80_000, clock);
  t.equal(limit.of('a').take(50_000), undefined, 'the bucket holds 10,000');
  let went = -1;
  void limit
    .of('a')
    .take(10_000)
    ?.then(() => (went = clock.now()));
  for (let at = 0; at <= 1000 && went < 0; at++) {
    clock.run(at);
    await Promise.resolve();
  }
  t.equal(went, 625, '50,000 bytes at 80,000 a second');
});

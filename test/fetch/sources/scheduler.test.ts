/** Which block is asked of which source: whatever sources do, no block is lost, and few are asked for twice. */
import fc from 'fast-check';
import t from 'tap';
import { BlockSet } from '../../../lib/fetch/block-set.js';
import {
  RANGES_AHEAD,
  MIN_WINDOW,
  Throughput,
  rangeOf,
} from '../../../lib/fetch/sources/throughput.js';
import { Scheduler, type BlockRequest } from '../../../lib/fetch/sources/scheduler.js';
import { BLOCK_BYTES } from '../../../lib/wire/body.js';

/** A source as the test sees it. */
interface Fake {
  joined: boolean;
  stalled: boolean;
  /** What it was asked for and has not delivered. */
  asks: { ask: BlockRequest; left: number[] }[];
}

interface World {
  first: number;
  end: number;
  window: number | undefined;
  there: number[];
  sources: number;
  steps: (readonly [source: number, action: string, amount: number])[];
}

const ACTIONS = ['ask', 'ask', 'ask', 'deliver', 'deliver', 'deliver', 'advance', 'measure'].concat(
  ['join', 'leave', 'stall', 'go', 'over'],
);

const worlds: fc.Arbitrary<World> = fc.record({
  first: fc.nat(20),
  end: fc.integer({ min: 21, max: 80 }),
  window: fc.option(fc.integer({ min: 1, max: 40 }), { nil: undefined }),
  there: fc.array(fc.nat(79)),
  sources: fc.integer({ min: 1, max: 5 }),
  steps: fc.array(
    fc.tuple(fc.nat(4), fc.constantFrom(...ACTIONS), fc.integer({ min: 1, max: 20 })),
    {
      maxLength: 300,
    },
  ),
});

/** Plays a world; throws when a rule is broken. */
class Game {
  readonly have: BlockSet;
  readonly scheduler: Scheduler<Fake>;
  readonly fakes: Fake[];
  readonly #world: World;
  #base: number;
  /** Times that blocks were asked for. */
  asked = 0;

  constructor(world: World) {
    this.#world = world;
    this.#base = world.first;
    this.have = new BlockSet(80);
    for (const block of world.there) this.have.add(block);
    this.scheduler = new Scheduler({ ...world, have: this.have });
    this.fakes = Array.from({ length: world.sources }, () => this.join());
  }

  join(): Fake {
    const fake = { joined: true, stalled: false, asks: [] };
    this.scheduler.join(fake);
    return fake;
  }

  act(fake: Fake, action: string, amount: number): void {
    const { scheduler } = this;
    switch (action) {
      case 'join':
        if (fake.joined) break;
        scheduler.join(fake);
        fake.joined = true;
        fake.stalled = false;
        break;
      case 'leave':
        scheduler.leave(fake);
        fake.joined = false;
        fake.asks = [];
        break;
      case 'stall':
      case 'go':
        if (fake.joined) fake.stalled = action === 'stall';
        scheduler.stall(fake, action === 'stall');
        break;
      case 'measure':
        // Now and then nothing comes at all.
        scheduler.measured(fake, amount > 18 ? 0 : amount);
        break;
      case 'ask':
        this.ask(fake, amount);
        break;
      case 'deliver':
        for (let i = 0; i < amount; i++) this.deliver(fake);
        break;
      case 'over':
        this.over(fake);
        break;
      default:
        this.advance();
    }
  }

  ask(fake: Fake, most: number): boolean {
    const before = this.fakes.map(({ asks }) => new Set(asks.flatMap(({ left }) => left)));
    const ask = this.scheduler.next(fake, most);
    if (ask === undefined) return false;
    const { first, count, duplicate } = ask;
    if (!fake.joined || fake.stalled) throw new Error('it cannot be asked');
    if (count < 1 || count > most || (duplicate && count > 4))
      throw new Error(`${count} of ${most}`);
    const { window = Infinity } = this.#world;
    const limit = Math.min(this.#world.end, this.#base + window);
    if (first < this.#base || first + count > limit) throw new Error('outside of the window');
    for (let block = first; block < first + count; block++) {
      if (this.have.has(block)) throw new Error(`${block} is there`);
      const others = this.fakes.filter((one, i) => before[i]?.has(block) === true && one !== fake);
      if (before[this.fakes.indexOf(fake)]?.has(block) === true) throw new Error('asked already');
      const live = others.filter(({ stalled }) => !stalled).length;
      if (live !== (duplicate ? 1 : 0)) throw new Error(`${block} is asked of ${live} others`);
    }
    this.asked += count;
    fake.asks.push({ ask, left: Array.from({ length: count }, (_, i) => first + i) });
    return true;
  }

  deliver(fake: Fake): boolean {
    const [request] = fake.asks;
    const block = request?.left.shift();
    if (request === undefined || block === undefined) return false;
    const isNew = !this.have.has(block);
    if (this.scheduler.arrived(fake, block) !== isNew) throw new Error(`${block} came once`);
    if (request.left.length === 0) this.over(fake);
    return true;
  }

  /** A request ends, whole or not. */
  over(fake: Fake): void {
    const request = fake.asks.shift();
    if (request !== undefined) this.scheduler.ended(fake, request.ask);
  }

  advance(): void {
    while (this.#base < this.#world.end && this.have.has(this.#base)) this.#base++;
    this.scheduler.advance(this.#base);
  }
}

t.test('never twice without need, never outside of the window, and all come', (t) => {
  fc.assert(
    fc.property(worlds, (world) => {
      const game = new Game(world);
      for (const [i, action, amount] of world.steps) {
        const fake = game.fakes[i % game.fakes.length];
        if (fake !== undefined) game.act(fake, action, amount);
      }
      // In the end one source does its work; the others are gone, or nothing comes of them.
      const others = [...game.fakes];
      for (const fake of others) game.act(fake, 'measure', 19);
      const last = game.join();
      game.fakes.push(last);
      game.act(last, 'measure', 10);
      for (let turns = 0; !game.scheduler.done; turns++) {
        if (turns > 1000) throw new Error(`${game.scheduler.missing} blocks never come`);
        const wasAsked = game.ask(last, 8);
        if (!game.deliver(last) && !wasAsked) {
          for (const fake of others) game.act(fake, 'stall', 1);
        }
        game.advance();
      }
      for (let block = world.first; block < world.end; block++) {
        if (!game.have.has(block)) throw new Error(`${block} is lost`);
      }
      if (game.ask(last, 8)) throw new Error('there is nothing to ask for');
    }),
    { numRuns: 2000 },
  );
  t.end();
});

t.test('sources that do their work are asked for little twice', (t) => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1, maxLength: 6 }),
      fc.integer({ min: 30, max: 80 }),
      fc.option(fc.integer({ min: MIN_WINDOW, max: 40 }), { nil: undefined }),
      (rates, end, window) => {
        const world = { first: 0, end, window, there: [], sources: rates.length, steps: [] };
        const game = new Game(world);
        const fastest = Math.max(...rates);
        const total = rates.reduce((a, b) => a + b);
        const credit = rates.map(() => 0);
        let ticks = 0;
        let underWay = 0;
        for (; !game.scheduler.done; ticks++) {
          if (ticks > 10_000) throw new Error('it does not end');
          for (const [i, fake] of game.fakes.entries()) {
            const rate = rates[i] ?? 1;
            const range = rangeOf({ rate, fastest, total, window: window ?? Infinity, ranges: 9 });
            game.scheduler.measured(fake, rate);
            if (ticks === 0) underWay += RANGES_AHEAD * range;
            while (range > 0 && game.scheduler.waiting(fake) <= (RANGES_AHEAD - 1) * range) {
              if (!game.ask(fake, range)) break;
            }
            // A hundredth of a second passes.
            credit[i] = Math.min(1, credit[i] ?? 0) + rate / 100;
            while ((credit[i] ?? 0) >= 1 && game.deliver(fake)) credit[i] = (credit[i] ?? 0) - 1;
          }
          game.advance();
        }
        // At the end what is under way at others, at most; in a window, at its edge as well.
        const most = window === undefined ? end + underWay : 2 * end;
        if (game.asked > most) throw new Error(`${game.asked} asked for ${end}`);
        const best = (end / total) * 100;
        if (window === undefined && ticks > 2 * best + 200) throw new Error(`${ticks} for ${best}`);
      },
    ),
    { numRuns: 500 },
  );
  t.end();
});

t.test('the last blocks are asked of a faster one, from the end of what the slow one owes', (t) => {
  const scheduler = new Scheduler<string>({ have: new BlockSet(16), first: 0, end: 16 });
  scheduler.join('slow');
  t.same(scheduler.next('slow', 8), { first: 0, count: 8, duplicate: false });
  t.same(
    scheduler.next('slow', 8),
    { first: 8, count: 4, duplicate: false },
    'smaller towards the end',
  );
  t.same(scheduler.next('slow', 8), { first: 12, count: 2, duplicate: false });
  t.same(scheduler.next('slow', 8), { first: 14, count: 1, duplicate: false });
  t.same(scheduler.next('slow', 8), { first: 15, count: 1, duplicate: false });
  t.equal(scheduler.next('slow', 8), undefined);
  scheduler.join('fast');
  t.equal(scheduler.next('fast', 8), undefined, 'not before anything is measured');
  scheduler.measured('slow', 1);
  scheduler.measured('fast', 10);
  t.equal(scheduler.next('fast', 8, false), undefined, 'nor when it shall not');
  t.same(scheduler.next('fast', 8), { first: 12, count: 4, duplicate: true });
  scheduler.stall('slow', true);
  t.same(
    scheduler.next('fast', 8),
    { first: 0, count: 4, duplicate: false },
    'a staller does not count',
  );
  scheduler.stall('slow', false);
  t.equal(scheduler.arrived('fast', 12), true);
  t.equal(scheduler.arrived('slow', 12), false);
  scheduler.leave('slow');
  scheduler.leave('fast');
  t.equal(scheduler.missing, 15);
  t.equal(scheduler.waiting('slow'), 0);
  t.end();
});

t.test('how much at once', (t) => {
  const some = { fastest: 1000, total: 4000, window: Infinity, ranges: 0 };
  t.equal(rangeOf({ ...some, rate: undefined }), 1, 'little at first');
  t.equal(rangeOf({ ...some, rate: undefined, ranges: 3 }), 8, 'then more');
  t.equal(rangeOf({ ...some, rate: undefined, ranges: 3000 }), 64);
  t.equal(rangeOf({ ...some, rate: 1000 }), 64);
  t.equal(rangeOf({ ...some, rate: 10 }), 3);
  t.equal(rangeOf({ ...some, rate: 0 }), 1);
  t.equal(rangeOf({ ...some, rate: 1000, window: 256 }), 8, 'its share of the window');
  t.equal(rangeOf({ ...some, rate: 10, window: 256 }), 0, 'it would hold up the window');
  t.equal(rangeOf({ ...some, rate: 1000, window: MIN_WINDOW }), 1, 'never the fastest');
  t.equal(rangeOf({ rate: 0, fastest: 0, total: 0, window: 8, ranges: 9 }), 1);
  const throughput = new Throughput();
  t.equal(throughput.rate, undefined);
  throughput.add(10 * BLOCK_BYTES, 10);
  t.equal(throughput.rate, undefined, 'too short to say');
  throughput.add(10 * BLOCK_BYTES, 10);
  t.equal(throughput.rate, 1000);
  for (let i = 0; i < 50; i++) throughput.add(BLOCK_BYTES, 100);
  t.ok(Math.abs((throughput.rate ?? 0) - 10) < 1, 'it follows');
  t.end();
});

/**
 * Tenths of a second until a source has sent single blocks, each asked for by itself, over a line with a
 * round trip of two tenths.
 *
 * @param told what the rate is told of the line
 * @param most blocks that the source sends in a tenth
 */
function tenthsFor(
  blocks: number,
  told: number,
  most = Infinity,
): { tenths: number; ahead: number } {
  const throughput = new Throughput();
  /** Blocks asked for in each tenth. */
  const asked: number[] = [];
  let [sent, waiting, ready, ahead] = [0, 0, 0, 0];
  for (let tenth = 0; ; tenth++) {
    ready += asked[tenth - 2] ?? 0;
    const came = Math.min(ready, most);
    ready -= came;
    throughput.add(came * BLOCK_BYTES, 100, told, waiting);
    waiting -= came;
    sent += came;
    if (sent >= blocks) return { tenths: tenth, ahead };
    const { rate } = throughput;
    const known = { fastest: rate ?? 0, total: rate ?? 0, window: Infinity, ranges: sent };
    const range = rangeOf({ ...known, rate });
    const more = Math.max(0, (RANGES_AHEAD - 1) * range + 1 - waiting);
    asked.push(more);
    waiting += more;
    ahead = Math.max(ahead, waiting);
  }
}

t.test('single blocks over a long line: as many ahead as it takes, and no more', (t) => {
  const { tenths } = tenthsFor(240, 200);
  t.ok(tenths <= 12, `${tenths / 10} s`);
  const blind = tenthsFor(240, 0).tenths;
  t.ok(blind > tenths + 1, `${blind / 10} s: it has to know how long the line is`);
  const slow = tenthsFor(240, 200, 1);
  t.ok(slow.ahead < 30, `${slow.ahead} blocks at once are asked of a source of ten a second`);
  t.end();
});

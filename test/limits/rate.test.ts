/** Rates as people write them. */
import t from 'tap';
import { parseRate } from '../../lib/limits/rate.js';

t.test('units', (t) => {
  for (const [text, rate] of [
    ['1000', 1000],
    ['1000B', 1000],
    ['500k', 500_000],
    ['500K', 500_000],
    ['500kB/s', 500_000],
    ['2M', 2_000_000],
    ['2m', 2_000_000],
    ['10MB/s', 10_000_000],
    ['10 MB/s', 10_000_000],
    ['10MBps', 10_000_000],
    ['1.5MiB', 1_572_864],
    ['1.5mi', 1_572_864],
    ['1Ki', 1024],
    ['0.5G', 500_000_000],
    ['1GiB/s', 2 ** 30],
    ['1T', 1e12],
    ['1.2345k', 1234],
  ] as const) {
    t.equal(parseRate('up-limit', text), rate, text);
  }
  t.end();
});

t.test('what is none', (t) => {
  for (const [text, why] of [
    ['', 'write bytes per second'],
    ['fast', 'write bytes per second'],
    ['-1M', 'write bytes per second'],
    ['1,5M', 'write bytes per second'],
    ['1e6', 'write bytes per second'],
    ['1M/m', 'write bytes per second'],
    ['1 0M', 'write bytes per second'],
    ['.5M', 'write bytes per second'],
    ['10Mb/s', 'bits are not counted'],
    ['10Mbit/s', 'bits are not counted'],
    ['10mbps', 'bits are not counted'],
    ['0', 'at least 1 kB/s'],
    ['999', 'at least 1 kB/s'],
    ['0.1k', 'at least 1 kB/s'],
    ['2T', 'at most 1 TB/s'],
    ['9'.repeat(400), 'at most 1 TB/s'],
  ] as const) {
    const expected = { code: 'ERR_USAGE', message: `up-limit: "${text}" is not a rate (${why}` };
    try {
      parseRate('up-limit', text);
      t.fail(text);
    } catch (error) {
      t.match(error, expected, text);
    }
  }
  t.end();
});

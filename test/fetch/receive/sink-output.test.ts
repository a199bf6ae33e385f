/** Memory between a connection and a sink that takes its time. */
import t from '../../fixtures/tap.js';
import { SinkOutput } from '../../../lib/fetch/receive/sink-output.js';
import { BLOCK_BYTES } from '../../../lib/wire/body.js';

/** An output whose sink is never done before it is told to be. */
function slowOutput(): { output: SinkOutput; fill: () => number; finish: () => Promise<void> } {
  let done = (): void => undefined;
  const written = new Promise<void>((resolve) => (done = resolve));
  const output = new SinkOutput({
    sink: { write: () => written },
    resume: () => undefined,
    onError: () => undefined,
  });
  return {
    output,
    /** @returns how many blocks it takes before the connection has to wait */
    fill: () => {
      for (let blocks = 0; ; blocks++) {
        const buffer = output.allocate(BLOCK_BYTES);
        if (buffer === undefined) return blocks;
        output.write({ start: blocks * BLOCK_BYTES, bytes: buffer, buffer });
      }
    },
    finish: async () => {
      done();
      output.end();
      await output.finish();
    },
  };
}

t.test('few fetches have room for some blocks, each of many for one', async (t) => {
  const few = Array.from({ length: 16 }, slowOutput);
  const many = Array.from({ length: 100 }, slowOutput);
  t.ok(few.every(({ fill }) => fill() === 7));
  t.ok(many.every(({ fill }) => fill() === 1));
  await Promise.all([...few, ...many].map(({ finish }) => finish()));
  // All of their memory has been given back, whoever had it.
  const later = slowOutput();
  t.equal(later.fill(), 7);
  await later.finish();
});

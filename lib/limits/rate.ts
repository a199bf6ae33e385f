/** Rates as people write them: `500k`, `2M`, `1.5MiB`, `10MB/s`. */
import { PeerError } from '../errors.js';

/** The least, in bytes per second: a slower peer is taken for dead. */
export const MIN_RATE = 1000;
export const MAX_RATE = 1e12;

const FACTORS = new Map([
  ['', 1],
  ...['K', 'M', 'G', 'T'].flatMap((letter, i): [string, number][] => [
    [letter, 1000 ** (i + 1)],
    [`${letter}I`, 1024 ** (i + 1)],
  ]),
]);

/**
 * Bytes per second. `k`, `M`, `G`, `T` are powers of 1,000 and `Ki`, `Mi`, `Gi`, `Ti` powers of 1,024, in
 * either case; `B` and `/s` may follow.
 *
 * @param name of the option, for the message
 * @throws PeerError ERR_USAGE
 */
export function parseRate(name: string, text: string): number {
  const bad = (why: string): PeerError =>
    new PeerError('ERR_USAGE', `${name}: "${text}" is not a rate (${why})`);
  const how = 'write bytes per second as 500k, 2M, 1.5MiB or 10MB/s';
  const match = /^(\d+(?:\.\d+)?) ?([kmgt]i?)?(b|B|bits?|bps)?(\/s|ps)?$/iu.exec(text);
  if (match === null) throw bad(how);
  const [, digits = '', unit = '', kind = ''] = match;
  if (kind !== '' && kind !== 'B') throw bad(`bits are not counted here: ${how}`);
  const rate = Math.floor(Number(digits) * (FACTORS.get(unit.toUpperCase()) ?? NaN));
  if (rate < MIN_RATE) throw bad(`at least 1 kB/s; for no limit leave it out`);
  if (!(rate <= MAX_RATE)) throw bad('at most 1 TB/s');
  return rate;
}

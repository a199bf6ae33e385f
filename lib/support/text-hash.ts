import { randomBytes } from 'node:crypto';

/** Random, so that nobody can choose texts whose hashes collide. */
const SEEDS = randomBytes(8);
const [SEED_LOW, SEED_HIGH] = [SEEDS.readUInt32LE(0), SEEDS.readUInt32LE(4)];

/** 64 bits of a text, in two halves (after cyrb53); others in each process. */
export function hashText(text: string): [number, number] {
  let low = SEED_LOW;
  let high = SEED_HIGH;
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i);
    low = Math.imul(low ^ c, 2654435761);
    high = Math.imul(high ^ c, 1597334677);
  }
  low = Math.imul(low ^ (low >>> 16), 2246822507) ^ Math.imul(high ^ (high >>> 13), 3266489909);
  high = Math.imul(high ^ (high >>> 16), 2246822507) ^ Math.imul(low ^ (low >>> 13), 3266489909);
  return [low >>> 0, high >>> 0];
}

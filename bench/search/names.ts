/** File names to search, made from those of this machine, and what people would look for in them. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';

/** Where real names come from. */
const FOLDERS = ['/usr', '/etc', '/opt', '/var', '/home', '/root', process.cwd()];
/** Real paths are shortened to about this, from the front, since shares begin deeper than the system. */
const LENGTH = 75;

/** Numbers that look random and are the same in every run. */
export class SeededRandom {
  #state = 1;

  below(n: number): number {
    this.#state = (Math.imul(this.#state, 1664525) + 1013904223) >>> 0;
    return Math.floor((this.#state / 2 ** 32) * n);
  }

  pick<T>(items: readonly T[], otherwise: T): T {
    return items[this.below(items.length)] ?? otherwise;
  }
}

/** So many different paths, in the order of a walk: real ones, then copies with other words in them. */
export function makeNames(count: number): string[] {
  const real = [...new Set(FOLDERS.flatMap((folder) => walk(folder, count)).map(shorten))];
  const random = new SeededRandom();
  const words = real
    .flatMap((path) => wordsOf(nameOf(path)))
    .filter((word) => /^[a-z]+$/i.test(word));
  const names = new Set(real.slice(0, count));
  while (names.size < count) {
    const folders = new Map<string, string>();
    for (const path of real) {
      if (names.size === count) break;
      const folder = path.slice(0, path.length - nameOf(path).length);
      let other = folders.get(folder);
      if (other === undefined) {
        const parts = folder.split('/');
        parts[random.below(parts.length - 1)] = random.pick(words, 'word');
        other = parts.join('/');
        folders.set(folder, other);
      }
      const prefix = random.below(10) < 3 ? `${random.pick(words, 'word')}_` : '';
      names.add(`${other}${prefix}${nameOf(path)}`);
    }
  }
  return [...names];
}

/**
 * A mix as people would ask, by the frequency of words: what many files have in their names is asked for
 * often. Words of names, begins of words, two terms, whole names, misses, and words of folders; all
 * terms have three characters or more. Many queries come more than once.
 */
export function makeQueries(names: readonly string[], count: number): string[] {
  const random = new SeededRandom();
  return Array.from({ length: count }, (_, i) => {
    const path = random.pick(names, 'name');
    const word = random.pick(wordsOf(nameOf(path)), 'word');
    const kind = i % 20;
    if (kind < 8) return word;
    if (kind < 12) return word.slice(0, Math.max(3, word.length - 2));
    if (kind < 16) return `${random.pick(wordsOf(path), 'word')} ${word}`;
    if (kind < 17) return nameOf(path);
    if (kind < 19) return `${word.slice(0, 3)}zq${word.slice(3)}`;
    return random.pick(wordsOf(path), 'word');
  });
}

/** Words of three characters or more, each of those that occur as likely as any other, and none twice. */
export function makeDistinctQueries(names: readonly string[], count: number): string[] {
  const words = new Set<string>();
  for (const name of names) for (const word of wordsOf(name)) words.add(word.toLowerCase());
  const all = [...words];
  const random = new SeededRandom();
  const queries = new Set<string>();
  while (queries.size < Math.min(count, all.length)) queries.add(random.pick(all, 'word'));
  return [...queries];
}

function walk(root: string, most: number): string[] {
  const found: string[] = [];
  const folders = [root];
  for (let folder = folders.pop(); folder !== undefined; folder = folders.pop()) {
    for (const entry of list(folder)) {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) folders.push(path);
      else if (entry.isFile() && Buffer.byteLength(path) < 4000) found.push(path);
    }
    if (found.length >= most) break;
  }
  return found;
}

function list(folder: string): import('node:fs').Dirent[] {
  try {
    return readdirSync(folder, { withFileTypes: true });
  } catch {
    // Not ours to read, or gone.
    return [];
  }
}

function shorten(path: string): string {
  const parts = path.split('/').filter(Boolean);
  while (parts.length > 3 && parts.join('/').length > LENGTH) parts.shift();
  return parts.join('/');
}

function nameOf(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

function wordsOf(text: string): string[] {
  return text.split(/[^\p{L}\p{N}]+/u).filter((word) => word.length >= 3);
}

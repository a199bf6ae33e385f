/**
 * Paths that a peer lists, made safe (safe-name.ts) and told apart.
 *
 * Of several paths that a file system may take for one (case, Unicode's normal forms and what shows
 * nothing left aside) one keeps its name, and a folder goes before a file; the others get the mark of
 * their whole path in front of the extension. One that nothing was done to goes before one that was
 * changed, then the order is that of the paths' code units: it does not depend on the order in which a
 * peer lists them.
 *
 * The paths themselves lie with the caller. Of each no more is kept here than 24 bytes, until the names
 * are chosen, and then nothing of those that are called as `safePath` says. Two paths count as taken for
 * one when 64 bits of a hash say so: at worst a file gets a mark that did not need one.
 */
import { SlotTable } from '../support/slot-table.js';
import { hashText } from '../support/text-hash.js';
import { MARK_DIGITS, leafOf, markOf, safePart, safePath, split, withMark } from './safe-name.js';

const SHOWS_NOTHING = /\p{Default_Ignorable_Code_Point}/gu;
/** A mark gets longer, up to this many times, when two are the same. */
const MAX_MARKS = 8;
/** Steps between two moments in which others may go on. */
const STEPS = 128;

/** Hashes of keys, numbered as they were added. */
class Keys {
  #low = new Uint32Array(1024);
  #high = new Uint32Array(1024);
  #count = 0;
  readonly #table = new SlotTable(
    (i) => this.#low[i] ?? 0,
    (a, b) => this.#low[a] === this.#low[b] && this.#high[a] === this.#high[b],
  );

  get count(): number {
    return this.#count;
  }

  add(key: string): number {
    const i = this.#count++;
    if (i === this.#low.length) {
      this.#low = doubled(this.#low);
      this.#high = doubled(this.#high);
    }
    [this.#low[i], this.#high[i]] = hashText(key);
    this.#table.add(i);
    return i;
  }

  /** The first that was added with this key, or -1. */
  first(key: string): number {
    return this.#first(...hashText(key));
  }

  /** The first with the key that is number `i` of others, or -1. */
  firstLike(others: Keys, i: number): number {
    return this.#first(others.#low[i] ?? 0, others.#high[i] ?? 0);
  }

  /** All with the same key as this one, the first of them. */
  *all(first: number): Generator<number, void, void> {
    for (let i = first; i >= 0; i = this.#table.next(i)) yield i;
  }

  #first(low: number, high: number): number {
    return this.#table.first(low, (i) => this.#low[i] === low && this.#high[i] === high);
  }
}

function doubled(numbers: Uint32Array): Uint32Array<ArrayBuffer> {
  const more = new Uint32Array(numbers.length * 2);
  more.set(numbers);
  return more;
}

/** `add` all paths, `settle`, then ask for names. */
export class DistinctPaths {
  /** Numbers of folders by path as it was given; by the number of the one above and the key of the name. */
  readonly #folders = new Map<string, number>([['', -1]]);
  #folderKeys = new Keys();
  /** By folder and key of the name. */
  #files = new Keys();
  /** Of several files with one key the first. */
  readonly #shared = new Set<number>();
  /** Only of paths that are not called as `safePath` says. */
  readonly #names = new Map<string, string>();

  /** Different folders so far. */
  get folders(): number {
    return this.#folders.size - 1;
  }

  /** Whether a path's folder is one of those so far. */
  knowsFolderOf(path: string): boolean {
    return this.#folders.has(split(path).folder);
  }

  /** @returns the path's number: how many were added before */
  add(path: string): number {
    const { folder, name } = split(path);
    const key = this.#key(folder, safePart(name));
    const first = this.#files.first(key);
    if (first >= 0) this.#shared.add(first);
    return this.#files.add(key);
  }

  /**
   * Choose names; more than once a millisecond it lets others go on.
   *
   * @param pathAt the path that was added as number `i`
   * @returns numbers of paths that were added before under another number
   */
  *settle(pathAt: (i: number) => string): Generator<undefined, Set<number>, void> {
    const repeated = new Set<number>();
    const belowFolders = new Set<number>();
    for (let i = 0; i < this.#folderKeys.count; i++) {
      const first = this.#files.firstLike(this.#folderKeys, i);
      if (first >= 0) belowFolders.add(first);
      if (i % STEPS === 0) yield;
    }
    let rest: string[] = [];
    for (const first of new Set([...belowFolders, ...this.#shared])) {
      const paths = new Set<string>();
      for (const i of this.#files.all(first)) {
        const path = pathAt(i);
        if (paths.has(path)) repeated.add(i);
        paths.add(path);
        if (i % STEPS === 0) yield;
      }
      const keeps = belowFolders.has(first) ? undefined : firstOf(paths);
      for (const path of paths) {
        if (path !== keeps) rest.push(path);
        if (rest.length % STEPS === 0) yield;
      }
    }
    for (let more = 1; rest.length > 0; more++) {
      // Another file may be called like that on purpose: then the mark is longer.
      const chosen = new Map<string, { path: string; name: string }>();
      const again: string[] = [];
      for (const [i, path] of rest.entries()) {
        if (i % STEPS === 0) yield;
        const text = more <= MAX_MARKS ? path : `${path}/${more}`;
        const name = withMark(leafOf(path), markOf(text, MARK_DIGITS * Math.min(MAX_MARKS, more)));
        const key = this.#key(split(path).folder, name);
        const other = chosen.get(key);
        if (this.#files.first(key) >= 0 || this.#folderKeys.first(key) >= 0) again.push(path);
        else if (other === undefined) chosen.set(key, { path, name });
        else if (firstOf([path, other.path]) === path) {
          again.push(other.path);
          chosen.set(key, { path, name });
        } else again.push(path);
      }
      for (const [key, { path, name }] of chosen) {
        this.#files.add(key);
        this.#names.set(path, name);
      }
      rest = again;
    }
    // What is only needed to choose.
    this.#files = new Keys();
    this.#folderKeys = new Keys();
    this.#folders.clear();
    this.#shared.clear();
    return repeated;
  }

  /** The path to use, separated by `/`. */
  nameOf(path: string): string {
    const safe = safePath(path);
    const name = this.#names.get(path);
    return name === undefined ? safe : safe.slice(0, safe.lastIndexOf('/') + 1) + name;
  }

  #key(folder: string, name: string): string {
    return `${this.#folder(folder)}/${keyOf(name)}`;
  }

  #folder(path: string): number {
    const known = this.#folders.get(path);
    if (known !== undefined) return known;
    const { folder, name } = split(path);
    const key = this.#key(folder, safePart(name));
    const same = this.#folderKeys.first(key);
    const number = same >= 0 ? same : this.#folderKeys.add(key);
    this.#folders.set(path, number);
    return number;
  }
}

/** The path that keeps its name. */
function firstOf(paths: Iterable<string>): string | undefined {
  let first: string | undefined;
  let plain = false;
  for (const path of paths) {
    const isPlain = safePath(path) === path;
    if (first !== undefined && (plain === isPlain ? path >= first : plain)) continue;
    first = path;
    plain = isPlain;
  }
  return first;
}

/** What file systems may take for the same. */
function keyOf(name: string): string {
  const visible = name.normalize('NFC').replace(SHOWS_NOTHING, '');
  return visible.toUpperCase().toLowerCase().normalize('NFC');
}

/**
 * Paths that a peer lists, made safe (safe-name.ts) and told apart.
 *
 * Of several paths that a file system may take for one (case, Unicode's normal forms and what shows
 * nothing left aside) one keeps its name, and a folder goes before a file; the others get the mark of
 * their whole path in front of the extension. One that nothing was done to goes before one that was
 * changed, then the order is that of the paths' code units: it does not depend on the order in which a
 * peer lists them.
 *
 * The paths themselves lie with the caller. Of each no more is kept here than 16 bytes, until the names
 * are chosen, and then nothing of those that are called as `safePath` says. Two paths count as taken for
 * one when 64 bits of a hash say so: at worst a file gets a mark that did not need one.
 */
import { hashText } from '../support/text-hash.js';
import { MARK_DIGITS, leafOf, markOf, safePart, safePath, split, withMark } from './safe-name.js';

const SHOWS_NOTHING = /\p{Default_Ignorable_Code_Point}/gu;
/** A mark gets longer, up to this many times, when two are the same. */
const MAX_MARKS = 8;
/** Steps between two moments in which others may go on. */
const STEPS = 128;

const NONE = -1;

/** Hashes of keys, numbered as they were added: of those that are equal the first is in the table. */
class Keys {
  #low = new Uint32Array(1024);
  #high = new Uint32Array(1024);
  #count = 0;
  #table = new Int32Array(2 * 1024).fill(NONE);
  /** Further numbers of a key, by its first. */
  readonly #more = new Map<number, number[]>();

  get count(): number {
    return this.#count;
  }

  /** The first numbers of keys that were added more than once. */
  get repeated(): Iterable<number> {
    return this.#more.keys();
  }

  add(key: string): number {
    const i = this.#count++;
    if (i === this.#low.length) this.#grow();
    const [low, high] = hashText(key);
    this.#low[i] = low;
    this.#high[i] = high;
    const at = this.#find(low, high);
    const first = this.#table[at] ?? NONE;
    if (first === NONE) {
      this.#table[at] = i;
    } else {
      const more = this.#more.get(first);
      if (more === undefined) this.#more.set(first, [i]);
      else more.push(i);
    }
    return i;
  }

  /** The first that was added with this key, or -1. */
  first(key: string): number {
    return this.#table[this.#find(...hashText(key))] ?? NONE;
  }

  /** The first with the key that is number `i` of others, or -1. */
  firstLike(others: Keys, i: number): number {
    return this.#table[this.#find(others.#low[i] ?? 0, others.#high[i] ?? 0)] ?? NONE;
  }

  /** All with the same key as this one, the first of them. */
  all(first: number): number[] {
    return [first, ...(this.#more.get(first) ?? [])];
  }

  /** Where a hash is in the table, or would be. */
  #find(low: number, high: number): number {
    const mask = this.#table.length - 1;
    for (let at = low & mask; ; at = (at + 1) & mask) {
      const i = this.#table[at] ?? NONE;
      if (i === NONE || (this.#low[i] === low && this.#high[i] === high)) return at;
    }
  }

  #grow(): void {
    this.#low = doubled(this.#low);
    this.#high = doubled(this.#high);
    const old = this.#table;
    this.#table = new Int32Array(2 * old.length).fill(NONE);
    for (const i of old) {
      if (i !== NONE) this.#table[this.#find(this.#low[i] ?? 0, this.#high[i] ?? 0)] = i;
    }
  }
}

function doubled(numbers: Uint32Array): Uint32Array<ArrayBuffer> {
  const more = new Uint32Array(numbers.length * 2);
  more.set(numbers);
  return more;
}

/** `add` all paths, `settle`, then ask for names. */
export class DistinctPaths {
  /** Folders by path as it was given, and the number of each. */
  #folderPaths = new Keys();
  #folderNumbers: number[] = [];
  /** Numbers of folders, by the number of the one above and the key of the name. */
  #folderKeys = new Keys();
  /** By folder and key of the name. */
  #files = new Keys();
  /** Only of paths that are not called as `safePath` says. */
  readonly #names = new Map<string, string>();

  /** Different folders so far. */
  get folders(): number {
    return this.#folderPaths.count;
  }

  /** How many more there would be with this path. */
  newFoldersOf(path: string): number {
    let count = 0;
    for (let { folder } = split(path); folder !== ''; { folder } = split(folder)) {
      if (this.#folderPaths.first(folder) >= 0) break;
      count++;
    }
    return count;
  }

  /** @returns the path's number: how many were added before */
  add(path: string): number {
    const { folder, name } = split(path);
    return this.#files.add(this.#key(folder, safePart(name)));
  }

  /**
   * Choose names; more than once a millisecond it lets others go on.
   *
   * @param pathAt the path that was added as number `i`; asked in rising order
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
    const heads = new Set([...belowFolders, ...this.#files.repeated]);
    const known = new Map<number, string>();
    for (const i of this.#sorted(heads)) {
      known.set(i, pathAt(i));
      if (i % STEPS === 0) yield;
    }
    let rest: string[] = [];
    for (const first of heads) {
      const paths = new Set<string>();
      for (const i of this.#files.all(first)) {
        const path = known.get(i) ?? '';
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
    this.#folderPaths = new Keys();
    this.#folderNumbers = [];
    return repeated;
  }

  /** The path to use, separated by `/`. */
  nameOf(path: string): string {
    const safe = safePath(path);
    const name = this.#names.get(path);
    return name === undefined ? safe : safe.slice(0, safe.lastIndexOf('/') + 1) + name;
  }

  /** All that have a key in common with one of these, in rising order. */
  #sorted(heads: ReadonlySet<number>): Uint32Array {
    const all: number[] = [];
    for (const first of heads) for (const i of this.#files.all(first)) all.push(i);
    return Uint32Array.from(all).sort();
  }

  #key(folder: string, name: string): string {
    return `${this.#folder(folder)}/${keyOf(name)}`;
  }

  #folder(path: string): number {
    if (path === '') return NONE;
    const known = this.#folderNumbers[this.#folderPaths.first(path)];
    if (known !== undefined) return known;
    const { folder, name } = split(path);
    const key = this.#key(folder, safePart(name));
    const same = this.#folderKeys.first(key);
    const number = same >= 0 ? same : this.#folderKeys.add(key);
    this.#folderNumbers[this.#folderPaths.add(path)] = number;
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

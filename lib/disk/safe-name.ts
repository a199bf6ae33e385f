/**
 * Paths that a peer lists, made into paths for this machine's disk. Pure: looks at no disk.
 *
 * What becomes of a path:
 *
 * - It is cut at `/`. Empty parts are left out, so that it is relative; if nothing is left, it is `_`.
 * - In each part these become `_`: control characters and NUL; what Windows reserves (`\ : * ? " < > |`);
 *   line and paragraph separators; characters that show nothing or turn the reading direction (Unicode's
 *   Cf and Default_Ignorable_Code_Point), except joiners and variation selectors behind something that
 *   shows, which scripts and emoji need; halves of surrogate pairs. So do a dot at the beginning, because
 *   no peer shall name hidden files (`.bashrc`, and `..` as well), and each dot and space at the end.
 * - The names of devices on Windows get a `_` behind them: `aux.txt` is `aux_.txt`.
 * - A part that ends in `.part` gets one, too: that is how unfinished files are called here.
 * - A part of more than 255 bytes in UTF-8 is cut on a character's border; it keeps its extension and gets
 *   a mark, `~` and eight digits of the hash of what it was.
 *
 * Of several paths that a file system may take for one (case, Unicode's normal forms and what shows
 * nothing left aside) one keeps its name, and a folder goes before a file; the others get the mark of
 * their whole path in front of the extension. One that nothing was done to goes before one that was
 * changed, then the order is that of the paths' code units: it does not depend on the order in which a
 * peer lists them. Work and memory grow with the bytes of the paths, whatever they are.
 */
import { createHash } from 'node:crypto';

/** What a file is called while it is written: this behind its name. */
export const PART_SUFFIX = '.part';

/** Bytes of UTF-8 in a part of a path, at most: NAME_MAX of most file systems. */
export const MAX_NAME_BYTES = 255;
/** An extension of more bytes than this is none. */
const MAX_EXTENSION_BYTES = 32;
/** Hexadecimal digits of a mark; up to eight times as many when two marks are the same. */
const MARK_DIGITS = 8;
const MAX_MARKS = 8;

const BAD = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\\:*?"<>|/]/gu;
/** Zero-width joiners, and variation selectors. */
const JOINER = /^[\u200c\u200d\ufe00-\ufe0f]$/u;
const SHOWS_NOTHING = /\p{Default_Ignorable_Code_Point}/gu;
const TRAILING = /[.\p{Zs}]+$/u;
/** Most names are like that: nothing is done to them, unless they are a device's. */
const PLAIN = /^[A-Za-z0-9_-][A-Za-z0-9_ .,()-]{0,62}[A-Za-z0-9_-]$/;
const PART = /\.part$/i;
const DEVICE =
  /^(?:con|prn|aux|nul|clock\$|conin\$|conout\$|(?:com|lpt)[0-9\u00b9\u00b2\u00b3]) *(?=\.|$)/i;

/** The path, made safe as above; separated by `/`. Two paths may give the same. */
export function safePath(path: string): string {
  const parts = path.split('/').filter((part) => part !== '');
  return parts.length === 0 ? '_' : parts.map(safePart).join('/');
}

/**
 * A path for each of several, no two the same and none a folder of another, as above.
 *
 * @returns by the path that was given
 */
export function distinctPaths(paths: Iterable<string>): Map<string, string> {
  const names = new DistinctPaths();
  const given = new Set(paths);
  for (const path of given) names.add(path);
  const steps = names.settle();
  while (steps.next().done !== true);
  return new Map(Array.from(given, (path) => [path, names.nameOf(path)]));
}

/** Paths with one key: most often there is one. */
type Group = string | Set<string>;

/** The same step by step: `add` all paths, `settle`, then ask for names. */
export class DistinctPaths {
  /** Numbers of folders: by path as it was given, and by the number of the one above and the key of the name. */
  readonly #folders = new Map<string, number>([['', 0]]);
  readonly #folderKeys = new Map<string, number>();
  /** By folder and key. */
  readonly #files = new Map<string, Group>();
  /** Only of paths that are not called as `safePath` says. */
  readonly #names = new Map<string, string>();
  #count = 0;

  /** Different folders so far. */
  get folders(): number {
    return this.#folders.size - 1;
  }

  /** Whether a path's folder is one of those so far. */
  knowsFolderOf(path: string): boolean {
    return this.#folders.has(split(path).folder);
  }

  add(path: string): void {
    const { folder, name } = split(path);
    const key = `${this.#folder(folder)}/${keyOf(safePart(name))}`;
    const group = this.#files.get(key);
    if (group === undefined) this.#files.set(key, path);
    else if (typeof group === 'object') group.add(path);
    else if (group !== path) this.#files.set(key, new Set([group, path]));
  }

  /** Choose names; more than once a millisecond it lets others go on. */
  *settle(): Generator<undefined, void, void> {
    let rest: string[] = [];
    for (const [key, group] of this.#files) {
      const isFolder = this.#folderKeys.has(key);
      if (!isFolder && typeof group === 'string') continue;
      const paths = typeof group === 'string' ? [group] : group;
      const first = isFolder ? undefined : firstOf(paths);
      for (const path of paths) {
        if (path !== first) rest.push(path);
        if (rest.length % 128 === 0) yield;
      }
    }
    for (let more = 1; rest.length > 0; more++) {
      // Another file may be called like that on purpose: then the mark is longer.
      const chosen = new Map<string, { path: string; name: string }>();
      const again: string[] = [];
      for (const [i, path] of rest.entries()) {
        if (i % 128 === 0) yield;
        const text = more <= MAX_MARKS ? path : `${path}/${more}`;
        const name = withMark(leafOf(path), markOf(text, MARK_DIGITS * Math.min(MAX_MARKS, more)));
        const key = `${this.#folder(split(path).folder)}/${keyOf(name)}`;
        const other = chosen.get(key);
        if (this.#files.has(key) || this.#folderKeys.has(key)) again.push(path);
        else if (other === undefined) chosen.set(key, { path, name });
        else if (firstOf([path, other.path]) === path) {
          again.push(other.path);
          chosen.set(key, { path, name });
        } else again.push(path);
      }
      for (const [key, { path, name }] of chosen) {
        this.#files.set(key, path);
        this.#names.set(path, name);
      }
      rest = again;
    }
    // What is only needed to choose.
    this.#files.clear();
    this.#folders.clear();
    this.#folderKeys.clear();
  }

  /** The path to use, separated by `/`. */
  nameOf(path: string): string {
    const safe = safePath(path);
    const name = this.#names.get(path);
    return name === undefined ? safe : safe.slice(0, safe.lastIndexOf('/') + 1) + name;
  }

  #folder(path: string): number {
    const known = this.#folders.get(path);
    if (known !== undefined) return known;
    const { folder, name } = split(path);
    const above = this.#folder(folder);
    const key = `${above}/${keyOf(safePart(name))}`;
    const number = this.#folderKeys.get(key) ?? ++this.#count;
    this.#folderKeys.set(key, number);
    this.#folders.set(path, number);
    return number;
  }
}

/** A path's folder, and its last part; empty parts left out. */
function split(path: string): { folder: string; name: string } {
  let end = path.length;
  while (path[end - 1] === '/') end--;
  const slash = path.lastIndexOf('/', end - 1);
  let above = Math.max(0, slash);
  while (path[above - 1] === '/') above--;
  return { folder: path.slice(0, above), name: path.slice(slash + 1, end) };
}

function leafOf(path: string): string {
  const safe = safePath(path);
  return safe.slice(safe.lastIndexOf('/') + 1);
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

function safePart(part: string): string {
  // An empty path.
  if (part === '') return '_';
  if (PLAIN.test(part) && !DEVICE.test(part) && !PART.test(part)) return part;
  let safe = part.replace(BAD, (character, at: number) =>
    JOINER.test(character) && shows(part, at) ? character : '_',
  );
  safe = safe.replace(/^\./, '_').replace(TRAILING, (end) => '_'.repeat(end.length));
  safe = safe.replace(DEVICE, (device) => `${device}_`);
  if (PART.test(safe)) safe += '_';
  return Buffer.byteLength(safe) <= MAX_NAME_BYTES
    ? safe
    : withMark(safe, markOf(part, MARK_DIGITS));
}

/** Whether the character in front of a place is one that shows. */
function shows(part: string, at: number): boolean {
  const before = /.$/su.exec(part.slice(Math.max(0, at - 2), at))?.[0] ?? '';
  // Joiners follow variation selectors; more of them in a row mean nothing.
  return before !== '' && (/^[\ufe00-\ufe0f]$/u.test(before) || before.search(BAD) < 0);
}

/** `name~mark.extension`, cut to what fits. */
function withMark(name: string, mark: string): string {
  const dot = name.lastIndexOf('.');
  const hasExtension = dot > 0 && Buffer.byteLength(name.slice(dot)) <= MAX_EXTENSION_BYTES;
  const end = `~${mark}${hasExtension ? name.slice(dot) : ''}`;
  const stem = hasExtension ? name.slice(0, dot) : name;
  return cut(stem, MAX_NAME_BYTES - Buffer.byteLength(end)) + end;
}

/** As many whole characters as fit into `bytes` bytes. */
export function cut(text: string, bytes: number): string {
  let used = 0;
  let length = 0;
  for (const character of text) {
    used += Buffer.byteLength(character);
    if (used > bytes) break;
    length += character.length;
  }
  return text.slice(0, length);
}

function markOf(text: string, digits: number): string {
  // UTF-16, so that halves of surrogate pairs differ.
  return createHash('sha256').update(text, 'utf16le').digest('hex').slice(0, digits);
}

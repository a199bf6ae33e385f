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
 * - A part of more than 250 bytes in UTF-8 (255 less `.part`) is cut on a character's border; it keeps
 *   its extension and gets a mark, `~` and eight digits of the hash of what it was.
 *
 * Of several paths that a file system may take for one (case, Unicode's normal forms and what shows
 * nothing left aside) one keeps its name; the others get the mark of their whole path in front of the
 * extension. One that nothing was done to goes before one that was changed, then the order is that of
 * the paths' code units: it does not depend on the order in which a peer lists them.
 */
import { createHash } from 'node:crypto';

/** What a file is called while it is written: this behind its name. */
export const PART_SUFFIX = '.part';

/** Bytes of UTF-8 in a part of a path, at most: file systems take 255. */
const MAX_BYTES = 255 - PART_SUFFIX.length;
/** An extension of more bytes than this is none. */
const MAX_EXTENSION_BYTES = 32;
/** Hexadecimal digits of a mark; more when two marks are the same. */
const MARK_DIGITS = 8;

const BAD = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\\:*?"<>|/]/gu;
/** Zero-width joiners, and variation selectors. */
const JOINER = /^[\u200c\u200d\ufe00-\ufe0f]$/u;
const SHOWS_NOTHING = /\p{Default_Ignorable_Code_Point}/gu;
const TRAILING = /[.\p{Zs}]+$/u;
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
  const given = [...new Set(paths)].sort();
  const safe = new Map(given.map((path) => [path, safePath(path)]));
  const taken = new Set<string>();
  // A file cannot have the name of a folder.
  for (const path of safe.values()) for (const folder of foldersOf(path)) taken.add(folder);
  const chosen = new Map<string, string>();
  for (const changed of [false, true]) {
    for (const path of given) {
      const plain = safe.get(path) ?? '_';
      if ((plain !== path) !== changed) continue;
      const name = freeName(plain, path, taken);
      taken.add(keyOf(name));
      chosen.set(path, name);
    }
  }
  return chosen;
}

/** What file systems may take for the same. */
function keyOf(path: string): string {
  const visible = path.normalize('NFC').replace(SHOWS_NOTHING, '');
  return visible.toUpperCase().toLowerCase().normalize('NFC');
}

/** The keys of all folders above a path. */
function* foldersOf(path: string): Generator<string> {
  const key = keyOf(path);
  for (let at = key.indexOf('/'); at >= 0; at = key.indexOf('/', at + 1)) yield key.slice(0, at);
}

function freeName(plain: string, path: string, taken: ReadonlySet<string>): string {
  if (!taken.has(keyOf(plain))) return plain;
  const slash = plain.lastIndexOf('/') + 1;
  for (let more = 0; ; more++) {
    // Another file may be called like that on purpose.
    const mark = markOf(more < 8 ? path : `${path}/${more}`, MARK_DIGITS * Math.min(8, more + 1));
    const name = plain.slice(0, slash) + withMark(plain.slice(slash), mark);
    if (!taken.has(keyOf(name))) return name;
  }
}

function safePart(part: string): string {
  let safe = part.replace(BAD, (character, at: number) =>
    JOINER.test(character) && shows(part, at) ? character : '_',
  );
  safe = safe.replace(/^\./, '_').replace(TRAILING, (end) => '_'.repeat(end.length));
  safe = safe.replace(DEVICE, (device) => `${device}_`);
  if (safe.toLowerCase().endsWith(PART_SUFFIX)) safe += '_';
  return Buffer.byteLength(safe) <= MAX_BYTES ? safe : withMark(safe, markOf(part, MARK_DIGITS));
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
  return cut(stem, MAX_BYTES - Buffer.byteLength(end)) + end;
}

/** As many whole characters as fit into `bytes` bytes. */
function cut(text: string, bytes: number): string {
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

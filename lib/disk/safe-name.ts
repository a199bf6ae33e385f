/**
 * Paths that a peer lists, made into paths for this machine's disk. Pure: looks at no disk.
 *
 * What becomes of a path:
 *
 * - It is cut at `/`. Empty parts are dropped, so that it is relative; if nothing is left, it is `_`.
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
 * Paths that become the same are told apart in distinct-paths.ts.
 */
import { createHash } from 'node:crypto';

/** What a file is called while it is written: this behind its name. */
export const PART_SUFFIX = '.part';

/** Bytes of UTF-8 in a part of a path, at most: NAME_MAX of most file systems. */
export const MAX_NAME_BYTES = 255;
/** An extension of more bytes than this is none. */
const MAX_EXTENSION_BYTES = 32;
/** Hexadecimal digits of a mark. */
export const MARK_DIGITS = 8;

const BAD = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\\:*?"<>|/]/gu;
/** Zero-width joiners, and variation selectors. */
const JOINER = /^[\u200c\u200d\ufe00-\ufe0f]$/u;
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

/** A path's folder, and its last part, without empty parts. */
export function split(path: string): { folder: string; name: string } {
  let end = path.length;
  while (path[end - 1] === '/') end--;
  const slash = path.lastIndexOf('/', end - 1);
  let above = Math.max(0, slash);
  while (path[above - 1] === '/') above--;
  return { folder: path.slice(0, above), name: path.slice(slash + 1, end) };
}

export function leafOf(path: string): string {
  const safe = safePath(path);
  return safe.slice(safe.lastIndexOf('/') + 1);
}

export function safePart(part: string): string {
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
export function withMark(name: string, mark: string): string {
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

export function markOf(text: string, digits: number): string {
  // UTF-16, so that halves of surrogate pairs differ.
  return createHash('sha256').update(text, 'utf16le').digest('hex').slice(0, digits);
}

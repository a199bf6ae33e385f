/** One page of what is in a folder, in order: folders by name, then files by name. */
import type { FileMatch, Hash } from '../wire/messages.js';

export interface FolderEntry {
  readonly name: string;
  readonly type: 'file' | 'folder';
  /** Of a file: bytes, seconds since 1970 when it was last changed, and the hash of its content. */
  readonly size?: number;
  readonly modified?: number | undefined;
  readonly hash?: Hash;
}

export interface FolderPage {
  readonly entries: FolderEntry[];
  /** The cursor of the next page; undefined when there is none. */
  readonly next: string | undefined;
}

/** What a folder holds. */
export interface FolderContent {
  /** Names of the folders in it. */
  readonly folders: readonly string[];
  /** Slots of the files that were in it when the page was asked for. */
  readonly slots: Iterable<number>;
  /** The path of a file; undefined when it is there no longer. */
  readonly pathOf: (slot: number) => string | undefined;
  readonly matchAt: (slot: number) => FileMatch;
}

/** Files looked at in one step. */
const STEP = 64;

interface Candidate {
  readonly key: string;
  /** NONE: a folder. */
  readonly slot: number;
}

const NONE = -1;

/**
 * In steps. The order is that of UTF-16 code units, which each page continues, whatever has come and gone since.
 *
 * @param after the cursor of the page before
 */
export function* folderPage(
  path: string,
  { folders, slots, pathOf, matchAt }: FolderContent,
  max: number,
  after?: string,
): Generator<void, FolderPage> {
  const from = after === undefined || after === '' ? '' : keyOf(after);
  const prefix = path === '' ? '' : `${path}/`;
  const nameOf = (slot: number): string | undefined => {
    const file = pathOf(slot);
    const name = file?.startsWith(prefix) === true ? file.slice(prefix.length) : undefined;
    return name?.includes('/') === true ? undefined : name;
  };
  const best: Candidate[] = [];
  // One more than wanted tells that there is a next page.
  const keep = (): void => {
    best.sort((a, b) => (a.key < b.key ? -1 : 1));
    best.length = Math.min(best.length, max + 1);
  };
  const add = (cursor: string, slot: number): void => {
    const key = keyOf(cursor);
    if (key > from) best.push({ key, slot });
    if (best.length > 2 * max + STEP) keep();
  };
  for (const name of folders) add(`${name}/`, NONE);
  let looked = 0;
  for (const slot of slots) {
    if (++looked % STEP === 0) yield;
    const name = nameOf(slot);
    if (name !== undefined) add(name, slot);
  }
  keep();
  const entries: FolderEntry[] = [];
  for (const { key, slot } of best.slice(0, max)) {
    const name = key.slice(1);
    if (slot === NONE) entries.push({ name, type: 'folder' });
    // Its slot may be another file's by now.
    else if (nameOf(slot) === name) entries.push({ name, type: 'file', ...ownOf(matchAt(slot)) });
  }
  const last = best.length > max ? best[max - 1] : undefined;
  return { entries, next: last === undefined ? undefined : cursorOf(last) };
}

/** Of a cursor, which is the name of an entry, with `/` behind it if it is a folder: folders come first. */
function keyOf(cursor: string): string {
  return cursor.endsWith('/') ? `0${cursor.slice(0, -1)}` : `1${cursor}`;
}

function cursorOf({ key, slot }: Candidate): string {
  return slot === NONE ? `${key.slice(1)}/` : key.slice(1);
}

function ownOf({
  size,
  modified,
  hash,
}: FileMatch): Pick<FolderEntry, 'size' | 'modified' | 'hash'> {
  return { size, modified, hash };
}

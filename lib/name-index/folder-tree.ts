/** The folders of the paths, as a tree. The text of each is its name and the `/` behind it. */
import { MAX_PATH_BYTES } from '../wire/limits.js';
import { grown } from './arena.js';
import { kindsOf, kindsOfWordStarts, kindsOfWordEnds, SLASH } from './bytes.js';
import { HashTable, hashBytes } from './hash-table.js';
import { foldedAt, foldedBytes, originalAt, originalBytes, type Texts } from './texts.js';

/** The folder in which all others are. It has no name. */
export const TOP = 0;

export class FolderTree {
  // Columns by folder. 0 is also no child and no neighbour, since the top is neither. Where the text is
  // 0, there is no folder.
  text = new Uint32Array(64);
  parent = new Uint32Array(64);
  firstChild = new Uint32Array(64);
  nextSibling = new Uint32Array(64);
  #previousSibling = new Uint32Array(64);
  /** The file (id + 1) with which the list of those right in it begins. */
  firstFile = new Uint32Array(64);
  /** Files in it and in all folders below. */
  filesBelow = new Uint32Array(64);
  /** Bytes of its whole path. */
  bytes = new Uint16Array(64);
  /** Kinds of characters in its whole path. */
  kinds = new Int32Array(64);
  /** Of those, with which words in it begin and end. */
  wordStarts = new Int32Array(64);
  wordEnds = new Int32Array(64);
  /** Above all folders there were. */
  folders = 1;
  live = 1;

  readonly #texts: Texts;
  readonly #free: number[] = [];
  readonly #byName = new HashTable();
  /** The path added last, and the folders on its way: paths mostly come folder by folder. */
  readonly #lastPath = Buffer.alloc(MAX_PATH_BYTES);
  readonly #trail: { folder: number; end: number; foldedEnd: number }[] = [];

  constructor(texts: Texts) {
    this.#texts = texts;
    this.text[TOP] = texts.put(this.#lastPath, 0, 0, this.#lastPath, 0, 0);
  }

  /** The folder of a path, whose bytes up to its last `/` are these, or -1. */
  find(path: Uint8Array, nameAt: number): number {
    const known = this.#known(path, nameAt);
    let folder = this.#trail[known - 1]?.folder ?? TOP;
    for (let at = this.#trail[known - 1]?.end ?? 0; at < nameAt;) {
      const end = path.indexOf(SLASH, at) + 1;
      folder = this.#child(folder, path, at, end);
      if (folder < 0) return -1;
      at = end;
    }
    return folder;
  }

  /**
   * The folder of a path, made if it is not there. It has one more file from now on.
   *
   * @param onNew called for each folder that was made, after those above it
   */
  enter(
    path: Uint8Array,
    nameAt: number,
    folded: Uint8Array,
    onNew: (folder: number) => void,
  ): number {
    this.#trail.length = this.#known(path, nameAt);
    const last = this.#trail.at(-1);
    let folder = last?.folder ?? TOP;
    let foldedAt = last?.foldedEnd ?? 0;
    for (let at = last?.end ?? 0; at < nameAt;) {
      const end = path.indexOf(SLASH, at) + 1;
      const foldedEnd = folded.indexOf(SLASH, foldedAt) + 1;
      let child = this.#child(folder, path, at, end);
      if (child < 0) {
        child = this.#make(folder, this.#texts.put(folded, foldedAt, foldedEnd, path, at, end));
        this.bytes[child] = end;
        this.#byName.add(hashBytes(folder, path, at, end), child);
        onNew(child);
      }
      folder = child;
      at = end;
      foldedAt = foldedEnd;
      this.#trail.push({ folder, end, foldedEnd });
    }
    for (let i = last?.end ?? 0; i < nameAt; i++) this.#lastPath[i] = path[i] ?? 0;
    for (let up = folder; ; up = this.parent[up] ?? TOP) {
      this.filesBelow[up] = (this.filesBelow[up] ?? 0) + 1;
      if (up === TOP) return folder;
    }
  }

  /** A folder has one file less. Folders that are empty then have to be removed, from the lowest up. */
  leave(folder: number): void {
    for (let up = folder; ; up = this.parent[up] ?? TOP) {
      this.filesBelow[up] = (this.filesBelow[up] ?? 0) - 1;
      if (up === TOP) return;
    }
  }

  /** Remove an empty folder. */
  remove(folder: number): void {
    const text = this.text[folder] ?? 0;
    const slab = this.#texts.slab(text);
    const at = originalAt(slab, text);
    const parent = this.parent[folder] ?? TOP;
    this.#byName.remove(hashBytes(parent, slab, at, at + originalBytes(slab, text)), folder);
    const next = this.nextSibling[folder] ?? 0;
    const previous = this.#previousSibling[folder] ?? 0;
    if (previous === 0) this.firstChild[parent] = next;
    else this.nextSibling[previous] = next;
    if (next !== 0) this.#previousSibling[next] = previous;
    this.#texts.release(text);
    this.text[folder] = 0;
    this.#free.push(folder);
    this.live--;
    this.#trail.length = 0;
  }

  /** How many folders of the trail this path shares. */
  #known(path: Uint8Array, nameAt: number): number {
    let same = 0;
    while (same < nameAt && path[same] === this.#lastPath[same]) same++;
    let known = this.#trail.length;
    while (known > 0 && (this.#trail[known - 1]?.end ?? 0) > same) known--;
    return known;
  }

  #child(parent: number, path: Uint8Array, from: number, to: number): number {
    return this.#byName.find(
      hashBytes(parent, path, from, to),
      (folder) =>
        this.parent[folder] === parent &&
        this.#texts.isOriginal(this.text[folder] ?? 0, path, from, to),
    );
  }

  #make(parent: number, text: number): number {
    const folder = this.#free.pop() ?? this.folders++;
    this.live++;
    this.text = grown(this.text, this.folders);
    this.parent = grown(this.parent, this.folders);
    this.firstChild = grown(this.firstChild, this.folders);
    this.nextSibling = grown(this.nextSibling, this.folders);
    this.#previousSibling = grown(this.#previousSibling, this.folders);
    this.firstFile = grown(this.firstFile, this.folders);
    this.filesBelow = grown(this.filesBelow, this.folders);
    this.bytes = grown(this.bytes, this.folders);
    this.kinds = grown(this.kinds, this.folders);
    this.wordStarts = grown(this.wordStarts, this.folders);
    this.wordEnds = grown(this.wordEnds, this.folders);
    const slab = this.#texts.slab(text);
    const at = foldedAt(text);
    const next = this.firstChild[parent] ?? 0;
    if (next !== 0) this.#previousSibling[next] = folder;
    this.text[folder] = text;
    this.parent[folder] = parent;
    this.firstChild[folder] = 0;
    this.nextSibling[folder] = next;
    this.#previousSibling[folder] = 0;
    this.firstChild[parent] = folder;
    this.firstFile[folder] = 0;
    this.filesBelow[folder] = 0;
    const end = at + foldedBytes(slab, text);
    this.kinds[folder] = (this.kinds[parent] ?? 0) | kindsOf(slab, at, end);
    this.wordStarts[folder] = (this.wordStarts[parent] ?? 0) | kindsOfWordStarts(slab, at, end);
    this.wordEnds[folder] = (this.wordEnds[parent] ?? 0) | kindsOfWordEnds(slab, at, end);
    return folder;
  }
}

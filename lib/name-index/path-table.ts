/** Paths by id: the file names, in the folders of a tree. */
import { MAX_PATH_BYTES } from '../wire/limits.js';
import { grown } from './arena.js';
import { foldBytes, kindsOf, SLASH } from './bytes.js';
import { FolderTree, TOP } from './folder-tree.js';
import { HashTable, hashBytes } from './hash-table.js';
import { difference, originalAt, originalBytes, Texts } from './texts.js';

/** Ids are small numbers: there are columns with a place for each. */
const MAX_ID = 2 ** 26;

// A file: a row of numbers side by side, since what is looked at is mostly far from what was before.
export const ROW = 4;
/** 0: there is no file with this id. */
export const TEXT = 0;
/** The neighbours in its folder: ids + 1, or 0. */
export const NEXT = 1;
const PREVIOUS = 2;
/** Kinds of characters in the name. */
export const KINDS = 3;

/** A path in its original form, put together. */
class PathBuffer {
  readonly bytes = Buffer.alloc(MAX_PATH_BYTES);
  length = 0;
  id = -1;
}

export class PathTable {
  readonly texts = new Texts();
  readonly tree = new FolderTree(this.texts);

  rows = new Uint32Array(64 * ROW);
  // What is looked at of very many files, one after the other, has columns of its own.
  folders = new Uint32Array(64);
  /** Bytes of the whole path. */
  bytes = new Uint16Array(64);
  /** Above all ids there were. */
  ids = 0;
  size = 0;

  readonly #byPath = new HashTable();
  readonly #path = new PathBuffer();
  readonly #assembled = new PathBuffer();

  text(id: number): number {
    return this.rows[id * ROW + TEXT] ?? 0;
  }

  folder(id: number): number {
    return this.folders[id] ?? TOP;
  }

  has(id: number): boolean {
    return this.text(id) !== 0;
  }

  path(id: number): string | undefined {
    if (!this.has(id)) return undefined;
    const { bytes, length } = this.#assemble(id);
    return bytes.toString('utf8', 0, length);
  }

  /** The id of a path, or -1. */
  find(path: string): number {
    const nameAt = this.#encode(path);
    if (nameAt < 0) return -1;
    const { bytes, length } = this.#path;
    const folder = this.tree.find(bytes, nameAt);
    if (folder < 0) return -1;
    return this.#byPath.find(
      hashBytes(folder, bytes, nameAt, length),
      (id) =>
        this.folder(id) === folder && this.texts.isOriginal(this.text(id), bytes, nameAt, length),
    );
  }

  /**
   * @param onFolder called for each folder that was made
   * @throws {RangeError} for a path that is too long, or an id that is none
   */
  add(id: number, path: string, onFolder: (folder: number) => void): void {
    if (!Number.isInteger(id) || id < 0 || id >= MAX_ID) throw new RangeError(`no id: ${id}`);
    const nameAt = this.#encode(path);
    if (nameAt < 0) throw new RangeError(`a path has at most ${MAX_PATH_BYTES} bytes`);
    const { bytes, length } = this.#path;
    const { bytes: folded, length: end } = foldBytes(path, bytes, length);
    const folder = this.tree.enter(bytes, nameAt, folded, onFolder);
    let foldedName = end;
    while (foldedName > 0 && folded[foldedName - 1] !== SLASH) foldedName--;
    this.ids = Math.max(this.ids, id + 1);
    this.rows = grown(this.rows, this.ids * ROW);
    this.folders = grown(this.folders, this.ids);
    this.bytes = grown(this.bytes, this.ids);
    const { rows } = this;
    const row = id * ROW;
    const next = this.tree.firstFile[folder] ?? 0;
    if (next !== 0) rows[(next - 1) * ROW + PREVIOUS] = id + 1;
    rows[row + TEXT] = this.texts.put(folded, foldedName, end, bytes, nameAt, length);
    this.folders[id] = folder;
    this.bytes[id] = length;
    rows[row + NEXT] = next;
    rows[row + PREVIOUS] = 0;
    rows[row + KINDS] = kindsOf(folded, foldedName, end);
    this.tree.firstFile[folder] = id + 1;
    this.#byPath.add(hashBytes(folder, bytes, nameAt, length), id);
    this.size++;
    this.#assembled.id = -1;
  }

  /** Remove a path. Folders may be empty then: see FolderTree.leave. */
  remove(id: number): void {
    const text = this.text(id);
    const folder = this.folder(id);
    const slab = this.texts.slab(text);
    const at = originalAt(slab, text);
    this.#byPath.remove(hashBytes(folder, slab, at, at + originalBytes(slab, text)), id);
    const { rows } = this;
    const next = rows[id * ROW + NEXT] ?? 0;
    const previous = rows[id * ROW + PREVIOUS] ?? 0;
    if (previous === 0) this.tree.firstFile[folder] = next;
    else rows[(previous - 1) * ROW + NEXT] = next;
    if (next !== 0) rows[(next - 1) * ROW + PREVIOUS] = previous;
    this.texts.release(text);
    rows[id * ROW + TEXT] = 0;
    this.size--;
    this.tree.leave(folder);
    this.#assembled.id = -1;
  }

  /** The order of a path and any bytes, by UTF-16 code units. */
  compareBytes(id: number, bytes: Uint8Array): number {
    const { bytes: path, length } = this.#assemble(id);
    return difference(path, 0, length, bytes, 0, bytes.length) || length - bytes.length;
  }

  #assemble(id: number): PathBuffer {
    const into = this.#assembled;
    if (into.id === id) return into;
    let end = this.bytes[id] ?? 0;
    into.id = id;
    into.length = end;
    end = this.#copyBefore(into.bytes, end, this.text(id));
    const { text, parent } = this.tree;
    for (let up = this.folder(id); up !== TOP; up = parent[up] ?? TOP) {
      end = this.#copyBefore(into.bytes, end, text[up] ?? 0);
    }
    return into;
  }

  /** Copy the original form of a text so that it ends there. */
  #copyBefore(to: Uint8Array, end: number, text: number): number {
    const slab = this.texts.slab(text);
    const at = originalAt(slab, text);
    const n = originalBytes(slab, text);
    const begin = end - n;
    for (let i = 0; i < n; i++) to[begin + i] = slab[at + i] ?? 0;
    return begin;
  }

  /** Put a path into `#path`. @returns where its name begins, or -1 when it is too long */
  #encode(path: string): number {
    const { bytes } = this.#path;
    if (path.length > MAX_PATH_BYTES || Buffer.byteLength(path) > MAX_PATH_BYTES) return -1;
    const length = bytes.write(path, 'utf8');
    this.#path.length = length;
    let nameAt = length;
    while (nameAt > 0 && bytes[nameAt - 1] !== SLASH) nameAt--;
    return nameAt;
  }
}

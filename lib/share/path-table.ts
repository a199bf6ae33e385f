/**
 * Paths by id, with the name of a folder kept once for all files in it: every text in its folded form,
 * and in the original one where that differs.
 */
import { MAX_PATH_BYTES } from '../wire/limits.js';
import { Arena, grown, offsetOf } from './arena.js';
import { foldBytes, kindsOf, SLASH } from './bytes.js';
import { HashTable, hashBytes } from './hash-table.js';

// A text in the arena: bytes folded (2), bytes of the original (2; 0: it is the same), then the folded
// and the original form.
const TEXT_HEAD = 4;

/** Ids are small numbers: there are columns with a place for each. */
const MAX_ID = 2 ** 26;

export class PathTable {
  // Columns by id. Where `text` is 0 there is no file. Neighbours in a folder are ids + 1, or 0.
  text = new Uint32Array(64);
  folderOf = new Uint32Array(64);
  next = new Uint32Array(64);
  #previous = new Uint32Array(64);
  /** Bytes of the whole path. */
  bytes = new Uint16Array(64);
  kinds = new Int32Array(64);

  // Columns by folder. Its text is the path with the last `/`; that of the top is empty.
  folderText = new Uint32Array(64);
  firstFile = new Uint32Array(64);
  #filesIn = new Uint32Array(64);
  folderKinds = new Int32Array(64);

  /** Above all ids, and all folders, that there were. */
  ids = 0;
  folders = 0;
  size = 0;
  liveFolders = 0;

  readonly arena = new Arena();
  readonly #freeFolders: number[] = [];
  readonly #byFolder = new HashTable((folder) => {
    const [slab, from, to] = this.#original(this.folderText[folder] ?? 0);
    return hashBytes(0, slab, from, to);
  });
  readonly #byPath = new HashTable((id) => {
    const [slab, from, to] = this.#original(this.text[id] ?? 0);
    return hashBytes(this.folderOf[id] ?? 0, slab, from, to);
  });

  /** The path that is looked at: its bytes, and where its file name begins. */
  readonly #path = Buffer.allocUnsafeSlow(MAX_PATH_BYTES);
  #pathBytes = 0;
  #nameAt = 0;
  #lastFolder = -1;

  has(id: number): boolean {
    return (this.text[id] ?? 0) !== 0;
  }

  path(id: number): string | undefined {
    if (!this.has(id)) return undefined;
    const [slab, from, to] = this.#original(this.folderText[this.folderOf[id] ?? 0] ?? 0);
    const [slab2, from2, to2] = this.#original(this.text[id] ?? 0);
    return slab.toString('utf8', from, to) + slab2.toString('utf8', from2, to2);
  }

  /** The id of a path, or -1. */
  find(path: string): number {
    if (!this.#look(path)) return -1;
    const folder = this.#findFolder();
    return folder < 0 ? -1 : this.#findFile(folder);
  }

  /**
   * Add a path.
   *
   * @returns its folder, and whether that is new
   * @throws {RangeError} for a path that is too long, or an id that is none
   */
  add(id: number, path: string): { folder: number; isNew: boolean } {
    if (!Number.isInteger(id) || id < 0 || id >= MAX_ID) throw new RangeError(`no id: ${id}`);
    if (!this.#look(path)) throw new RangeError(`a path has at most ${MAX_PATH_BYTES} bytes`);
    const folded = foldBytes(path, this.#path, this.#pathBytes);
    const foldedName = folded.lastIndexOf(SLASH) + 1;
    let folder = this.#findFolder();
    const isNew = folder < 0;
    if (isNew) {
      folder = this.#freeFolders.pop() ?? this.folders++;
      this.folderText = grown(this.folderText, this.folders);
      this.firstFile = grown(this.firstFile, this.folders);
      this.#filesIn = grown(this.#filesIn, this.folders);
      this.folderKinds = grown(this.folderKinds, this.folders);
      this.folderText[folder] = this.#put(folded, 0, foldedName, 0, this.#nameAt);
      this.firstFile[folder] = 0;
      this.#filesIn[folder] = 0;
      this.folderKinds[folder] = kindsOf(folded, 0, foldedName);
      this.#byFolder.add(hashBytes(0, this.#path, 0, this.#nameAt), folder);
      this.liveFolders++;
    }
    this.#lastFolder = folder;
    if (id >= this.ids) {
      this.ids = id + 1;
      this.text = grown(this.text, this.ids);
      this.folderOf = grown(this.folderOf, this.ids);
      this.next = grown(this.next, this.ids);
      this.#previous = grown(this.#previous, this.ids);
      this.bytes = grown(this.bytes, this.ids);
      this.kinds = grown(this.kinds, this.ids);
    }
    this.text[id] = this.#put(folded, foldedName, folded.length, this.#nameAt, this.#pathBytes);
    this.folderOf[id] = folder;
    this.bytes[id] = this.#pathBytes;
    this.kinds[id] = kindsOf(folded, foldedName, folded.length);
    const first = this.firstFile[folder] ?? 0;
    this.next[id] = first;
    this.#previous[id] = 0;
    if (first !== 0) this.#previous[first - 1] = id + 1;
    this.firstFile[folder] = id + 1;
    this.#filesIn[folder] = (this.#filesIn[folder] ?? 0) + 1;
    this.#byPath.add(hashBytes(folder, this.#path, this.#nameAt, this.#pathBytes), id);
    this.size++;
    return { folder, isNew };
  }

  /** @returns whether its folder is empty now: `removeFolder` is to follow */
  remove(id: number): boolean {
    const text = this.text[id] ?? 0;
    const folder = this.folderOf[id] ?? 0;
    const [slab, from, to] = this.#original(text);
    this.#byPath.remove(hashBytes(folder, slab, from, to), id);
    const next = this.next[id] ?? 0;
    const previous = this.#previous[id] ?? 0;
    if (previous === 0) this.firstFile[folder] = next;
    else this.next[previous - 1] = next;
    if (next !== 0) this.#previous[next - 1] = previous;
    this.#release(text);
    this.text[id] = 0;
    this.size--;
    const files = (this.#filesIn[folder] ?? 0) - 1;
    this.#filesIn[folder] = files;
    return files === 0;
  }

  removeFolder(folder: number): void {
    const text = this.folderText[folder] ?? 0;
    const [slab, from, to] = this.#original(text);
    this.#byFolder.remove(hashBytes(0, slab, from, to), folder);
    this.#release(text);
    this.folderText[folder] = 0;
    this.#freeFolders.push(folder);
    this.liveFolders--;
    if (this.#lastFolder === folder) this.#lastFolder = -1;
  }

  /** The order of two paths, by UTF-16 code units. */
  compare(a: number, b: number): number {
    const folderA = this.folderOf[a] ?? 0;
    const folderB = this.folderOf[b] ?? 0;
    const [nameA, nameAFrom, nameATo] = this.#original(this.text[a] ?? 0);
    const [nameB, nameBFrom, nameBTo] = this.#original(this.text[b] ?? 0);
    if (folderA === folderB) {
      return (
        difference(nameA, nameAFrom, nameATo, nameB, nameBFrom, nameBTo) ||
        nameATo - nameAFrom - (nameBTo - nameBFrom)
      );
    }
    const [textA, fromA, toA] = this.#original(this.folderText[folderA] ?? 0);
    const [textB, fromB, toB] = this.#original(this.folderText[folderB] ?? 0);
    const found = difference(textA, fromA, toA, textB, fromB, toB);
    if (found !== 0) return found;
    // One folder lies in the other. What follows of the deeper one has a slash, a name has none: either
    // they differ, or the name ends first.
    const short = toA - fromA - (toB - fromB);
    return short < 0
      ? difference(nameA, nameAFrom, nameATo, textB, fromB - fromA + toA, toB) || -1
      : difference(textA, fromA - fromB + toB, toA, nameB, nameBFrom, nameBTo) || 1;
  }

  /** The order of a path and any bytes. */
  compareBytes(id: number, bytes: Uint8Array): number {
    const [text, from, to] = this.#original(this.folderText[this.folderOf[id] ?? 0] ?? 0);
    const [name, nameFrom, nameTo] = this.#original(this.text[id] ?? 0);
    const split = Math.min(to - from, bytes.length);
    return (
      difference(text, from, to, bytes, 0, split) ||
      difference(name, nameFrom, nameTo, bytes, split, bytes.length) ||
      to - from + (nameTo - nameFrom) - bytes.length
    );
  }

  /** The memory of a text, and where its folded form begins and ends there. */
  folded(text: number): [slab: Buffer, from: number, to: number] {
    const slab = this.arena.slab(text);
    const at = offsetOf(text);
    const from = at + TEXT_HEAD;
    return [slab, from, from + ((slab[at] ?? 0) | ((slab[at + 1] ?? 0) << 8))];
  }

  #original(text: number): [slab: Buffer, from: number, to: number] {
    const slab = this.arena.slab(text);
    const at = offsetOf(text);
    const folded = (slab[at] ?? 0) | ((slab[at + 1] ?? 0) << 8);
    const original = (slab[at + 2] ?? 0) | ((slab[at + 3] ?? 0) << 8);
    const from = at + TEXT_HEAD + (original === 0 ? 0 : folded);
    return [slab, from, from + (original === 0 ? folded : original)];
  }

  #put(folded: Buffer, from: number, to: number, pathFrom: number, pathTo: number): number {
    const path = this.#path;
    const same = folded.compare(path, pathFrom, pathTo, from, to) === 0;
    const address = this.arena.take(TEXT_HEAD + (to - from) + (same ? 0 : pathTo - pathFrom));
    const slab = this.arena.slab(address);
    const at = offsetOf(address);
    slab.writeUInt16LE(to - from, at);
    slab.writeUInt16LE(same ? 0 : pathTo - pathFrom, at + 2);
    folded.copy(slab, at + TEXT_HEAD, from, to);
    if (!same) path.copy(slab, at + TEXT_HEAD + to - from, pathFrom, pathTo);
    return address;
  }

  #release(text: number): void {
    const slab = this.arena.slab(text);
    const at = offsetOf(text);
    this.arena.release(text, TEXT_HEAD + slab.readUInt16LE(at) + slab.readUInt16LE(at + 2));
  }

  /** Make this the path that is looked at. False when it is too long. */
  #look(path: string): boolean {
    if (path.length > MAX_PATH_BYTES || Buffer.byteLength(path) > MAX_PATH_BYTES) return false;
    this.#pathBytes = this.#path.write(path, 'utf8');
    this.#nameAt = this.#pathBytes;
    while (this.#nameAt > 0 && this.#path[this.#nameAt - 1] !== SLASH) this.#nameAt--;
    return true;
  }

  #findFolder(): number {
    const is = (folder: number): boolean =>
      this.#isOriginal(this.folderText[folder] ?? 0, 0, this.#nameAt);
    // Files mostly come folder by folder.
    if (this.#lastFolder >= 0 && is(this.#lastFolder)) return this.#lastFolder;
    return this.#byFolder.find(hashBytes(0, this.#path, 0, this.#nameAt), is);
  }

  #findFile(folder: number): number {
    const hash = hashBytes(folder, this.#path, this.#nameAt, this.#pathBytes);
    return this.#byPath.find(
      hash,
      (id) =>
        this.folderOf[id] === folder &&
        this.#isOriginal(this.text[id] ?? 0, this.#nameAt, this.#pathBytes),
    );
  }

  /** Whether a text is this part of the path that is looked at. */
  #isOriginal(text: number, begin: number, end: number): boolean {
    const [slab, from, to] = this.#original(text);
    return to - from === end - begin && difference(slab, from, to, this.#path, begin, end) === 0;
  }
}

/** How bytes differ in what they have in common, in the order of UTF-16 code units. */
function difference(
  a: Uint8Array,
  aFrom: number,
  aTo: number,
  b: Uint8Array,
  bFrom: number,
  bTo: number,
): number {
  const end = Math.min(aTo, aFrom + bTo - bFrom);
  for (let i = aFrom, j = bFrom; i < end; i++, j++) {
    const x = a[i] ?? 0;
    const y = b[j] ?? 0;
    if (x !== y) return order(x) - order(y);
  }
  return 0;
}

/** U+E000 to U+FFFF (EE and EF) come behind the surrogates, that is, behind F0 to F4. */
function order(byte: number): number {
  return (byte & 0xfe) === 0xee ? byte + 0x10 : byte;
}

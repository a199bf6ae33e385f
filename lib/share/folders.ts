/** Which published files lie in a folder, and below it: nothing here looks at more than these. */

interface Folder {
  readonly path: string;
  /** Undefined: the share's own. */
  readonly parent: Folder | undefined;
  readonly children: Set<Folder>;
  /** The first of the slots that lie in it, which hang together; or NONE. */
  first: number;
}

const NONE = -1;

export class Folders {
  readonly #folders = new Map<string, Folder>();
  #next = new Int32Array(0);
  /** The slot before, or NONE. */
  #previous = new Int32Array(0);

  add(slot: number, path: string): void {
    this.#reserve(slot);
    const folder = this.#make(folderOf(path));
    if (folder.first >= 0) this.#previous[folder.first] = slot;
    this.#next[slot] = folder.first;
    this.#previous[slot] = NONE;
    folder.first = slot;
  }

  /** @param path as when it was added */
  remove(slot: number, path: string): void {
    const [next, previous] = [this.#next[slot] ?? NONE, this.#previous[slot] ?? NONE];
    if (next >= 0) this.#previous[next] = previous;
    if (previous >= 0) {
      this.#next[previous] = next;
      return;
    }
    let folder = this.#folders.get(folderOf(path));
    if (folder === undefined) return;
    folder.first = next;
    // Folders that hold nothing any more.
    for (; folder?.first === NONE && folder.children.size === 0; folder = folder.parent) {
      this.#folders.delete(folder.path);
      folder.parent?.children.delete(folder);
    }
  }

  /** Slots of the files in a folder itself. */
  *directlyIn(path: string): Generator<number> {
    let slot = this.#folders.get(path)?.first ?? NONE;
    for (; slot >= 0; slot = this.#next[slot] ?? NONE) yield slot;
  }

  /** Slots of the files in a folder and in the folders below it. */
  *below(path: string): Generator<number> {
    const top = this.#folders.get(path);
    const open = top === undefined ? [] : [top];
    for (let folder = open.pop(); folder !== undefined; folder = open.pop()) {
      yield* this.directlyIn(folder.path);
      for (const child of folder.children) open.push(child);
    }
  }

  /** Names of the folders in a folder, each with files somewhere below it; undefined: it has no files itself. */
  foldersIn(path: string): string[] | undefined {
    const folder = this.#folders.get(path);
    if (folder === undefined) return undefined;
    return Array.from(folder.children, (child) =>
      child.path.slice(child.path.lastIndexOf('/') + 1),
    );
  }

  #make(path: string): Folder {
    const known = this.#folders.get(path);
    if (known !== undefined) return known;
    const parent = path === '' ? undefined : this.#make(folderOf(path));
    const folder: Folder = { path, parent, children: new Set(), first: NONE };
    parent?.children.add(folder);
    this.#folders.set(path, folder);
    return folder;
  }

  #reserve(slot: number): void {
    if (slot < this.#next.length) return;
    const length = Math.max(1024, slot + 1, this.#next.length * 2);
    const [next, previous] = [new Int32Array(length), new Int32Array(length)];
    next.set(this.#next);
    previous.set(this.#previous);
    [this.#next, this.#previous] = [next, previous];
  }
}

function folderOf(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf('/')));
}

/** Which published files lie below a folder: needed when a folder goes away as a whole. */

export class Folders {
  readonly #ids = new Map<string, number>();
  readonly #paths: string[] = [];
  readonly #counts: number[] = [];
  readonly #free: number[] = [];
  /** The folder of each slot, plus one; 0 when the slot is not published. */
  #folderOf = new Uint32Array(1024);

  add(slot: number, path: string): void {
    const folder = path.slice(0, Math.max(0, path.lastIndexOf('/')));
    let id = this.#ids.get(folder);
    if (id === undefined) {
      id = this.#free.pop() ?? this.#paths.length;
      this.#ids.set(folder, id);
      this.#paths[id] = folder;
      this.#counts[id] = 0;
    }
    this.#counts[id] = (this.#counts[id] ?? 0) + 1;
    if (slot >= this.#folderOf.length) {
      const larger = new Uint32Array(Math.max(slot + 1, this.#folderOf.length * 2));
      larger.set(this.#folderOf);
      this.#folderOf = larger;
    }
    this.#folderOf[slot] = id + 1;
  }

  remove(slot: number): void {
    const id = (this.#folderOf[slot] ?? 0) - 1;
    if (id < 0) return;
    this.#folderOf[slot] = 0;
    const left = (this.#counts[id] ?? 0) - 1;
    this.#counts[id] = left;
    if (left > 0) return;
    this.#ids.delete(this.#paths[id] ?? '');
    this.#paths[id] = '';
    this.#free.push(id);
  }

  /** Slots of the files in a folder itself. */
  directlyIn(folder: string): number[] {
    const id = this.#ids.get(folder);
    return id === undefined ? [] : this.#slotsIn(new Set([id + 1]));
  }

  /** Slots of the files in a folder and in the folders below it. */
  below(folder: string): number[] {
    const inside = new Set<number>();
    for (const [path, id] of this.#ids) {
      if (path === folder || path.startsWith(`${folder}/`)) inside.add(id + 1);
    }
    return inside.size === 0 ? [] : this.#slotsIn(inside);
  }

  #slotsIn(inside: ReadonlySet<number>): number[] {
    const slots: number[] = [];
    for (let slot = 0; slot < this.#folderOf.length; slot++) {
      if (inside.has(this.#folderOf[slot] ?? 0)) slots.push(slot);
    }
    return slots;
  }
}

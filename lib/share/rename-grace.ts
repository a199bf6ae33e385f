/** Files that are gone, remembered for a while: they may turn up under another name. */

/** Milliseconds that they are remembered. */
const GRACE = 10_000;

export class RenameGrace {
  /** Paths, and when they are forgotten; in the order of that. */
  readonly #paths = new Map<string, number>();
  readonly #onForget: (paths: readonly string[]) => Promise<void>;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  /** @param onForget told the paths whose time is over */
  constructor(onForget: (paths: readonly string[]) => Promise<void>) {
    this.#onForget = onForget;
  }

  add(path: string): void {
    this.#paths.delete(path);
    this.#paths.set(path, Date.now() + GRACE);
    this.#wait(GRACE);
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
  }

  #wait(milliseconds: number): void {
    if (this.#closed) return;
    this.#timer ??= setTimeout(() => {
      const now = Date.now();
      const over: string[] = [];
      for (const [path, due] of this.#paths) {
        if (due > now) break;
        this.#paths.delete(path);
        over.push(path);
      }
      void this.#onForget(over).then(() => {
        this.#timer = undefined;
        const [next] = this.#paths.values();
        if (next !== undefined) this.#wait(Math.max(0, next - Date.now()));
      });
    }, milliseconds);
  }
}

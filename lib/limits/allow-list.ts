/** The peers for which a private share is there: ids that the user gives, and those in a file, which is followed. */
import { unwatchFile, watchFile } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { PeerError, asError, systemCode } from '../errors.js';
import { isHex32 } from '../wire/limits.js';
import type { PeerId } from '../wire/messages.js';

/** Milliseconds between looks at the file. */
const LOOK_EVERY = 250;

export interface AllowListOptions {
  ids: readonly PeerId[];
  /** An id a line; what follows a # is no part of it. */
  file: string | undefined;
  /** The list has changed. */
  onChange: () => void;
  /** What the user should know of the file. */
  onWarning: (reason: string) => void;
}

export class AllowList {
  readonly #options: AllowListOptions;
  #ids: ReadonlySet<PeerId>;
  /** One look after the other: what an earlier one reads must not replace what a later one has read. */
  #looks: Promise<void> = Promise.resolve();

  private constructor(options: AllowListOptions) {
    this.#options = options;
    this.#ids = new Set(options.ids);
  }

  /** @throws PeerError ERR_USAGE when the file cannot be read, or holds anything else */
  static async open(options: AllowListOptions): Promise<AllowList> {
    const list = new AllowList(options);
    const { file } = options;
    if (file === undefined) return list;
    // From before it is read: no change is missed.
    watchFile(file, { interval: LOOK_EVERY, persistent: false }, list.#onLook);
    try {
      list.#take(await readFile(file, 'utf8'), (reason) => {
        throw new PeerError('ERR_USAGE', reason);
      });
    } catch (error) {
      list.close();
      if (error instanceof PeerError) throw error;
      throw new PeerError('ERR_USAGE', `${file}: ${reasonOf(error)}`, { cause: error });
    }
    return list;
  }

  has(id: PeerId | undefined): boolean {
    return id !== undefined && this.#ids.has(id);
  }

  close(): void {
    const { file } = this.#options;
    if (file !== undefined) unwatchFile(file, this.#onLook);
  }

  readonly #onLook = (): void => {
    this.#looks = this.#looks.then(() => this.#read());
  };

  async #read(): Promise<void> {
    const { file = '', onChange, onWarning } = this.#options;
    try {
      this.#take(await readFile(file, 'utf8'), onWarning);
      onChange();
    } catch (error) {
      onWarning(`${file}: ${reasonOf(error)}; the ids that it held stay`);
    }
  }

  #take(text: string, onFault: (reason: string) => void): void {
    const ids = new Set(this.#options.ids);
    for (const [i, line] of text.split('\n').entries()) {
      const [first = ''] = line.split('#', 1);
      const id = first.trim().toLowerCase();
      if (isHex32(id)) ids.add(id);
      else if (id !== '') onFault(`${this.#options.file}, line ${i + 1}: not an id`);
    }
    this.#ids = ids;
  }
}

/** An id as people write it. @throws PeerError ERR_USAGE */
export function parseId(text: string): PeerId {
  const id = text.toLowerCase();
  if (isHex32(id)) return id;
  throw new PeerError('ERR_USAGE', `"${text}" is not an id: that is 64 hexadecimal digits`);
}

function reasonOf(error: unknown): string {
  return systemCode(error) ?? asError(error).message;
}

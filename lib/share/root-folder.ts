/** The shared folder itself: whether it can be shared, is still there, and has come back. */
import { existsSync } from 'node:fs';
import { access, constants, opendir, realpath, stat } from 'node:fs/promises';
import { PeerError, systemCode } from '../errors.js';
import { isStateFolder, stateFiles } from '../state/state-files.js';

/** Milliseconds between looks for a folder that is gone. */
const CHECK_INTERVAL = 1000;

export class RootFolder {
  readonly #given: string;
  #path = '';
  #dev = 0n;
  #ino = 0n;
  #timer: NodeJS.Timeout | undefined;

  /** @param folder as the user wrote it */
  constructor(folder: string) {
    this.#given = folder;
  }

  /** Absolute, without symbolic links. */
  get path(): string {
    return this.#path;
  }

  /**
   * Look whether the folder can be shared.
   *
   * @param state where this node's state is, or will be
   * @throws PeerError ERR_USAGE when it does not exist, is not a folder, cannot be read, or is a state folder
   */
  async check(state: string | undefined): Promise<void> {
    await this.#find();
    const own = state !== undefined && existsSync(state) ? stateFiles(state) : [];
    const isOwn = own.some(({ dev, ino }) => dev === this.#dev && ino === this.#ino);
    if (isOwn || isStateFolder(this.#path)) {
      const why = 'the state of a node is kept there; share another folder';
      throw new PeerError('ERR_USAGE', `${this.#given}: ${why}`);
    }
  }

  /** Whether the folder that was checked stands there, not another one nor an empty mount point. */
  async isThere(): Promise<boolean> {
    const there = await stat(this.#path, { bigint: true }).catch(() => undefined);
    return there?.isDirectory() === true && there.dev === this.#dev && there.ino === this.#ino;
  }

  async isEmpty(): Promise<boolean> {
    try {
      const folder = await opendir(this.#path);
      try {
        return (await folder.read()) === null;
      } finally {
        await folder.close();
      }
    } catch {
      return true;
    }
  }

  /**
   * Call back once when the folder is there again: itself, or another one that is not empty. An empty
   * one is what a file system that is not mounted leaves behind.
   */
  whenBack(action: () => void): void {
    this.#timer ??= setInterval(() => {
      void this.#checkReturned(action);
    }, CHECK_INTERVAL);
  }

  /** Wait for it no more. */
  close(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  async #find(): Promise<void> {
    try {
      this.#path = await realpath(this.#given);
      const there = await stat(this.#path, { bigint: true });
      if (there.isDirectory()) {
        await access(this.#path, constants.R_OK | constants.X_OK);
        this.#dev = there.dev;
        this.#ino = there.ino;
        return;
      }
    } catch (error) {
      const code = systemCode(error);
      const why = code === 'ENOENT' ? 'no such folder' : `cannot be read (${code ?? 'unknown'})`;
      throw new PeerError('ERR_USAGE', `${this.#given}: ${why}`, { cause: error });
    }
    throw new PeerError('ERR_USAGE', `${this.#given}: not a folder`);
  }

  async #checkReturned(action: () => void): Promise<void> {
    const there = await stat(this.#path, { bigint: true }).catch(() => undefined);
    if (there?.isDirectory() !== true) return;
    const same = there.dev === this.#dev && there.ino === this.#ino;
    if (!same && (await this.isEmpty())) return;
    // Closed meanwhile, or a look before this one has found it.
    if (this.#timer === undefined) return;
    this.close();
    this.#dev = there.dev;
    this.#ino = there.ino;
    action();
  }
}

/**
 * What of the folder is shared: by name (dotfiles, `--ignore`, unfinished downloads, names nobody can
 * send), by kind, and never a node's state, however it got there.
 */
import { lstatSync, readdirSync, type BigIntStats, type Dirent } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import picomatch from 'picomatch';
import { identityOf, readableSync, type FileIdentity } from '../disk/open.js';
import { PART_SUFFIX } from '../disk/safe-name.js';
import { systemCode } from '../errors.js';
import { isStateFolder, type FileKey } from '../state/state-files.js';
import { pathFault } from '../wire/path.js';

export interface FilterOptions {
  /** The shared folder, resolved. */
  root: string;
  /** Whether names that begin with a dot are shared. */
  dotfiles: boolean;
  /** Globs of what is not shared; one without a slash counts in every folder. */
  ignore: readonly string[];
  /** Files and folders that are this node's state, whatever they are called. */
  state: readonly FileKey[];
}

/** What stands at a path. */
export type Entry = { kind: 'folder'; ino: bigint } | NotFolder;
export type NotFolder = { kind: 'file'; identity: FileIdentity } | Nothing;

/** Nothing that is shared. */
export interface Nothing {
  kind: 'nothing';
  /** What the user is to be told. */
  reason?: string;
  /** An error that may pass: something may stand there all the same. */
  isUnsure?: boolean;
}

const NOTHING: Nothing = { kind: 'nothing' };
/** Of a node's state. */
export const STATE: Nothing = { kind: 'nothing', reason: 'the state of a node; skipped' };

/** Names of files that tell a node's state folder. */
const STATE_NAME = /(^|\/)(key\.pem(\.new)?|(data|lock)\.mdb)$/;

/** Names of what stands in every state folder. */
const STATE_MARK = /^(key\.pem|lock$)/;

/** Names that cannot be read as UTF-8 come with U+FFFD, and are not found again. */
const INVALID = '\ufffd';

export class ShareFilter {
  readonly #root: string;
  readonly #dotfiles: boolean;
  readonly #isIgnored: (path: string) => boolean;
  /** Devices by inode. */
  readonly #state = new Map<bigint, bigint[]>();

  constructor({ root, dotfiles, ignore, state }: FilterOptions) {
    this.#root = root;
    this.#dotfiles = dotfiles;
    const patterns = ignorePatterns(ignore.map((glob) => glob.normalize('NFC')));
    const matches = picomatch(patterns, { dot: true });
    // One name may be written in two ways in Unicode; the disk has it in either.
    this.#isIgnored = (path) => patterns.length > 0 && matches(path.normalize('NFC'));
    for (const { dev, ino } of state) {
      this.#state.set(ino, [...(this.#state.get(ino) ?? []), dev]);
    }
  }

  /** Whether a path, of a file or folder, is skipped for its name. */
  ignores(path: string): boolean {
    return (!this.#dotfiles && /(^|\/)\./.test(path)) || this.#isIgnored(path);
  }

  /**
   * The entries of a folder that are not skipped for their names.
   *
   * @returns why there are none, if none can be shared
   */
  list(folder: string): Dirent[] | Nothing {
    try {
      const entries = readdirSync(join(this.#root, folder), { withFileTypes: true });
      if (this.#isStateFolder(folder, entries)) return STATE;
      return entries.filter(({ name }) => !this.ignores(join(folder, name)));
    } catch (error) {
      return this.classifyError(folder, error);
    }
  }

  /** What stands at a path that is not skipped for its name. */
  look(path: string): Entry {
    const full = join(this.#root, path);
    try {
      // An error costs much more than a look, and whole folders may be deleted.
      const there = lstatSync(full, { bigint: true, throwIfNoEntry: false });
      if (there === undefined) return this.#classifyMissing(path);
      if (there.isDirectory()) return { kind: 'folder', ino: there.ino };
      return this.classify(path, there, readableSync(full, there));
    } catch (error) {
      return this.classifyError(path, error);
    }
  }

  /**
   * The same of what is no folder, when that has been looked up.
   *
   * @param known as in `isInState`; skipped when the path is in none
   */
  classify(
    path: string,
    there: BigIntStats,
    isReadable: boolean,
    known?: Map<string, boolean>,
  ): NotFolder {
    // A link or a special file is nothing to the share, nor is what is still being fetched.
    if (!there.isFile() || isUnfinished(path)) return NOTHING;
    if (this.#isState(there)) return STATE;
    if (known !== undefined && this.isInState(path, known)) return STATE;
    const fault = pathFault(path);
    if (fault !== undefined) return { kind: 'nothing', reason: `${fault}; skipped` };
    if (!isReadable) return { kind: 'nothing', reason: 'EACCES; skipped' };
    return { kind: 'file', identity: identityOf(there) };
  }

  /**
   * Whether a path lies in a state folder, at whatever depth.
   *
   * @param known what was found out about folders at this moment
   */
  isInState(path: string, known = new Map<string, boolean>()): boolean {
    if (path === '') return false;
    const folder = parentOf(path);
    let isState = known.get(folder);
    if (isState === undefined) {
      isState = this.#isStateFolder(folder) || this.isInState(folder, known);
      known.set(folder, isState);
    }
    return isState;
  }

  /** Whether a file is kept in a state folder: told by its name first, so that this costs little. */
  isSecret(path: string): boolean {
    return STATE_NAME.test(path) && this.isInState(path);
  }

  #isStateFolder(folder: string, entries?: readonly Dirent[]): boolean {
    const full = join(this.#root, folder);
    const there = lstatSync(full, { bigint: true, throwIfNoEntry: false });
    if (there === undefined) return false;
    if (this.#isState(there)) return true;
    return entries?.some(({ name }) => STATE_MARK.test(name)) !== false && isStateFolder(full);
  }

  #isState({ dev, ino }: FileKey): boolean {
    return this.#state.get(ino)?.includes(dev) === true;
  }

  /** What an error says of the path where it happened. */
  classifyError(path: string, error: unknown): Nothing {
    const code = systemCode(error);
    if (code !== 'ENOENT' && code !== 'ENOTDIR') {
      const isUnsure = code !== 'EACCES' && code !== 'EPERM';
      return { kind: 'nothing', reason: `${code ?? String(error)}; skipped`, isUnsure };
    }
    return this.#classifyMissing(path);
  }

  /** What is not there: gone since it was seen; or listed under a name that is not its own. */
  #classifyMissing(path: string): Nothing {
    if (!path.includes(INVALID)) return NOTHING;
    try {
      if (!readdirSync(join(this.#root, parentOf(path))).includes(basename(path))) return NOTHING;
    } catch {
      return NOTHING;
    }
    return { kind: 'nothing', reason: 'its name is not valid UTF-8; skipped' };
  }
}

/** Whether a file is one that a fetch has not completed, or the lock beside it. */
function isUnfinished(path: string): boolean {
  return path.endsWith(PART_SUFFIX) || path.endsWith(`${PART_SUFFIX}.lock`);
}

/** `*.tmp` means: in every folder, files and folders of that name; as in .gitignore. */
function ignorePatterns(globs: readonly string[]): string[] {
  return globs.flatMap((glob) => {
    const trimmed = glob.replace(/^\//, '').replace(/\/$/, '');
    const base = glob.replace(/\/$/, '').includes('/') ? trimmed : `**/${trimmed}`;
    return [base, `${base}/**`];
  });
}

/** The folder in which something stands; '' is the share's own. */
export function parentOf(path: string): string {
  const folder = dirname(path);
  return folder === '.' ? '' : folder;
}

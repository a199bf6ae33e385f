/** Which paths of the folder are shared, by name alone: dotfiles, `--ignore`, names nobody can send. */
import picomatch from 'picomatch';
import { pathFault } from '../wire/path.js';

export interface FilterOptions {
  /** Whether names that begin with a dot are shared. */
  dotfiles: boolean;
  /** Globs of what is left out; one without a slash counts in every folder. */
  ignore: readonly string[];
}

/** `*.tmp` means: in every folder, files and folders of that name; as in .gitignore. */
export function ignorePatterns(globs: readonly string[]): string[] {
  return globs.flatMap((glob) => {
    const trimmed = glob.replace(/^\//, '').replace(/\/$/, '');
    const base = glob.replace(/\/$/, '').includes('/') ? trimmed : `**/${trimmed}`;
    return [base, `${base}/**`];
  });
}

/** Why a name cannot be shared, if it cannot. */
export function unfit(path: string): string | undefined {
  // Node reads bytes that are not UTF-8 as U+FFFD: such a name cannot be opened again.
  if (path.includes('\ufffd')) return 'its name is not valid UTF-8';
  return pathFault(path);
}

/** Tells of a path inside the share, file or folder, whether it is left out. */
export function leavesOut({ dotfiles, ignore }: FilterOptions): (path: string) => boolean {
  const patterns = ignorePatterns(ignore);
  const ignored = patterns.length > 0 ? picomatch(patterns, { dot: true }) : (): boolean => false;
  return (path) => (!dotfiles && /(^|\/)\./.test(path)) || ignored(path);
}

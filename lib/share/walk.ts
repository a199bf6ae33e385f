/** Walk a folder with fast-glob and stat what is there. Synchronous: runs inside a worker. */
import { lstatSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import fastGlob from 'fast-glob';
import { identityOf, type FileIdentity } from '../disk/open.js';
import { systemCode } from '../errors.js';
import { MAX_PATH_BYTES } from '../wire/limits.js';

export interface ScanRequest {
  /** The folder, resolved. */
  root: string;
  /** Whether names that begin with a dot are shared. */
  dotfiles: boolean;
  /** Globs of what is left out; one without a slash counts in every folder. */
  ignore: readonly string[];
}

/** Something that was left out, and why. */
export interface ScanWarning {
  path: string;
  reason: string;
}

export interface ScanChunk {
  files: { path: string; identity: FileIdentity }[];
  warnings: ScanWarning[];
}

const CHUNK_FILES = 4096;

/** `*.tmp` means: in every folder, files and folders of that name; as in .gitignore. */
function ignorePatterns(globs: readonly string[]): string[] {
  return globs.flatMap((glob) => {
    const trimmed = glob.replace(/^\//, '').replace(/\/$/, '');
    const base = glob.replace(/\/$/, '').includes('/') ? trimmed : `**/${trimmed}`;
    return [base, `${base}/**`];
  });
}

/** Regular files only; symbolic links are not followed, fifos, sockets and devices not opened. */
export function* walk(request: ScanRequest): Generator<ScanChunk> {
  const { root } = request;
  let warnings: ScanWarning[] = [];
  const relative = (full: string): string => full.slice(root.length).replace(/^\//, '') || '.';
  const paths = fastGlob.sync('**', {
    cwd: root,
    dot: request.dotfiles,
    ignore: ignorePatterns(request.ignore),
    onlyFiles: true,
    followSymbolicLinks: false,
    unique: false,
    fs: {
      // A folder that cannot be read is named and left out; the rest is shared.
      readdirSync: ((path: string, options: { withFileTypes: true }) => {
        try {
          return readdirSync(path, options);
        } catch (error) {
          warnings.push({ path: relative(path), reason: reasonOf(error) });
          return [];
        }
      }) as typeof readdirSync,
    },
  });
  let files: ScanChunk['files'] = [];
  for (const path of paths) {
    const reason = unfit(path);
    if (reason !== undefined) {
      warnings.push({ path, reason });
      continue;
    }
    try {
      const stat = lstatSync(join(root, path), { bigint: true });
      if (stat.isFile()) files.push({ path, identity: identityOf(stat) });
    } catch (error) {
      // Deleted since it was listed: nothing to say.
      if (systemCode(error) !== 'ENOENT') warnings.push({ path, reason: reasonOf(error) });
    }
    if (files.length === CHUNK_FILES) {
      yield { files, warnings };
      files = [];
      warnings = [];
    }
  }
  yield { files, warnings };
}

/** Why a name cannot be shared, if it cannot. */
function unfit(path: string): string | undefined {
  // Node reads bytes that are not UTF-8 as U+FFFD: such a name cannot be opened again.
  if (path.includes('\ufffd')) return 'its name is not valid UTF-8';
  if (Buffer.byteLength(path) > MAX_PATH_BYTES) return `longer than ${MAX_PATH_BYTES} bytes`;
  return undefined;
}

function reasonOf(error: unknown): string {
  return systemCode(error) ?? String(error);
}

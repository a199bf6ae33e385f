/** Walk a folder with fast-glob and stat what is there. Synchronous: runs inside a worker. */
import { lstatSync, readdirSync, type Dirent } from 'node:fs';
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
          return readdirSync(unveil(path), options).map(veiled);
        } catch (error) {
          warnings.push({ path: relative(unveil(path)), reason: reasonOf(error) });
          return [];
        }
      }) as typeof readdirSync,
    },
  });
  let files: ScanChunk['files'] = [];
  for (const veiledPath of paths) {
    const path = unveil(veiledPath);
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

// fast-glob's patterns are regular expressions whose dot does not match the end of a line: it would
// leave out every name that holds one. It is shown such names with those characters replaced.
const LINE_ENDS = ['\n', '\r', '\u2028', '\u2029'];
/** Of the private use area; stands before the replaced character's number, and before itself. */
const VEIL = '\ue000';
const VEILED = [...LINE_ENDS, VEIL];

function veiled(entry: Dirent): Dirent {
  const name = entry.name.replace(
    /[\n\r\u2028\u2029\ue000]/g,
    (c) => `${VEIL}${VEILED.indexOf(c)}`,
  );
  return name === entry.name
    ? entry
    : (Object.create(entry, { name: { value: name, enumerable: true } }) as Dirent);
}

function unveil(path: string): string {
  return path.replace(/\ue000(\d)/g, (_, digit: string) => VEILED[Number(digit)] ?? '');
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

/** Walk a folder with fast-glob and stat what is there. Synchronous: runs inside a worker. */
import { lstatSync, readdirSync, type Dirent } from 'node:fs';
import { join } from 'node:path';
import fastGlob from 'fast-glob';
import { identityOf, readableSync, type FileIdentity } from '../disk/open.js';
import { systemCode } from '../errors.js';
import { ignorePatterns, unfit, type FilterOptions } from './filter.js';

export interface ScanRequest extends FilterOptions {
  /** The folder, resolved. */
  root: string;
  /** A folder inside it, to scan nothing else. */
  below?: string | undefined;
}

/** Something that was left out, and why. */
export interface ScanWarning {
  path: string;
  reason: string;
}

export interface ScannedFile {
  path: string;
  identity: FileIdentity;
}

export interface ScanChunk {
  files: ScannedFile[];
  warnings: ScanWarning[];
}

/** A chunk as it travels between threads: columns are copied as a whole, objects one by one. */
export interface PackedChunk {
  /** Paths, each ended by a NUL. */
  paths: string;
  sizes: Float64Array;
  /** mtimeNs, dev, ino of each file. */
  numbers: BigUint64Array;
  warnings: ScanWarning[];
}

export function pack({ files, warnings }: ScanChunk): PackedChunk {
  const sizes = new Float64Array(files.length);
  const numbers = new BigUint64Array(files.length * 3);
  for (const [i, { identity }] of files.entries()) {
    sizes[i] = identity.size;
    numbers[i * 3] = BigInt.asUintN(64, identity.mtimeNs);
    numbers[i * 3 + 1] = BigInt.asUintN(64, identity.dev);
    numbers[i * 3 + 2] = BigInt.asUintN(64, identity.ino);
  }
  return { paths: files.map(({ path }) => `${path}\0`).join(''), sizes, numbers, warnings };
}

export function unpackFiles({ paths, sizes, numbers }: PackedChunk): ScannedFile[] {
  const names = paths.split('\0');
  names.pop();
  return names.map((path, i) => ({
    path,
    identity: {
      size: sizes[i] ?? 0,
      mtimeNs: BigInt.asIntN(64, numbers[i * 3] ?? 0n),
      dev: numbers[i * 3 + 1] ?? 0n,
      ino: numbers[i * 3 + 2] ?? 0n,
    },
  }));
}

const CHUNK_FILES = 4096;

/** Regular files only; symbolic links are not followed, fifos, sockets and devices not opened. */
export function* walk(request: ScanRequest): Generator<ScanChunk> {
  const { root, below } = request;
  let warnings: ScanWarning[] = [];
  const relative = (full: string): string => full.slice(root.length).replace(/^\//, '') || '.';
  const pattern = below === undefined ? '**' : `${fastGlob.escapePath(veil(below))}/**`;
  const paths = fastGlob.sync(pattern, {
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
      const full = join(root, path);
      const stat = lstatSync(full, { bigint: true });
      if (!stat.isFile()) continue;
      if (readableSync(full, stat)) files.push({ path, identity: identityOf(stat) });
      else warnings.push({ path, reason: 'EACCES; left out' });
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

function veil(path: string): string {
  return path.replace(/[\n\r\u2028\u2029\ue000]/g, (c) => `${VEIL}${VEILED.indexOf(c)}`);
}

function veiled(entry: Dirent): Dirent {
  const name = veil(entry.name);
  return name === entry.name
    ? entry
    : (Object.create(entry, { name: { value: name, enumerable: true } }) as Dirent);
}

function unveil(path: string): string {
  return path.replace(/\ue000(\d)/g, (_, digit: string) => VEILED[Number(digit)] ?? '');
}

function reasonOf(error: unknown): string {
  return systemCode(error) ?? String(error);
}

/** Walk a folder with fast-glob and stat what is there. Synchronous: runs inside a worker. */
import { type Dirent, type readdirSync } from 'node:fs';
import fastGlob from 'fast-glob';
import type { FileIdentity } from '../disk/open.js';
import { packIdentities, packPaths, unpackIdentity, unpackPaths } from '../hash/packed.js';
import { ShareFilter, type FilterOptions, type Nothing } from './filter.js';

/** Something that was skipped, and why. */
export interface ScanWarning {
  path: string;
  reason: string;
}

export interface ScannedFile {
  path: string;
  identity: FileIdentity;
}

export interface ScanRequest extends FilterOptions {
  /** Look at these and nothing else. */
  paths?: readonly string[];
}

export interface ScanChunk {
  files: ScannedFile[];
  warnings: ScanWarning[];
  /** Of the paths that were to be looked at, those where nothing stands that is shared. */
  gone: string[];
}

/** A chunk as it travels between threads: columns are copied as a whole, objects one by one. */
export interface PackedChunk {
  paths: string;
  identities: BigInt64Array;
  warnings: ScanWarning[];
  gone: string;
}

export function pack({ files, warnings, gone }: ScanChunk): PackedChunk {
  return {
    paths: packPaths(files.map(({ path }) => path)),
    identities: packIdentities(files.map(({ identity }) => identity)),
    warnings,
    gone: packPaths(gone),
  };
}

export function unpackFiles({ paths, identities }: PackedChunk): ScannedFile[] {
  return unpackPaths(paths).map((path, i) => ({ path, identity: unpackIdentity(identities, i) }));
}

const CHUNK_FILES = 4096;

/** All that is shared, and what is skipped and why. Symbolic links are not followed. */
export function* walk(request: ScanRequest): Generator<ScanChunk> {
  const { root } = request;
  const filter = new ShareFilter(request);
  let warnings: ScanWarning[] = [];
  const skipped = (path: string, { reason }: Nothing): void => {
    if (reason !== undefined) warnings.push({ path, reason });
  };
  // A folder that cannot be listed is named and skipped; the rest is shared.
  const list = (veiledFolder: string): Dirent[] => {
    const folder = unescapeLineEnds(veiledFolder).slice(root.length).replace(/^\//, '');
    const listed = filter.list(folder);
    if (!('kind' in listed)) return listed.map(withEscapedName);
    skipped(folder === '' ? '.' : folder, listed);
    return [];
  };
  let files: ScanChunk['files'] = [];
  let gone: string[] = [];
  const look = (path: string): void => {
    const there = filter.look(path);
    const isInState = request.paths !== undefined && filter.isInState(path, known);
    if (there.kind === 'file' && !isInState) {
      files.push({ path, identity: there.identity });
      return;
    }
    if (there.kind === 'nothing') skipped(path, there);
    if (there.kind !== 'nothing' || there.isUnsure !== true) gone.push(path);
  };
  const known = new Map<string, boolean>();
  const found =
    request.paths ??
    fastGlob.sync('**', {
      cwd: root,
      dot: true,
      onlyFiles: true,
      followSymbolicLinks: false,
      unique: false,
      fs: { readdirSync: list as unknown as typeof readdirSync },
    });
  for (const path of found) {
    look(request.paths === undefined ? unescapeLineEnds(path) : path);
    if (files.length + gone.length < CHUNK_FILES) continue;
    yield { files, warnings, gone };
    [files, warnings, gone] = [[], [], []];
  }
  yield { files, warnings, gone };
}

// fast-glob's patterns are regular expressions whose dot does not match the end of a line: it would
// skip every name that holds one. It is shown such names with those characters replaced.
const LINE_ENDS = ['\n', '\r', '\u2028', '\u2029'];
/** Of the private use area; stands before the replaced character's number, and before itself. */
const ESCAPE = '\ue000';
const ESCAPED = [...LINE_ENDS, ESCAPE];

function escapeLineEnds(path: string): string {
  return path.replace(/[\n\r\u2028\u2029\ue000]/g, (c) => `${ESCAPE}${ESCAPED.indexOf(c)}`);
}

function withEscapedName(entry: Dirent): Dirent {
  const name = escapeLineEnds(entry.name);
  return name === entry.name
    ? entry
    : (Object.create(entry, { name: { value: name, enumerable: true } }) as Dirent);
}

function unescapeLineEnds(path: string): string {
  return path.replace(/\ue000(\d)/g, (_, digit: string) => ESCAPED[Number(digit)] ?? '');
}

/**
 * Entry of the watching worker: chokidar with a watch per folder. What a folder's watch names is
 * looked at here, in batches, and posted as what is there now.
 */
import { lstatSync, readFileSync, readdirSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { parentPort, workerData } from 'node:worker_threads';
import { watch } from 'chokidar';
import { identityOf, readableSync, type FileIdentity } from '../disk/open.js';
import { asError, systemCode } from '../errors.js';
import { leavesOut, unfit, type FilterOptions } from './filter.js';

export interface WatchRequest extends FilterOptions {
  root: string;
}

/** What stands at a path now. */
export type Seen =
  | { path: string; kind: 'file'; identity: FileIdentity }
  | { path: string; kind: 'folder'; files: { path: string; identity: FileIdentity }[] }
  /** Nothing that can be shared: nothing at all, or `unreadable`, a file that must not be read. */
  | { path: string; kind: 'gone'; unreadable?: boolean };

export type WatchMessage =
  | { type: 'ready'; folders: number }
  | { type: 'seen'; seen: Seen[]; burst: boolean }
  | { type: 'error'; failure: WatchFailure };

/** Why the folder, or a part of it, cannot be watched. */
export interface WatchFailure {
  /** The system's error. */
  code: string;
  message: string;
  /** Watches that the folder needs, and that all of a user's programs may have (inotify(7)). */
  folders?: number;
  limit?: number;
}

/** Milliseconds in which names are gathered before they are looked at. */
const GATHER = 20;
/** So many names at once that the kernel's queue (16,384 events) may have lost some. */
const BURST = 4000;
/**
 * Milliseconds after which a new folder is looked at once more: what was made in it before its watch was
 * there. A folder in it may even have no watch of its own.
 */
const SETTLE = 1000;
/** Folders looked at in one turn of the loop. */
const FOLDERS_A_TURN = 50;

const port = parentPort;
if (port === null) throw new Error('runs as a worker only');
const request = workerData as WatchRequest;
const { root } = request;
const isLeftOut = leavesOut(request);
const first = statSync(root, { bigint: true });
const names = new Set<string>();
/** Folders that are watched. */
const folders = new Set<string>();
let ready = false;
let since = 0;
let recent = 0;
let timer: NodeJS.Timeout | undefined;

function post(message: WatchMessage): void {
  port?.postMessage(message);
}

function note(path: string): void {
  names.add(path);
  timer ??= setTimeout(look, GATHER);
}

/** Whether the folder that is watched still stands at its path. */
function isRoot(): boolean {
  try {
    const there = statSync(root, { bigint: true });
    return there.dev === first.dev && there.ino === first.ino;
  } catch {
    return false;
  }
}

function look(): void {
  timer = undefined;
  // Names in about a second, in however many batches they came.
  const now = Date.now();
  if (now - since > 1000) [since, recent] = [now, 0];
  recent += names.size;
  const burst = recent >= BURST;
  const seen: Seen[] = [];
  // All of it is gone, or hidden by another file system: of the files in it nothing is known.
  if (!isRoot()) {
    names.clear();
    post({ type: 'seen', seen: [{ path: '', kind: 'gone' }], burst: false });
    return;
  }
  for (const path of names) {
    if (path !== '' && (isLeftOut(path) || unfit(path) !== undefined)) continue;
    const there = stat(path);
    if (there !== undefined) seen.push(there);
  }
  names.clear();
  if (seen.length > 0) post({ type: 'seen', seen, burst });
}

function stat(path: string): Seen | undefined {
  try {
    const there = lstatSync(join(root, path), { bigint: true });
    if (there.isFile()) {
      return readableSync(join(root, path), there)
        ? { path, kind: 'file', identity: identityOf(there) }
        : { path, kind: 'gone', unreadable: true };
    }
    if (there.isDirectory()) return { path, kind: 'folder', files: filesIn(path) };
  } catch (error) {
    const code = systemCode(error);
    if (code !== 'ENOENT' && code !== 'ENOTDIR') return undefined;
  }
  // A link or a special file stands there: to the share it is nothing.
  return { path, kind: 'gone' };
}

/** The files directly in a folder. Folders below it have watches, and are seen, of their own. */
function filesIn(folder: string): { path: string; identity: FileIdentity }[] {
  const files: { path: string; identity: FileIdentity }[] = [];
  for (const entry of readdirSync(join(root, folder), { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (!entry.isFile() || isLeftOut(path) || unfit(path) !== undefined) continue;
    const there = stat(path);
    if (there?.kind === 'file') files.push({ path, identity: there.identity });
  }
  return files;
}

/** The folders directly in a folder that are shared. */
function foldersIn(folder: string): string[] {
  try {
    return readdirSync(join(root, folder), { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map((entry) => join(folder, entry.name))
      .filter((path) => !isLeftOut(path));
  } catch {
    // Gone, or not ours to read.
    return [];
  }
}

/** All folders that are shared, the share's own included. */
function* allFolders(): Generator<string> {
  const open = [''];
  for (let folder = open.pop(); folder !== undefined; folder = open.pop()) {
    yield folder;
    open.push(...foldersIn(folder));
  }
}

/** Watch the folders in a folder that are not: they were made before its own watch was there. */
function watchFoldersIn(folder: string): void {
  for (const path of foldersIn(folder)) watchFolder(path);
}

function watchFolder(path: string): void {
  if (folders.has(path) || watcher.closed) return;
  folders.add(path);
  watcher.add(join(root, path));
}

/** Some names were lost, perhaps: see that every folder has its watch. */
async function watchAll(): Promise<void> {
  let count = 0;
  for (const folder of allFolders()) {
    watchFolder(folder);
    if (++count % FOLDERS_A_TURN === 0) await nextTurn();
  }
}

port.on('message', () => {
  if (ready) void watchAll();
});

function watchLimit(): number | undefined {
  try {
    return Number(readFileSync('/proc/sys/fs/inotify/max_user_watches', 'utf8'));
  } catch {
    // Not Linux.
    return undefined;
  }
}

const watcher = watch(root, {
  // A watch on a folder tells of the files in it.
  ignored: (path, stats) => {
    if (stats !== undefined && !stats.isDirectory()) return true;
    const inside = relative(root, path);
    return inside !== '' && isLeftOut(inside);
  },
  followSymlinks: false,
  atomic: false,
  ignorePermissionErrors: true,
});
watcher.on('raw', (_event, entry, details: unknown) => {
  const folder = relative(root, (details as { watchedPath?: string }).watchedPath ?? root);
  note(typeof entry === 'string' && entry !== '' ? join(folder, entry) : folder);
});
watcher.on('addDir', (path) => {
  const folder = relative(root, path);
  folders.add(folder);
  if (!ready) return;
  note(folder);
  setTimeout(() => {
    note(folder);
    watchFoldersIn(folder);
  }, SETTLE).unref();
});
watcher.on('unlinkDir', (path) => {
  const folder = relative(root, path);
  folders.delete(folder);
  note(folder);
});
watcher.on('error', (thrown) => {
  const { message } = asError(thrown);
  const code = systemCode(thrown) ?? 'unknown';
  if (code !== 'ENOSPC') {
    post({ type: 'error', failure: { code, message } });
    return;
  }
  // Some of the folder watched is worth little, and other programs want watches, too.
  void watcher.close();
  const failure: WatchFailure = { code, message, folders: [...allFolders()].length };
  const limit = watchLimit();
  post({ type: 'error', failure: limit === undefined ? failure : { ...failure, limit } });
});
watcher.on('ready', () => {
  ready = true;
  post({ type: 'ready', folders: folders.size });
});

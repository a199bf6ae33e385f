/**
 * Entry of the watching worker: chokidar with a watch per folder. What a folder's watch names is
 * looked at here, in batches, and posted as what is there now.
 *
 * A folder is watched first and read then, so that nothing that is made in it is missed.
 */
import { lstatSync, readFileSync, readdirSync, statSync } from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';
import { setImmediate as nextTurn, setTimeout as pause } from 'node:timers/promises';
import { parentPort, workerData } from 'node:worker_threads';
import { FSWatcher } from 'chokidar';
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
/** Milliseconds until a folder that came, went and came again is looked at once more. */
const AGAIN = 200;
/** Milliseconds that folders may take to be watched, when nothing happens meanwhile. */
const SLOW = 1000;
/** Folders looked at in one turn of the loop. */
const FOLDERS_A_TURN = 50;

const port = parentPort;
if (port === null) throw new Error('runs as a worker only');
const request = workerData as WatchRequest;
const { root } = request;
const isLeftOut = leavesOut(request);
const first = statSync(root, { bigint: true });
const names = new Set<string>();
/** Folders that are watched, and their inodes; and those that will be in a moment. */
const folders = new Map<string, bigint>();
const pending = new Set<string>();
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
    if (there.isDirectory()) {
      // Seen when its watch is there.
      if (watchFolder(path, there.ino)) return undefined;
      return { path, kind: 'folder', files: filesIn(path) };
    }
  } catch (error) {
    const code = systemCode(error);
    if (code !== 'ENOENT' && code !== 'ENOTDIR') return undefined;
  }
  if (folders.has(path)) forget(path);
  // Nothing, or a link or a special file, which to the share is nothing.
  return { path, kind: 'gone' };
}

/** The files directly in a folder. Folders in it have watches, and are seen, of their own. */
function filesIn(folder: string): { path: string; identity: FileIdentity }[] {
  const files: { path: string; identity: FileIdentity }[] = [];
  for (const entry of readdirSync(join(root, folder), { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (isLeftOut(path) || unfit(path) !== undefined) continue;
    // One that was made before this folder had its watch.
    if (entry.isDirectory() && !folders.has(path)) note(path);
    if (!entry.isFile()) continue;
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

/**
 * See that a folder is watched, itself and not another that stood at its path.
 *
 * @returns whether it was not; it is told by `addDir` when it is
 */
function watchFolder(path: string, inode: bigint): boolean {
  const known = folders.get(path);
  if (known === inode || watcher.closed) return false;
  if (known !== undefined) forget(path);
  folders.set(path, inode);
  pending.add(path);
  watcher.add(join(root, path));
  return true;
}

/** Watch a folder, and those below it, no longer. */
function forget(path: string): void {
  const full = join(root, path);
  watcher._remove(dirname(full), basename(full), true);
  // It is not done twice in a short time: then again.
  if (folders.has(path)) {
    setTimeout(() => {
      note(path);
    }, AGAIN);
  }
}

/** See that every folder is watched. */
async function watchAll(): Promise<void> {
  let count = 0;
  for (const folder of allFolders()) {
    if (watcher.closed) return;
    const inode = inodeOf(folder);
    if (inode !== undefined) watchFolder(folder, inode);
    if (++count % FOLDERS_A_TURN === 0) await nextTurn();
  }
}

/** A folder's inode; undefined when it is gone, or in a folder that may be listed but not entered. */
function inodeOf(folder: string): bigint | undefined {
  try {
    const there = lstatSync(join(root, folder), { bigint: true });
    return there.isDirectory() ? there.ino : undefined;
  } catch {
    return undefined;
  }
}

/** Resolves when all that are to be watched are; but for those that are gone again. */
async function allWatched(): Promise<void> {
  for (let left = pending.size; left > 0; left = pending.size) {
    const progress = new Promise((resolve) => watcher.once('addDir', resolve));
    const slow = new AbortController();
    await Promise.race([progress, pause(SLOW, undefined, { signal: slow.signal }).catch(nothing)]);
    slow.abort();
    if (pending.size === left) return;
  }
}

function nothing(): void {
  // The pause was cut short.
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

/**
 * chokidar told of every folder to watch, and of no other. By itself it would look at every file of a
 * folder, at the start and whenever something happens in it.
 */
class FolderWatcher extends FSWatcher {
  override _readdirp(): undefined {
    return undefined;
  }
}

const watcher = new FolderWatcher({
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
  pending.delete(folder);
  if (!ready) return;
  // The watch is set right after this.
  setImmediate(() => {
    note(folder);
  });
});
watcher.on('unlinkDir', (path) => {
  const folder = relative(root, path);
  folders.delete(folder);
  pending.delete(folder);
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
await watchAll();
await allWatched();
ready = true;
if (!watcher.closed) post({ type: 'ready', folders: folders.size });

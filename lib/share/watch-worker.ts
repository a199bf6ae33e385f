/**
 * Entry of the watching worker. What a folder's watch names is looked at here, in batches, and posted as
 * what is there now.
 *
 * A folder is watched first and read then, so that nothing that is made in it is missed.
 */
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { parentPort, workerData } from 'node:worker_threads';
import type { FileIdentity } from '../disk/open.js';
import { asError, systemCode } from '../errors.js';
import { STATE, ShareFilter, parentOf, type FilterOptions, type Nothing } from './filter.js';
import { FolderWatcher } from './folder-watcher.js';

/** What stands at a path now. */
export type Seen =
  | { path: string; kind: 'file'; identity: FileIdentity }
  | { path: string; kind: 'folder'; files: { path: string; identity: FileIdentity }[] }
  /** Nothing that can be shared; `reason`: what the user is to be told. */
  | { path: string; kind: 'gone'; reason?: string | undefined };

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
/** As many names as are looked at at once: while events come, libuv reads on, and no timer is due. */
const BATCH = 500;
/** So many names at once that the kernel's queue (16,384 events) may have lost some. */
const BURST = 4000;

const port = parentPort;
if (port === null) throw new Error('runs as a worker only');
const request = workerData as FilterOptions;
const { root } = request;
const filter = new ShareFilter(request);
const first = statSync(root, { bigint: true });
const names = new Set<string>();
let since = 0;
let recent = 0;
let timer: NodeJS.Timeout | undefined;

function post(message: WatchMessage): void {
  port?.postMessage(message);
}

function note(path: string): void {
  names.add(path);
  timer ??= setTimeout(look, GATHER);
  // After what chokidar has to do with this event.
  if (names.size === BATCH) process.nextTick(look);
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
  clearTimeout(timer);
  timer = undefined;
  // Names in about a second, in however many batches they came.
  const now = Date.now();
  if (now - since > 1000) [since, recent] = [now, 0];
  recent += names.size;
  const burst = recent >= BURST;
  const seen: Seen[] = [];
  const known = new Map<string, boolean>();
  // All of it is gone, or hidden by another file system: of the files in it nothing is known.
  if (!isRoot()) {
    names.clear();
    post({ type: 'seen', seen: [{ path: '', kind: 'gone' }], burst: false });
    return;
  }
  for (const path of names) {
    if (path !== '' && filter.ignores(path)) continue;
    const there = stat(path, known);
    if (there !== undefined) seen.push(there);
  }
  names.clear();
  if (seen.length > 0) post({ type: 'seen', seen, burst });
}

function stat(path: string, known: Map<string, boolean>): Seen | undefined {
  if (filter.isInState(path, known)) {
    // Perhaps it was not a state folder before this was made in it.
    const folder = parentOf(path);
    return gone(folder === '' ? path : folder, STATE);
  }
  const there = filter.look(path);
  if (there.kind === 'nothing') return gone(path, there);
  if (there.kind === 'file') return { path, ...there };
  // Seen when its watch is there.
  if (watcher.watch(path, there.ino)) return undefined;
  const files = filesIn(path);
  return 'kind' in files ? gone(path, files) : { path, kind: 'folder', files };
}

function gone(path: string, { reason, isUnsure }: Nothing): Seen | undefined {
  if (isUnsure === true) return undefined;
  watcher.forget(path);
  return { path, kind: 'gone', reason };
}

/** The files directly in a folder. A folder in it has a watch, and is seen, of its own. */
function filesIn(folder: string): { path: string; identity: FileIdentity }[] | Nothing {
  const listed = filter.list(folder);
  if ('kind' in listed) return listed;
  const files: { path: string; identity: FileIdentity }[] = [];
  for (const entry of listed) {
    const path = join(folder, entry.name);
    // One that was made before this folder had its watch.
    if (entry.isDirectory() && !watcher.has(path)) note(path);
    if (!entry.isFile()) continue;
    const there = filter.look(path);
    if (there.kind === 'file') files.push({ path, identity: there.identity });
  }
  return files;
}

function watchLimit(): number | undefined {
  try {
    return Number(readFileSync('/proc/sys/fs/inotify/max_user_watches', 'utf8'));
  } catch {
    // Not Linux.
    return undefined;
  }
}

const watcher = new FolderWatcher(root, filter, {
  onTouched: note,
  onError: (thrown) => {
    const { message } = asError(thrown);
    const code = systemCode(thrown) ?? 'unknown';
    if (code !== 'ENOSPC') {
      post({ type: 'error', failure: { code, message } });
      return;
    }
    // Some of the folder watched is worth little, and other programs want watches, too.
    watcher.close();
    const failure: WatchFailure = { code, message, folders: [...watcher.folders()].length };
    const limit = watchLimit();
    post({ type: 'error', failure: limit === undefined ? failure : { ...failure, limit } });
  },
});
let ready = false;
port.on('message', () => {
  if (ready) void watcher.watchAll();
});
const folders = await watcher.start();
ready = true;
if (!watcher.closed) post({ type: 'ready', folders });

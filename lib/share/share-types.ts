/** What a share is told, and what it tells of itself. */

export interface ShareOptions {
  /** The folder. */
  folder: string;
  dotfiles: boolean;
  ignore: readonly string[];
  /** Hashing threads. */
  threads?: number | undefined;
  /** False: scan and hash in this thread. @default true */
  workers?: boolean | undefined;
  /** Folder for the index; without it nothing survives a restart. */
  state?: string | undefined;
  /** Whether changes are followed. */
  watch: boolean;
  /** Milliseconds between scans that catch what the watch lost. */
  rescan: number;
}

/** How far indexing is. */
export interface Progress {
  /** Files and bytes done, and found in all. */
  files: number;
  bytes: number;
  totalFiles: number;
  totalBytes: number;
  /** Whether the scan has found everything, so that the totals are final. */
  scanned: boolean;
}

/** What was done about a change. */
export interface Change {
  kind: 'added' | 'renamed' | 'changed' | 'removed';
  path: string;
}

export interface ShareEvents {
  progress: [Progress];
  /** Everything found at the start can be fetched: files and bytes shared, hashed anew, time in ms. */
  indexed: [{ files: number; bytes: number; hashed: number; milliseconds: number }];
  /** Changes are followed from now on. */
  watching: [{ folders: number }];
  /** The catalog has changed, after the start. */
  change: [Change];
  /** Everything that was seen has been dealt with. */
  settled: [];
  /** A file or folder is skipped, or something else is not as it should be. */
  warning: [{ path: string; reason: string }];
  /** Indexing cannot continue. */
  error: [Error];
}

/** Before anything was looked for. */
export const NOTHING_YET: Readonly<Progress> = {
  files: 0,
  bytes: 0,
  totalFiles: 0,
  totalBytes: 0,
  scanned: false,
};

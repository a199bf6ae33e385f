/** What the server says in JSON, and the page reads. Sizes are bytes, times seconds. */

/** `/files/<folder>/`: a page of what is in it, folders first. */
export interface FolderList {
  /** Inside the share, without a `/` at its ends. */
  readonly path: string;
  readonly entries: readonly FolderEntry[];
  /** For `?after=`, when there is more. */
  readonly next?: string | null | undefined;
}

export interface FolderEntry {
  readonly name: string;
  readonly type: 'file' | 'folder';
  /** Of a file; `modified` is counted from 1970. */
  readonly size?: number;
  readonly modified?: number | undefined;
  readonly hash?: string | undefined;
}

/** `/search`: a line for each file that a peer has, one more when it is found elsewhere, too; then the end. */
export type SearchLine = FoundFile | SearchEnd;

export interface FoundFile {
  readonly type: 'file';
  readonly hash: string;
  readonly size: number;
  readonly name: string;
  /** At the peer which has it. */
  readonly path: string;
  readonly peers: readonly PeerAt[];
  /** 0: this node has it. */
  readonly hops: number;
}

export interface SearchEnd {
  readonly type: 'end';
  /** Peers asked, those that answered, those that had not when the time was over. */
  readonly asked: number;
  readonly answered: number;
  readonly late: number;
}

export interface PeerAt {
  readonly id: string;
  /** `host:port`. */
  readonly address: string;
}

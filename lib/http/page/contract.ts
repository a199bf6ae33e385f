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

/** `/peers`: those that this node can reach. */
export interface PeerList {
  readonly peers: readonly ListedPeer[];
}

export interface ListedPeer extends PeerAt {
  /** Since it was last reached. */
  readonly seen?: number | undefined;
  /** Milliseconds that its last answer to PING took. */
  readonly rtt?: number | undefined;
  /** Which side wanted the connection that is kept to it, if one is. */
  readonly link?: string | null | undefined;
}

/** `/status` */
export interface Status {
  readonly id: string;
  /** The program's name and version. */
  readonly version: string;
  readonly port: number;
  readonly share: {
    readonly files: number;
    readonly bytes: number;
    readonly hashing: boolean;
    /** While it is. */
    readonly progress?: Hashing | undefined;
  };
  readonly uploads: readonly Upload[];
  /** Of files, since the node was started. */
  readonly sentBytes: number;
  readonly receivedBytes: number;
  readonly connections: number;
}

/** Files and bytes that are hashed, and those found so far. */
export interface Hashing {
  readonly files: number;
  readonly bytes: number;
  readonly totalFiles: number;
  readonly totalBytes: number;
}

/** A file, or a range of it, that is on its way. What and to whom is not told to everybody. */
export interface Upload {
  readonly sentBytes: number;
  /** To be sent in all. */
  readonly size?: number | undefined;
  readonly path?: string | undefined;
  /** The address of who takes it. */
  readonly client?: string | undefined;
}

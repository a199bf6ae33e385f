/** What a search brings from several peers, grouped by content and path, so that each is printed once. */
import { formatAddress } from '../../lib/net/address.js';
import type { FileMatch, PeerContact } from '../../lib/wire/messages.js';

/** Milliseconds that a file waits for other peers that have it, too. */
const GATHER = 300;

export interface PeerSource {
  peer: PeerContact;
  /** Hops from the peer that was asked. */
  hops: number;
}

export interface FoundFile extends FileMatch {
  sources: PeerSource[];
}

interface Group extends FoundFile {
  /** Sources that were printed. */
  printed: number;
}

export class FoundFiles {
  /** By hash and path: one content may have several paths, and one path several contents. */
  readonly #groups = new Map<string, Group>();
  /** Told of each file when it has waited; and again of sources that came after that. */
  readonly #onFile: (file: FoundFile) => void;
  readonly #timers = new Set<NodeJS.Timeout>();
  readonly #peers = new Set<string>();

  constructor(onFile: (file: FoundFile) => void) {
    this.#onFile = onFile;
  }

  /** Different files (two paths are two files), and peers that have some. */
  get files(): number {
    return this.#groups.size;
  }
  get peers(): number {
    return this.#peers.size;
  }

  add(file: FileMatch, source: PeerSource): void {
    const name = formatAddress(source.peer);
    this.#peers.add(name);
    const key = `${file.hash} ${file.path}`;
    const group = this.#groups.get(key);
    if (group === undefined) {
      const fresh = { ...file, sources: [source], printed: 0 };
      this.#groups.set(key, fresh);
      const timer = setTimeout(() => {
        this.#timers.delete(timer);
        this.#print(fresh);
      }, GATHER);
      this.#timers.add(timer);
    } else if (!group.sources.some(({ peer }) => formatAddress(peer) === name)) {
      group.sources.push(source);
    }
  }

  /** Print what still waits. */
  flush(): void {
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
    for (const group of this.#groups.values()) this.#print(group);
  }

  #print(group: Group): void {
    const sources = group.sources.slice(group.printed);
    if (sources.length === 0) return;
    group.printed = group.sources.length;
    this.#onFile({ hash: group.hash, size: group.size, path: group.path, sources });
  }
}

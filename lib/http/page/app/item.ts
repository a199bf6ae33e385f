/** What stands in a row: an entry of a folder, or what a search has found. */
import type { FolderEntry, FoundFile, PeerAt } from '../contract.js';
import { contentUrl, encodePath, kindOf, type Kind } from './format.js';
import { folderUrl } from './route.js';

export interface Item {
  /** Tells it from the others of its list. */
  readonly key: string;
  readonly name: string;
  readonly kind: Kind;
  /** Where it lies. */
  readonly path: string;
  /** Its content, or the folder. */
  readonly url: string;
  readonly size?: number | undefined;
  readonly modified?: number | undefined;
  readonly hash?: string | undefined;
  /** Of what was found: who has it, and how far away the nearest is. */
  readonly peers?: readonly PeerAt[];
  readonly hops?: number;
}

export function entryItem(folder: string, { name, type, size, modified, hash }: FolderEntry): Item {
  const path = folder === '' ? name : `${folder}/${name}`;
  const isFolder = type === 'folder';
  return {
    key: isFolder ? `${name}/` : name,
    ...{ name, path, size, modified, hash },
    kind: isFolder ? 'folder' : kindOf(name),
    url: isFolder ? folderUrl(path) : `/files/${encodePath(path)}`,
  };
}

/** Puts what was found to what is known, by content. */
export function addFound(items: Map<string, Item>, found: FoundFile): void {
  const { hash, size, name, path, hops } = found;
  const known = items.get(hash);
  const peers = new Map([...(known?.peers ?? []), ...found.peers].map((peer) => [peer.id, peer]));
  items.set(hash, {
    ...(known ?? {
      key: hash,
      name,
      path,
      kind: kindOf(name),
      url: contentUrl(hash, name),
      hash,
      size,
    }),
    peers: [...peers.values()],
    hops: Math.min(hops, known?.hops ?? hops),
  });
}

export type Order = 'given' | 'name' | 'size' | 'modified' | 'peers';

const names = new Intl.Collator(undefined, { numeric: true, sensitivity: 'base' });
const COMPARE: Record<Order, (a: Item, b: Item) => number> = {
  given: () => 0,
  name: (a, b) => names.compare(a.name, b.name),
  size: (a, b) => (b.size ?? 0) - (a.size ?? 0),
  modified: (a, b) => (b.modified ?? 0) - (a.modified ?? 0),
  peers: (a, b) => (b.peers?.length ?? 0) - (a.peers?.length ?? 0),
};

/** Folders stay first. */
export function sorted(items: readonly Item[], order: Order): readonly Item[] {
  if (order === 'given') return items;
  const rank = ({ kind }: Item): number => (kind === 'folder' ? 0 : 1);
  return items.toSorted((a, b) => rank(a) - rank(b) || COMPARE[order](a, b));
}

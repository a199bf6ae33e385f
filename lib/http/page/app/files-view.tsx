/** A folder of the share. */
import type { JSX } from 'preact';
import { useCallback, useEffect, useRef, useState } from 'preact/hooks';
import type { FolderEntry } from '../contract.js';
import { listFolder, messageOf } from './api.js';
import { count, prettyBytes, printable } from './format.js';
import { entryItem, type Item, type Order } from './item.js';
import { Listing, Orders } from './listing.js';
import { folderUrl, keptScroll, type Route } from './route.js';
import type { NodeStatus } from './status.js';

interface Content {
  readonly items: readonly Item[];
  /** The cursor of what is not here yet; undefined: all is here. */
  readonly next: string | undefined;
}

/** Folders that were looked at last: going back shows them at once. */
const kept = new Map<string, Content>();
const MAX_KEPT = 20;

function keep(path: string, content: Content): void {
  kept.delete(path);
  kept.set(path, content);
  for (const oldest of [...kept.keys()].slice(0, -MAX_KEPT)) kept.delete(oldest);
}

const ORDERS = { given: 'Folders, A–Z', name: 'Name', size: 'Largest', modified: 'Newest' };

interface Props {
  readonly route: Route;
  readonly status: NodeStatus;
}

export function FilesView({ route: { path, shown }, status: { now } }: Props): JSX.Element {
  const [content, setContent] = useState(kept.get(path));
  const [error, setError] = useState<string>();
  const [order, setOrder] = useState<Order>('given');
  const ended = useRef(new AbortController());
  const loading = useRef(false);

  const load = useCallback(
    async (before?: Content): Promise<Content | undefined> => {
      if (loading.current) return undefined;
      loading.current = true;
      const { signal } = ended.current;
      try {
        const { entries, next } = await listFolder(path, before?.next, signal);
        const items = entries.map((entry: FolderEntry) => entryItem(path, entry));
        const after = { items: [...(before?.items ?? []), ...items], next: next ?? undefined };
        keep(path, after);
        setContent(after);
        setError(undefined);
        return after;
      } catch (thrown) {
        if (!signal.aborted) setError(messageOf(thrown));
        return undefined;
      } finally {
        loading.current = false;
      }
    },
    [path],
  );
  useEffect(() => {
    scrollTo(0, keptScroll());
    return () => {
      ended.current.abort();
    };
  }, []);
  // What is shared has changed: a list that is here as a whole is fetched again.
  const version = `${now?.share.files ?? ''} ${now?.share.bytes ?? ''}`;
  const seen = useRef<string | undefined>(undefined);
  useEffect(() => {
    const isFirst = seen.current === undefined;
    const hasChanged = seen.current !== version && seen.current !== ' ';
    seen.current = version;
    const isWhole = content !== undefined && content.next === undefined;
    if (isFirst ? content === undefined : hasChanged && (isWhole || content === undefined))
      void load();
  }, [version]);
  const onEnd = useCallback(() => {
    if (content?.next !== undefined && error === undefined) void load(content);
  }, [content, load, error]);
  const onOrder = (wanted: Order): void => {
    setOrder(wanted);
    // In another order than the node's only what is known as a whole can be shown.
    const all = async (from: Content | undefined): Promise<void> => {
      if (wanted !== 'given' && from?.next !== undefined) await all(await load(from));
    };
    void all(content);
  };

  const items = content?.items ?? [];
  return (
    <>
      <div class="bar">
        <Crumbs path={path} />
        <span class="total" role="status">
          {content !== undefined && countOf(items, content.next !== undefined)}
        </span>
        {items.length > 1 && <Orders of={ORDERS} now={order} onOrder={onOrder} />}
      </div>
      {error !== undefined && (
        <p class="notice" role="alert">
          {error}{' '}
          <button type="button" onClick={() => void load(content)}>
            Try again
          </button>
        </p>
      )}
      {content?.items.length === 0 && (
        <Empty {...{ path, hashing: now?.share.hashing !== false }} />
      )}
      {content === undefined && error === undefined && (
        <div class="waiting" role="status" aria-label="Loading" />
      )}
      <Listing {...{ items, order, shown, onEnd }} more={content?.next !== undefined} />
    </>
  );
}

function countOf(items: readonly Item[], hasMore: boolean): string {
  const bytes = items.reduce((sum, { size = 0 }) => sum + size, 0);
  const number = count(items.length, 'entry', 'entries');
  if (hasMore) return `${number} and more`;
  return bytes > 0 ? `${number}, ${prettyBytes(bytes)}` : number;
}

function Empty({ path, hashing }: { path: string; hashing: boolean }): JSX.Element {
  const what = path === '' ? 'Nothing is shared here' : 'Nothing is in this folder';
  return (
    <p class="empty">{hashing ? `${what} yet: files appear as they are hashed.` : `${what}.`}</p>
  );
}

function Crumbs({ path }: { path: string }): JSX.Element {
  const names = path === '' ? [] : path.split('/');
  return (
    <nav class="crumbs" aria-label="Folder">
      <ol>
        {['Files', ...names].map((name, i) => {
          const isLast = i === names.length;
          const to = names.slice(0, i).join('/');
          return (
            <li key={to}>
              {isLast ? (
                <h1>
                  <bdi>{printable(name)}</bdi>
                </h1>
              ) : (
                <a data-own href={folderUrl(to)}>
                  <bdi>{printable(name)}</bdi>
                </a>
              )}
            </li>
          );
        })}
      </ol>
    </nav>
  );
}

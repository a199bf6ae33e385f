/** What a search of the network brings, while it comes. */
import type { JSX } from 'preact';
import { useEffect, useMemo, useState } from 'preact/hooks';
import type { SearchEnd } from '../contract.js';
import { messageOf, search } from './api.js';
import { count, type Kind } from './format.js';
import { addFound, type Item, type Order } from './item.js';
import { Listing, Orders } from './listing.js';
import { keptScroll, type Route } from './route.js';

interface Results {
  readonly items: readonly Item[];
  readonly end?: SearchEnd;
  readonly error?: string;
}

/** The last search: going back to it does not ask the network again. */
let last: { key: string; results: Results } | undefined;

function useSearch(query: string, ttl: number): Results {
  const key = `${ttl} ${query}`;
  const [results, setResults] = useState<Results>(last?.key === key ? last.results : { items: [] });
  useEffect(() => {
    if (last?.key === key && last.results.end !== undefined) return;
    const ended = new AbortController();
    const found = new Map<string, Item>();
    const show = (more: Omit<Results, 'items'>): void => {
      const results = { items: [...found.values()], ...more };
      last = { key, results };
      setResults(results);
    };
    const run = async (): Promise<void> => {
      for await (const lines of search(query, ttl, ended.signal)) {
        let end: SearchEnd | undefined;
        for (const line of lines) {
          if (line.type === 'file') addFound(found, line);
          else end = line;
        }
        show(end === undefined ? {} : { end });
      }
    };
    show({});
    run().catch((error: unknown) => {
      if (!ended.signal.aborted) show({ error: messageOf(error) });
    });
    return () => {
      ended.abort();
    };
  }, [key]);
  return results;
}

const ORDERS = { given: 'As they came', name: 'Name', size: 'Largest', peers: 'Most peers' };
const KINDS: Partial<Record<Kind, string>> = {
  ...{ image: 'Pictures', video: 'Films', audio: 'Sound', text: 'Text', pdf: 'PDF' },
  ...{ document: 'Documents', archive: 'Archives', other: 'Other' },
};

export function SearchView({ route: { query, ttl, shown } }: { route: Route }): JSX.Element {
  const { items, end, error } = useSearch(query, ttl);
  const [order, setOrder] = useState<Order>('given');
  const [kind, setKind] = useState<Kind>();
  useEffect(() => {
    scrollTo(0, keptScroll());
  }, []);
  const there = useMemo(() => new Set(items.map((item) => item.kind)), [items]);
  const wanted = useMemo(
    () => (kind === undefined ? items : items.filter((item) => item.kind === kind)),
    [items, kind],
  );
  const isRunning = end === undefined && error === undefined;
  return (
    <>
      <div class="bar">
        <p class="total" role="status">
          <strong>{count(items.length, 'file')}</strong>
          {isRunning && ' so far …'}
          {end !== undefined && answered(end)}
        </p>
        {items.length > 1 && <Orders of={ORDERS} now={order} onOrder={setOrder} />}
      </div>
      <progress class={isRunning ? 'running' : 'running done'} aria-label="Searching" />
      {there.size > 1 && (
        <div class="kinds" role="group" aria-label="Kinds">
          {[undefined, ...(Object.keys(KINDS) as Kind[]).filter((one) => there.has(one))].map(
            (one) => (
              <button
                key={one ?? 'all'}
                type="button"
                aria-pressed={one === kind}
                onClick={() => {
                  setKind(one);
                }}
              >
                {one === undefined ? 'All' : KINDS[one]}
              </button>
            ),
          )}
        </div>
      )}
      {error !== undefined && (
        <p class="notice" role="alert">
          {error}
        </p>
      )}
      {end !== undefined && items.length === 0 && (
        <p class="empty">
          No peer has a file whose path has all of these words. Part of a word is enough.
        </p>
      )}
      <Listing {...{ items: wanted, order, shown }} />
    </>
  );
}

function answered({ asked, answered }: SearchEnd): string {
  if (asked === 0) return ' at this peer; no other was asked';
  const all = answered === asked ? 'all' : `${answered.toLocaleString('en')} of`;
  return `; ${all} ${count(asked, 'peer')} answered`;
}

/** Where one is: the address says it all, so that each view can be reloaded, linked to, and gone back from. */
import { useEffect, useState } from 'preact/hooks';
import { encodePath } from './format.js';

export interface Route {
  readonly view: 'files' | 'search' | 'network';
  /** A folder inside the share, without a `/` at its ends. */
  readonly path: string;
  readonly query: string;
  /** How far a search goes. */
  readonly ttl: number;
  /** The key of the file that is looked at. */
  readonly shown: string;
}

/** As far as a search goes of itself. */
export const TTL = 4;

const HOME: Route = { view: 'files', path: '', query: '', ttl: TTL, shown: '' };

function parse({ pathname, search, hash }: Location): Route {
  const shown = decoded(hash.slice(1));
  if (pathname.startsWith('/files/')) {
    const path = pathname.slice('/files/'.length).replace(/\/$/, '');
    return { ...HOME, path: path.split('/').map(decoded).join('/'), shown };
  }
  const query = new URLSearchParams(search);
  if (query.has('network')) return { ...HOME, view: 'network' };
  const [text, ttl] = [query.get('q') ?? '', Number(query.get('ttl') ?? TTL)];
  return text === '' ? { ...HOME, shown } : { ...HOME, view: 'search', query: text, ttl, shown };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

export const folderUrl = (path: string): string =>
  path === '' ? '/' : `/files/${encodePath(path)}/`;
export const NETWORK = '/?network';

export function searchUrl(query: string, ttl: number): string {
  const how: Record<string, string> = ttl === TTL ? {} : { ttl: `${ttl}` };
  return `/?${new URLSearchParams({ q: query, ...how }).toString()}`;
}

/** The same place with a file shown, or none. */
export const shownUrl = (key: string): string =>
  `${location.pathname}${location.search}${key === '' ? '' : `#${encodeURIComponent(key.toWellFormed())}`}`;

interface Kept {
  scroll?: number;
  /** Whether the entry before is the same place without the file. */
  over?: boolean;
}

let changed = (): void => undefined;

export function go(url: string, { replace = false, over = false } = {}): void {
  const kept = history.state as Kept | null;
  if (replace) {
    history.replaceState(kept, '', url);
  } else {
    history.replaceState({ ...kept, scroll: scrollY }, '');
    history.pushState({ over, scroll: over ? scrollY : 0 }, '', url);
  }
  changed();
}

/** Back to the place itself. */
export function hide(): void {
  if ((history.state as Kept | null)?.over === true) history.back();
  else go(shownUrl(''), { replace: true });
}

/** How far down the page was when it was left. */
export const keptScroll = (): number => (history.state as Kept | null)?.scroll ?? 0;

export function useRoute(): Route {
  const [route, setRoute] = useState(() => parse(location));
  useEffect(() => {
    history.scrollRestoration = 'manual';
    changed = () => {
      setRoute(parse(location));
    };
    // Links to places of the page are followed here, unless they are to be opened elsewhere.
    const onClick = (event: MouseEvent): void => {
      const link = event.target instanceof Element ? event.target.closest('a[data-own]') : null;
      const elsewhere = event.ctrlKey || event.metaKey || event.shiftKey || event.altKey;
      if (link === null || elsewhere || event.button !== 0 || event.defaultPrevented) return;
      event.preventDefault();
      go(link.getAttribute('href') ?? '/');
    };
    addEventListener('popstate', changed);
    document.addEventListener('click', onClick);
    return () => {
      removeEventListener('popstate', changed);
      document.removeEventListener('click', onClick);
    };
  }, []);
  return route;
}

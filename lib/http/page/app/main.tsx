/** The page in the browser: what stands above every view, and the view itself. */
import { render, type JSX } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import './app.css';
import { Lines } from './curve.js';
import { FilesView } from './files-view.js';
import { rate } from './format.js';
import { HashingState } from './hashing.js';
import { Icon } from './icons.js';
import { NetworkView } from './network-view.js';
import { NETWORK, folderUrl, go, searchUrl, useRoute, type Route } from './route.js';
import { SearchView } from './search-view.js';
import { useStatus, type NodeStatus } from './status.js';

function App(): JSX.Element {
  const route = useRoute();
  const status = useStatus();
  const { view, path, query, ttl } = route;
  useEffect(() => {
    const what = { files: path === '' ? '' : path, search: query, network: 'Network' }[view];
    document.title = what === '' ? 'p2p-serve' : `${what} – p2p-serve`;
  }, [view, path, query]);
  useEffect(() => {
    addEventListener('keydown', onKey);
    return () => {
      removeEventListener('keydown', onKey);
    };
  }, []);
  return (
    <>
      <Top {...{ route, status }} />
      <main>
        {status.error !== undefined && (
          <p class="notice" role="alert">
            {status.error}
          </p>
        )}
        {view === 'files' && <FilesView key={path} {...{ route, status }} />}
        {view === 'search' && <SearchView key={`${ttl} ${query}`} route={route} />}
        {view === 'network' && <NetworkView status={status} />}
      </main>
    </>
  );
}

/** `/` leads to the search, an arrow into the list. */
function onKey(event: KeyboardEvent): void {
  const { key, target } = event;
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
  if (target instanceof Element && target.closest('dialog, select, textarea, pre') !== null) return;
  const isField = target instanceof HTMLInputElement;
  const to =
    key === '/' && !isField
      ? '#q'
      : key === 'ArrowDown'
        ? '.rows .name'
        : key === 'Escape' && isField
          ? 'main a'
          : '';
  const element = to === '' ? null : document.querySelector<HTMLElement>(to);
  if (element === null) return;
  event.preventDefault();
  element.focus();
  if (element instanceof HTMLInputElement) element.select();
}

function Top({ route, status }: { route: Route; status: NodeStatus }): JSX.Element {
  return (
    <header class="top">
      <a class="brand" href="/" data-own aria-label="p2p-serve: files">
        <Icon name="network" />
        <span>p2p-serve</span>
      </a>
      <SearchForm key={route.query} route={route} />
      <nav aria-label="Views">
        <a href={folderUrl('')} data-own aria-current={route.view === 'files' ? 'page' : undefined}>
          Files
        </a>
        <a href={NETWORK} data-own aria-current={route.view === 'network' ? 'page' : undefined}>
          Network
        </a>
      </nav>
      <Pulse status={status} />
    </header>
  );
}

const REACH: Record<number, string> = {
  0: 'this peer',
  1: 'neighbours',
  4: 'network',
  7: 'everywhere',
};

function SearchForm({ route: { query, ttl } }: { route: Route }): JSX.Element {
  const field = useRef<HTMLInputElement>(null);
  const [reach, setReach] = useState(ttl);
  const onSubmit = (event: Event): void => {
    event.preventDefault();
    const text = field.current?.value.trim() ?? '';
    if (text === '') go(folderUrl(''));
    else go(searchUrl(text, reach));
  };
  return (
    <form class="search" role="search" onSubmit={onSubmit}>
      <Icon name="search" />
      <input
        id="q"
        type="search"
        ref={field}
        defaultValue={query}
        placeholder="Search all peers"
        aria-label="Search"
        aria-keyshortcuts="/"
        enterKeyHint="search"
        autocomplete="off"
        autocapitalize="off"
        spellcheck={false}
      />
      <select
        aria-label="Where"
        value={reach}
        onChange={({ currentTarget }) => {
          const wanted = Number(currentTarget.value);
          setReach(wanted);
          if (query !== '') go(searchUrl(query, wanted));
        }}
      >
        {Object.entries({ ...REACH, ...(ttl in REACH ? {} : { [ttl]: `${ttl} hops` }) }).map(
          ([hops, label]) => (
            <option key={hops} value={hops}>
              {label}
            </option>
          ),
        )}
      </select>
      <button type="submit" class="hidden">
        Search
      </button>
    </form>
  );
}

/** The node at a glance. */
function Pulse({ status: { now, samples } }: { status: NodeStatus }): JSX.Element | null {
  if (now === undefined) return null;
  const { sent = 0, received = 0 } = samples.at(-1) ?? {};
  const top = Math.max(10_000, ...samples.flatMap((sample) => [sample.sent, sample.received]));
  return (
    <a
      class="pulse"
      href={NETWORK}
      data-own
      aria-label={`Sends ${rate(sent)}, receives ${rate(received)}`}
    >
      <Lines {...{ samples, top }} />
      <span class="received">↓ {rate(received)}</span>
      <span class="sent">↑ {rate(sent)}</span>
      <HashingState {...now.share} />
    </a>
  );
}

const place = document.getElementById('app');
if (place !== null) {
  place.replaceChildren();
  render(<App />, place);
}

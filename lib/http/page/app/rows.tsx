/**
 * A list of any length: of its rows only those near the window are there. Each is a link; arrow keys, Home and End lead
 * from one to the other.
 */
import type { ComponentChildren, JSX } from 'preact';
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import { count, day, prettyBytes, printable } from './format.js';
import { Icon } from './icons.js';
import type { Item } from './item.js';
import { go, shownUrl } from './route.js';

/** Rows beyond the window on either side. */
const MARGIN = 12;
/** Of a row; `app.css` says the same. */
const ROW_REM = 3.5;

interface Props {
  readonly items: readonly Item[];
  /** Whether there are more than these. */
  readonly more?: boolean;
  /** Called when the end comes near. */
  readonly onEnd?: () => void;
}

export function Rows({ items, more = false, onEnd }: Props): JSX.Element {
  const list = useRef<HTMLUListElement>(null);
  const [[from, to], setRange] = useState<readonly [number, number]>([0, 40]);
  /** The row that gets the focus when it is there. */
  const wanted = useRef<number | undefined>(undefined);
  const rem = parseFloat(getComputedStyle(document.documentElement).fontSize);
  const height = ROW_REM * rem;
  const { length } = items;

  useEffect(() => {
    const look = (): void => {
      const top = list.current?.getBoundingClientRect().top ?? 0;
      const first = Math.max(0, Math.floor(-top / height) - MARGIN);
      const last = Math.ceil((innerHeight - top) / height) + MARGIN;
      setRange((old) => (old[0] === first && old[1] === last ? old : [first, last]));
    };
    look();
    addEventListener('scroll', look, { passive: true });
    addEventListener('resize', look);
    return () => {
      removeEventListener('scroll', look);
      removeEventListener('resize', look);
    };
  }, [height, length]);
  useEffect(() => {
    if (more && to >= length) onEnd?.();
  }, [more, to, length, onEnd]);
  useLayoutEffect(() => {
    const link = list.current?.querySelector<HTMLElement>(`[data-row="${wanted.current ?? ''}"]`);
    if (link === null || link === undefined) return;
    wanted.current = undefined;
    link.focus();
  });

  const onKeyDown = (event: KeyboardEvent): void => {
    const at = Number((event.target as HTMLElement).dataset['row'] ?? NaN);
    const page = Math.max(1, Math.floor(innerHeight / height) - 3);
    const steps: Record<string, number> = {
      ...{ ArrowDown: at + 1, ArrowUp: at - 1, PageDown: at + page, PageUp: at - page },
      ...{ Home: 0, End: length - 1 },
    };
    const to = steps[event.key];
    if (to === undefined || Number.isNaN(to) || event.ctrlKey || event.altKey) return;
    event.preventDefault();
    const row = Math.min(Math.max(to, 0), length - 1);
    wanted.current = row;
    const link = list.current?.querySelector<HTMLElement>(`[data-row="${row}"]`);
    if (link instanceof HTMLElement) {
      wanted.current = undefined;
      link.focus();
      return;
    }
    const top = (list.current?.getBoundingClientRect().top ?? 0) + scrollY;
    scrollTo(0, top + row * height - innerHeight / 2);
  };

  const [first, last] = [Math.min(from, Math.max(0, length - MARGIN)), Math.min(to, length)];
  const style = {
    paddingTop: `${first * height}px`,
    paddingBottom: `${(length - last) * height}px`,
  };
  return (
    <ul class="rows" ref={list} style={style} onKeyDown={onKeyDown}>
      {items.slice(first, last).map((item, i) => (
        <Row key={item.key} {...{ item, n: first + i, size: more ? -1 : length }} />
      ))}
    </ul>
  );
}

function Row({ item, n, size }: { item: Item; n: number; size: number }): JSX.Element {
  const { kind, name, url } = item;
  const isFolder = kind === 'folder';
  const onClick = (event: MouseEvent): void => {
    if (isFolder || event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return;
    event.preventDefault();
    go(shownUrl(item.key), { over: true });
  };
  return (
    <li class="row" aria-setsize={size} aria-posinset={n + 1}>
      <Icon name={kind} />
      <a
        class="name"
        href={url}
        data-row={n}
        data-own={isFolder ? '' : undefined}
        onClick={onClick}
      >
        <bdi>{printable(name)}</bdi>
      </a>
      <span class="about">
        <Facts {...{ item }} />
      </span>
    </li>
  );
}

function Facts({
  item: { size, modified, peers, hops, path, name },
}: {
  item: Item;
}): ComponentChildren {
  const where = path.slice(0, Math.max(0, path.length - name.length - 1));
  return (
    <>
      {peers !== undefined && where !== '' && (
        <span class="where">
          <bdi>{printable(where)}</bdi>
        </span>
      )}
      {peers !== undefined && (
        <span class="who">
          {hops === 0 ? 'here' : count(hops ?? 0, 'hop')}
          {peers.length > 1 ? `, ${count(peers.length, 'peer')}` : ''}
        </span>
      )}
      {modified !== undefined && <span class="modified">{day(modified)}</span>}
      {size !== undefined && <span class="size">{prettyBytes(size)}</span>}
    </>
  );
}

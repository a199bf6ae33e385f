/** One file: shown or played if a browser can, with its hash, who has it, and how to get it. */
import type { ComponentChildren, JSX } from 'preact';
import { useEffect, useRef, useState } from 'preact/hooks';
import { messageOf, textOf } from './api.js';
import { count, fetchLine, kindOf, moment, prettyBytes, printable } from './format.js';
import { Icon } from './icons.js';
import type { Item } from './item.js';
import { go, hide, shownUrl } from './route.js';

/** Of a text, at most. */
const TEXT_BYTES = 256 * 1024;

interface Props {
  readonly item: Item;
  /** Those before and after it in the list. */
  readonly previous: Item | undefined;
  readonly next: Item | undefined;
}

export function Viewer({ item, previous, next }: Props): JSX.Element {
  const dialog = useRef<HTMLDialogElement>(null);
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    const before = document.activeElement;
    dialog.current?.showModal();
    heading.current?.focus();
    return () => {
      if (before instanceof HTMLElement) before.focus();
    };
  }, []);
  const show = (other: Item | undefined): void => {
    if (other !== undefined) go(shownUrl(other.key), { replace: true });
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    // In a film or a text these keys lead through it.
    if (event.target instanceof Element && event.target.matches('video, audio, pre, input')) return;
    if (event.key === 'ArrowLeft') show(previous);
    if (event.key === 'ArrowRight') show(next);
  };
  const onCancel = (event: Event): void => {
    event.preventDefault();
    hide();
  };
  const onClick = (event: MouseEvent): void => {
    // Beside it.
    if (event.target === dialog.current) hide();
  };
  const name = printable(item.name);
  return (
    <dialog
      class="viewer"
      ref={dialog}
      aria-labelledby="viewer-name"
      {...{ onKeyDown, onCancel, onClick }}
    >
      <header>
        <h2 id="viewer-name" ref={heading} tabIndex={-1}>
          <bdi>{name}</bdi>
        </h2>
        <Step icon="previous" to={previous} label="Previous file" onStep={show} />
        <Step icon="next" to={next} label="Next file" onStep={show} />
        <button type="button" class="plain" aria-label="Close" onClick={hide}>
          <Icon name="close" />
        </button>
      </header>
      <div class="stage" key={item.key}>
        <Content item={item} />
      </div>
      <footer>
        <div class="actions">
          <a class="button main" href={item.url} download={name}>
            <Icon name="download" /> Download{' '}
            {item.size !== undefined && <small>{prettyBytes(item.size)}</small>}
          </a>
          <a class="button" href={item.url} target="_blank" rel="noreferrer">
            <Icon name="open" /> Open in a tab
          </a>
        </div>
        <Details item={item} key={item.key} />
      </footer>
    </dialog>
  );
}

interface StepProps {
  readonly icon: 'previous' | 'next';
  readonly label: string;
  readonly to: Item | undefined;
  readonly onStep: (to: Item | undefined) => void;
}

function Step({ icon, label, to, onStep }: StepProps): JSX.Element {
  const onClick = (): void => {
    onStep(to);
  };
  return (
    <button
      type="button"
      class="plain"
      aria-label={label}
      disabled={to === undefined}
      onClick={onClick}
    >
      <Icon name={icon} />
    </button>
  );
}

function Content({ item }: { item: Item }): JSX.Element {
  const { url, name } = item;
  const [why, setWhy] = useState<string>();
  const onError = (): void => {
    // An element does not tell what the node has said.
    textOf(url, 1, new AbortController().signal).then(
      () => {
        setWhy('This browser cannot show it.');
      },
      (error: unknown) => {
        setWhy(messageOf(error));
      },
    );
  };
  const kind = kindOf(name);
  if (why !== undefined) return <Nothing item={item}>{why}</Nothing>;
  switch (kind) {
    case 'image':
      return <img src={url} alt={printable(name)} onError={onError} />;
    case 'video':
      return <video src={url} controls playsInline autoPlay onError={onError} />;
    case 'audio':
      return <audio src={url} controls autoPlay onError={onError} />;
    case 'text':
      return <Text item={item} />;
    case 'pdf':
      if (!navigator.pdfViewerEnabled) break;
      return <iframe src={url} title={printable(name)} />;
  }
  return <Nothing item={item}>There is no preview of files like this one.</Nothing>;
}

function Nothing({ item, children }: { item: Item; children: ComponentChildren }): JSX.Element {
  return (
    <div class="nothing">
      <Icon name={item.kind} />
      <p>{children}</p>
    </div>
  );
}

function Text({ item }: { item: Item }): JSX.Element {
  const { url, size = 0 } = item;
  const [text, setText] = useState<string>();
  const [why, setWhy] = useState<string>();
  useEffect(() => {
    const ended = new AbortController();
    if (size === 0) setWhy('The file is empty.');
    else {
      textOf(url, TEXT_BYTES, ended.signal).then(
        (content) => {
          if (content === undefined) setWhy('This is no text.');
          else setText(content);
        },
        (error: unknown) => {
          if (!ended.signal.aborted) setWhy(messageOf(error));
        },
      );
    }
    return () => {
      ended.abort();
    };
  }, [url, size]);
  if (why !== undefined) return <Nothing item={item}>{why}</Nothing>;
  return (
    <pre tabIndex={0}>
      {text ?? 'Loading…'}
      {size > TEXT_BYTES && text !== undefined && (
        <em>{`\n\nThe first ${prettyBytes(TEXT_BYTES)} of ${prettyBytes(size)}.`}</em>
      )}
    </pre>
  );
}

function Details({ item }: { item: Item }): JSX.Element {
  const { hash, modified, path, name, peers = [], hops } = item;
  const nearest = hops === undefined || hops === 0 ? location.host : peers[0]?.address;
  return (
    <dl>
      {hash !== undefined && (
        <>
          <Copied
            label="Command"
            text={fetchLine(withPort(nearest ?? ''), hash, name, peers.length > 1)}
          />
          <Copied label="Hash" text={hash} />
        </>
      )}
      {path !== name && <Fact label="Path">{<bdi>{printable(path)}</bdi>}</Fact>}
      {modified !== undefined && <Fact label="Changed">{moment(modified)}</Fact>}
      {peers.length > 0 && (
        <Fact label={count(peers.length, 'peer')}>
          <ul class="peers">
            {peers.map(({ id, address }) => (
              <li key={id} title={id}>
                {printable(address)} <small>{printable(id.slice(0, 8))}</small>
              </li>
            ))}
          </ul>
        </Fact>
      )}
    </dl>
  );
}

/** A browser leaves out 80, where p2p-fetch takes 7000 for meant. */
function withPort(host: string): string {
  return /:\d+$/.test(host) ? host : `${host}:80`;
}

function Fact({ label, children }: { label: string; children: ComponentChildren }): JSX.Element {
  return (
    <div>
      <dt>{label}</dt>
      <dd>{children}</dd>
    </div>
  );
}

/** A text to copy. */
function Copied({ label, text }: { label: string; text: string }): JSX.Element {
  const field = useRef<HTMLInputElement>(null);
  const [done, setDone] = useState(false);
  useEffect(() => {
    const timer = setTimeout(() => {
      setDone(false);
    }, 2000);
    return () => {
      clearTimeout(timer);
    };
  }, [done]);
  const onClick = (): void => {
    // The clipboard is there for pages with a certificate and for this machine's own. Elsewhere only the old way works.
    field.current?.select();
    // eslint-disable-next-line @typescript-eslint/no-deprecated
    setDone(document.execCommand('copy'));
  };
  return (
    <Fact label={label}>
      <span class="copied">
        <input readOnly value={text} ref={field} aria-label={label} spellcheck={false} />
        <button type="button" onClick={onClick} aria-label={`Copy: ${label}`}>
          <Icon name={done ? 'done' : 'copy'} />{' '}
          <span aria-live="polite">{done ? 'Copied' : 'Copy'}</span>
        </button>
      </span>
    </Fact>
  );
}

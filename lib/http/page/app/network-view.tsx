/** The node itself: what it sends and receives, to whom, and whom it knows. */
import type { ComponentChildren, JSX } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import type { ListedPeer, PeerList, Status, Upload } from '../contract.js';
import { askJson } from './api.js';
import { Curve } from './curve.js';
import { count, prettyBytes, printable } from './format.js';
import { Icon } from './icons.js';
import type { NodeStatus } from './status.js';
import { HashingState } from './hashing.js';

/** Milliseconds between two looks at the peers. */
const PAUSE = 5000;

function usePeers(): readonly ListedPeer[] | undefined {
  const [peers, setPeers] = useState<readonly ListedPeer[]>();
  useEffect(() => {
    const ended = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const look = async (): Promise<void> => {
      // Of a node that does not answer /status tells.
      const list = await askJson<PeerList>('/peers', ended.signal).catch(() => undefined);
      if (ended.signal.aborted) return;
      if (list !== undefined) setPeers(list.peers);
      timer = setTimeout(() => void look(), PAUSE);
    };
    void look();
    return () => {
      ended.abort();
      clearTimeout(timer);
    };
  }, []);
  return peers;
}

export function NetworkView({ status: { now, samples } }: { status: NodeStatus }): JSX.Element {
  const peers = usePeers();
  if (now === undefined) return <div class="waiting" role="status" aria-label="Loading" />;
  return (
    <>
      <h1 class="hidden">Network</h1>
      <Numbers {...{ now, peers }} />
      <section class="card">
        <h2>Rates</h2>
        <Curve samples={samples} />
      </section>
      <section class="card">
        <h2>
          Uploads <small>{now.uploads.length}</small>
        </h2>
        {now.uploads.length === 0 && <p class="empty">Nobody fetches a file just now.</p>}
        <ul class="uploads">
          {now.uploads.map((upload, i) => (
            <UploadRow key={i} upload={upload} />
          ))}
        </ul>
      </section>
      <section class="card">
        <h2>
          Peers <small>{peers?.length ?? ''}</small>
        </h2>
        {peers?.length === 0 && (
          <p class="empty">No other peer is known yet. Start one with --peer {location.host}</p>
        )}
        <ul class="known">
          {peers?.map((peer) => (
            <PeerRow key={peer.id} peer={peer} />
          ))}
        </ul>
      </section>
      <p class="self">
        This is <code title="its id">{now.id}</code>, {now.version}
      </p>
    </>
  );
}

function Numbers({
  now,
  peers,
}: {
  now: Status;
  peers: readonly ListedPeer[] | undefined;
}): JSX.Element {
  const { share, sentBytes, receivedBytes, connections } = now;
  return (
    <div class="numbers">
      <Number label="Shared" value={prettyBytes(share.bytes)}>
        {count(share.files, 'file')}
        <HashingState {...share} />
      </Number>
      <Number label="Sent" value={prettyBytes(sentBytes)}>
        since the start
      </Number>
      <Number label="Received" value={prettyBytes(receivedBytes)}>
        since the start
      </Number>
      <Number label="Peers" value={`${peers?.length ?? '…'}`}>
        {count(connections, 'connection')}
      </Number>
    </div>
  );
}

function Number(props: { label: string; value: string; children: ComponentChildren }): JSX.Element {
  return (
    <div class="card">
      <h2>{props.label}</h2>
      <p class="value">{props.value}</p>
      <div class="about">{props.children}</div>
    </div>
  );
}

function UploadRow({ upload: { path, size, sentBytes, client } }: { upload: Upload }): JSX.Element {
  return (
    <li>
      <span class="what">
        <bdi>{printable(path ?? 'A file')}</bdi>
      </span>
      <span class="to">{client !== undefined && `to ${printable(client)}`}</span>
      {size !== undefined && (
        <progress value={sentBytes} max={Math.max(1, size)} aria-label="Sent" />
      )}
      <span class="size">
        {prettyBytes(sentBytes)}
        {size !== undefined && ` of ${prettyBytes(size)}`}
      </span>
    </li>
  );
}

function PeerRow({ peer: { id, address, seen, rtt, link } }: { peer: ListedPeer }): JSX.Element {
  const isLinked = typeof link === 'string';
  const facts = [
    rtt === undefined ? '' : `${rtt < 10 ? rtt.toFixed(1) : Math.round(rtt)} ms`,
    seen === undefined
      ? ''
      : seen < 60
        ? 'just now'
        : `${count(Math.round(seen / 60), 'minute')} ago`,
  ];
  return (
    <li class={isLinked ? 'linked' : ''}>
      <Icon name="network" />
      <span class="address">{printable(address)}</span>
      <code title={printable(id)}>{printable(id.slice(0, 16))}</code>
      <span class="about">
        {isLinked && <span>connected</span>}
        {facts.map((fact) => fact !== '' && <span key={fact}>{fact}</span>)}
      </span>
    </li>
  );
}

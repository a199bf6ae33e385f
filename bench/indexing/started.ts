/** A share on its own, started on a folder, and what its index should be. */
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { Share } from '../../lib/share/share.js';

export interface Started {
  share: Share;
  /** From the start until everything was indexed. */
  milliseconds: number;
  /** Files whose content was read. */
  hashed: number;
  /** Resolves when changes are seen; perhaps before all is indexed. */
  watching: Promise<unknown>;
}

/** Index a folder. The caller closes the share. */
export async function startShare(folder: string, state: string): Promise<Started> {
  const share = new Share({
    ...{ folder, state, dotfiles: false, ignore: [], watch: true },
    rescan: 2 ** 30,
  });
  const indexed = once(share, 'indexed');
  const watching = once(share, 'watching');
  // Not everybody waits for it.
  watching.catch(() => undefined);
  const begin = performance.now();
  await share.check();
  await share.start();
  await indexed;
  const milliseconds = performance.now() - begin;
  return { share, hashed: share.hashed, milliseconds, watching };
}

/** Index a folder of which nothing is known. */
export function startCold(folder: string, state: string): Promise<Started> {
  rmSync(state, { recursive: true, force: true });
  return startShare(folder, state);
}

/** Whether the index is this, entry by entry: paths and hashes. */
export async function isIndex(share: Share, wanted: ReadonlyMap<string, string>): Promise<boolean> {
  let count = 0;
  for (let after: Uint8Array | undefined; ;) {
    const page = await share.search('', { max: 1000, after });
    for (const { path, hash } of page.files) {
      if (wanted.get(path) !== hash) return false;
      count++;
    }
    after = page.after;
    if (after === undefined) return count === wanted.size;
  }
}

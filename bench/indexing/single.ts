/** How soon one change in a folder shows in a search, while the share has something else to do. */
import { once } from 'node:events';
import { renameSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { Change, Share } from '../../lib/share/share.js';
import { makeFile } from '../common/files.js';
import type { Latencies } from '../common/report.js';
import type { Progress } from '../common/subject.js';

/** Changes one after the other, of each kind. */
const CHANGES = 100;
/** Milliseconds between them. */
const BETWEEN = 30;

/** How long a single change takes to be found. */
export async function followSingle(
  share: Share,
  folder: string,
  size: number,
  progress: Progress,
): Promise<Latencies> {
  progress('single changes');
  const busy = keepHashing(share, folder, size);
  const add = await latencies(share, 'added', (i) => {
    writeFileSync(join(folder, `change-${i}`), `content ${i}`);
    return `change-${i}`;
  });
  const move = await latencies(share, 'renamed', (i) => {
    renameSync(join(folder, `change-${i}`), join(folder, `renamed-${i}`));
    return `renamed-${i}`;
  });
  const remove = await latencies(share, 'removed', (i) => {
    rmSync(join(folder, `renamed-${i}`));
    return `renamed-${i}`;
  });
  await busy.stop();
  return {
    kind: 'latencies',
    title: 'one change until it shows in a search, while files are hashed',
    unit: 'ms',
    rows: [
      { name: 'created', values: add },
      { name: 'renamed', values: move },
      { name: 'deleted', values: remove },
    ],
    notes: [`${busy.hashed()} MiB were hashed meanwhile`],
  };
}

/** Have the share hash one large file again and again. */
function keepHashing(
  share: Share,
  folder: string,
  size: number,
): { hashed: () => number; stop: () => Promise<void> } {
  const bytes = Math.min(size, 2 ** 28);
  const file = join(folder, 'large');
  const before = share.files;
  let times = 0;
  const onChange = ({ path, kind }: Change): void => {
    if (path !== 'large' || kind === 'removed') return;
    times++;
    // Another content, without the time that it takes to write it.
    const now = Date.now() / 1000;
    utimesSync(file, now - 10, now - 10 - times);
  };
  share.on('change', onChange);
  makeFile(file, bytes);
  return {
    hashed: () => Math.round((times * bytes) / 2 ** 20),
    stop: async () => {
      share.off('change', onChange);
      rmSync(file);
      while (share.files !== before) await once(share, 'settled');
    },
  };
}

/** Milliseconds from each of many changes, spread over time, until a search shows it. */
async function latencies(
  share: Share,
  kind: Change['kind'],
  act: (i: number) => string,
): Promise<number[]> {
  const began = new Map<string, number>();
  const taken: number[] = [];
  const all = new Promise<void>((resolve, reject) => {
    const found = async (path: string, begin: number): Promise<void> => {
      const { files } = await share.search(path);
      taken.push(performance.now() - begin);
      const there = files.some((file) => file.path === path);
      if (there === (kind === 'removed'))
        reject(new Error(`${path} was ${kind}, but not found so`));
      if (taken.length < CHANGES) return;
      share.off('change', onChange);
      resolve();
    };
    const onChange = (change: Change): void => {
      const begin = began.get(change.path);
      if (begin === undefined || change.kind !== kind) return;
      began.delete(change.path);
      found(change.path, begin).catch(reject);
    };
    share.on('change', onChange);
  });
  for (let i = 0; i < CHANGES; i++) {
    const begin = performance.now();
    began.set(act(i), begin);
    await pause(BETWEEN);
  }
  await all;
  return taken;
}

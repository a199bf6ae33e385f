/** The same file by BitTorrent: libtorrent's Python binding, from a seed on this machine. */
import { spawn, spawnSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { join } from 'node:path';
import { withServers, type Contestant } from '../common/in-turn.js';
import { freePort } from '../common/ports.js';
import { runToEnd, stopper } from '../common/processes.js';
import { checkFile, serverGroup, type Served } from './servers.js';

/** The system's own Python may be another than the first one. */
const PYTHONS = ['python3', '/usr/bin/python3'];

/** A session that finds no peer but those it is told of, and does not hold back. */
const SESSION = `
import libtorrent as lt, sys, time
def session(port):
    return lt.session({'listen_interfaces': '127.0.0.1:' + port, 'enable_dht': False,
        'enable_lsd': False, 'enable_upnp': False, 'enable_natpmp': False,
        'allow_multiple_connections_per_ip': True, 'alert_mask': 0})
`;

/** FILE TORRENT PORT: write the torrent, seed until the end, say so when ready. */
const SEED = `${SESSION}
import os
file, torrent, port = sys.argv[1:]
fs = lt.file_storage()
lt.add_files(fs, file)
made = lt.create_torrent(fs)
lt.set_piece_hashes(made, os.path.dirname(file))
with open(torrent, 'wb') as out:
    out.write(lt.bencode(made.generate()))
s = session(port)
h = s.add_torrent({'ti': lt.torrent_info(torrent), 'save_path': os.path.dirname(file),
    'flags': lt.torrent_flags.seed_mode})
while not h.status().is_seeding:
    time.sleep(0.01)
print('seeding', flush=True)
while True:
    time.sleep(1)
`;

/** TORRENT FOLDER PORT SECONDS: fetch from the seed, and end; with code 1 when it takes longer. */
const FETCH = `${SESSION}
torrent, folder, port, seconds = sys.argv[1:]
s = session('0')
h = s.add_torrent({'ti': lt.torrent_info(torrent), 'save_path': folder})
end = time.monotonic() + float(seconds)
ask = 0
while not h.status().is_seeding:
    now = time.monotonic()
    if now > end:
        sys.exit(1)
    if now > ask and h.status().num_peers == 0:
        h.connect_peer(('127.0.0.1', int(port)))
        ask = now + 1
    time.sleep(0.01)
`;

/** Bytes per second below which libtorrent is left out: it was seen to stand still. */
const LEAST_RATE = 20e6;

export interface Torrent {
  contestant: Contestant;
  stop: () => Promise<void>;
}

/** Undefined when the binding is not installed, or does not get the file in time. @param folder for its files */
export async function startTorrent(file: Served, folder: string): Promise<Torrent | undefined> {
  const python = PYTHONS.find((one) => {
    return spawnSync(one, ['-c', 'import libtorrent'], { stdio: 'ignore' }).status === 0;
  });
  if (python === undefined) return undefined;
  const port = String(await freePort());
  const torrent = join(folder, 'torrent');
  const seed = spawn(python, ['-c', SEED, file.path, torrent, port], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const stop = stopper(seed);
  const lines = createInterface({ input: seed.stdout })[Symbol.asyncIterator]();
  const ready: IteratorResult<string, unknown> = await lines.next();
  if (ready.done === true) throw new Error('the seed of libtorrent ended');
  const into = join(folder, 'torrented');
  const seconds = String(Math.ceil(5 + file.size / LEAST_RATE));
  const contestant: Contestant = {
    name: 'libtorrent, from a seed',
    once: async () => {
      rmSync(into, { recursive: true, force: true });
      const run = await withServers([serverGroup({ pid: seed.pid ?? 0 })], () =>
        runToEnd(python, ['-c', FETCH, torrent, into, port, seconds], { name: 'client' }),
      );
      await checkFile(join(into, file.name), file, 'libtorrent');
      return run;
    },
  };
  try {
    await contestant.once();
  } catch {
    await stop();
    return undefined;
  }
  return { contestant, stop };
}

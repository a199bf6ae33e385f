/** Commands: p2p-fetch, which verifies, against what one would type instead. */
import { createReadStream, rmSync } from 'node:fs';
import { join } from 'node:path';
import { Blake3Hasher } from '@napi-rs/blake-hash';
import { inMegabytesPerSecond, inTurn, withServers, type Contestant } from '../common/in-turn.js';
import { installed, missing, runToEnd, scriptFile } from '../common/processes.js';
import type { Table } from '../common/report.js';
import type { Progress, Settings } from '../common/subject.js';
import { startTorrent } from './libtorrent.js';
import type { Measured } from './raw.js';
import { checkFile, serverGroup, type Served, type Servers } from './servers.js';

/** Commands that write what they get to nowhere, or into a pipe. */
export async function measurePipes(
  servers: Servers,
  { runs }: Settings,
  progress: Progress,
): Promise<Measured> {
  const { nginx, largest } = servers;
  const contestants = [...pipesOf(servers, largest), ...encryptedPipesOf(servers, largest)];
  const hasB3sum = installed('b3sum');
  if (nginx !== undefined && installed('curl') && hasB3sum) {
    const line = `curl -s -f ${urlOf(nginx.port, largest)} | b3sum --num-threads 1 --no-names`;
    const wanted = await plainHash(largest.path);
    contestants.push({
      name: 'curl | b3sum --num-threads 1, from nginx',
      once: () =>
        withServers([serverGroup(nginx)], async () => {
          const ended = await runToEnd('sh', ['-c', line], { output: 'collect', name: 'both' });
          if (ended.stdout.trim() !== wanted) throw new Error('b3sum has another hash');
          return ended;
        }),
    });
  }
  const times = await inTurn(contestants, runs, progress);
  const table: Table = {
    kind: 'table',
    title: `commands, ${largest.size} bytes to nowhere; p2p-fetch verifies, curl alone does not`,
    unit: 'MB/s',
    better: 'more',
    rows: inMegabytesPerSecond(times, largest.size),
    notes: [...curlMissing(servers), ...(hasB3sum ? [] : [missing('b3sum')])],
  };
  return { table, times };
}

/** p2p-fetch and curl with one file, which need not be the largest. */
export function pipesOf(servers: Servers, file: Served): Contestant[] {
  const { node, nginx } = servers;
  const ours: Contestant = {
    name: 'p2p-fetch > /dev/null',
    once: () =>
      withServers([serverGroup(node)], () =>
        runToEnd(process.execPath, fetchArgs(servers, file), { name: 'p2p-fetch' }),
      ),
  };
  if (nginx === undefined || !installed('curl')) return [ours];
  const args = ['-s', '-f', '-o', '/dev/null', '-w', '%{size_download}', urlOf(nginx.port, file)];
  const curl: Contestant = {
    name: 'curl -o /dev/null, from nginx',
    once: () =>
      withServers([serverGroup(nginx)], async () => {
        const ended = await runToEnd('curl', args, { output: 'collect' });
        if (Number(ended.stdout) !== file.size) throw new Error(`curl got ${ended.stdout} bytes`);
        return ended;
      }),
  };
  return [ours, curl];
}

/** The same over TLS 1.3. */
function encryptedPipesOf(servers: Servers, file: Served): Contestant[] {
  const { node, nginx } = servers;
  const ours: Contestant = {
    name: 'p2p-fetch --tls > /dev/null',
    once: () =>
      withServers([serverGroup(node)], () =>
        runToEnd(process.execPath, [...fetchArgs(servers, file), '--tls'], { name: 'p2p-fetch' }),
      ),
  };
  if (nginx?.tlsPort === undefined || !installed('curl')) return [ours];
  const url = `https://127.0.0.1:${nginx.tlsPort}/${file.name}`;
  const args = ['-s', '-f', '-k', '-o', '/dev/null', '-w', '%{size_download}', url];
  const curl: Contestant = {
    name: 'curl -o /dev/null, from nginx with TLS 1.3',
    once: () =>
      withServers([serverGroup(nginx)], async () => {
        const ended = await runToEnd('curl', args, { output: 'collect' });
        if (Number(ended.stdout) !== file.size) throw new Error(`curl got ${ended.stdout} bytes`);
        return ended;
      }),
  };
  return [ours, curl];
}

/** Commands that write a file. */
export async function measureFiles(
  servers: Servers,
  { runs, folder }: Settings,
  progress: Progress,
): Promise<Table> {
  const { node, nginx, largest } = servers;
  const out = join(folder, 'out');
  const writes = (
    name: string,
    server: { pid: number },
    program: string,
    args: readonly string[],
  ): Contestant => ({
    name,
    once: async () => {
      rmSync(out, { force: true });
      const run = await withServers([serverGroup(server)], () =>
        runToEnd(program, args, { name: 'client' }),
      );
      await checkFile(out, largest, name);
      return run;
    },
  });
  const contestants = [
    writes('p2p-fetch -o FILE', node, process.execPath, [
      ...fetchArgs(servers, largest),
      ...['-o', out],
    ]),
  ];
  const hasAria2 = installed('aria2c');
  if (nginx !== undefined) {
    const url = urlOf(nginx.port, largest);
    if (installed('curl')) {
      const args = ['-s', '-f', '-o', out, url];
      contestants.push(writes('curl -o FILE, from nginx', nginx, 'curl', args));
    }
    if (hasAria2) {
      const args = ['-q', '--allow-overwrite=true', '--file-allocation=none', '-d', folder];
      contestants.push(writes('aria2c, from nginx', nginx, 'aria2c', [...args, '-o', 'out', url]));
    }
  }
  const bt = await startTorrent(largest, folder);
  if (bt !== undefined) contestants.push(bt.contestant);
  try {
    return {
      kind: 'table',
      title: `commands, ${largest.size} bytes into a file; p2p-fetch and libtorrent verify, the others do not`,
      unit: 'MB/s',
      better: 'more',
      rows: inMegabytesPerSecond(await inTurn(contestants, runs, progress), largest.size),
      notes: [
        'all of each file is compared afterwards, outside of its time',
        ...curlMissing(servers),
        ...(hasAria2 ? [] : [missing('aria2c', 'aria2')]),
        ...(bt === undefined
          ? [`${missing('libtorrent', 'python3-libtorrent')}, or it got stuck`]
          : []),
      ],
    };
  } finally {
    await bt?.stop();
    rmSync(out, { force: true });
  }
}

function fetchArgs({ node }: Servers, { hash }: Served): string[] {
  return [scriptFile('bin/p2p-fetch.js'), node.line, hash];
}

function urlOf(port: number, { name }: Served): string {
  return `http://127.0.0.1:${port}/${name}`;
}

function curlMissing({ nginx }: Servers): string[] {
  const isHere = nginx !== undefined && installed('curl');
  return isHere ? [] : [missing('curl or nginx', 'curl nginx-light')];
}

/** BLAKE3 of all bytes in one, as b3sum prints it. */
async function plainHash(file: string): Promise<string> {
  const hasher = new Blake3Hasher();
  for await (const chunk of createReadStream(file, { highWaterMark: 2 ** 20 })) {
    hasher.update(chunk as Buffer);
  }
  return hasher.digest('hex');
}

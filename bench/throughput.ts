/**
 * One large file in the page cache. Raw: servers against each other, their bytes read by the same
 * socket and thrown away. Commands: p2p-fetch, which verifies, against what one would type instead.
 */
import { mkdirSync, rmSync, statSync } from 'node:fs';
import { connect as connectSocket } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { connect } from '../lib/client.js';
import { roomFor } from '../lib/memory.js';
import { bodyBytes } from '../lib/wire/body.js';
import { encodeMessage } from '../lib/wire/messages.js';
import { makeFile } from './common/files.js';
import { startNginx, type Nginx } from './common/nginx.js';
import { installed, start, type Running } from './common/processes.js';
import { cpuSeconds, timeProgram, withChildren } from './common/programs.js';
import { median, megabytesPerSecond, type Report, type Row } from './common/report.js';
import { inTurn, type Contestant, type Settings, type Subject } from './common/subject.js';

export const throughput: Subject = {
  name: 'throughput',
  describe: 'one large file, raw and verified, against nginx, curl and what Node has',
  run,
};

const GIB = 2 ** 30;

interface Servers {
  /** Those that are there. */
  node: Running;
  streams: Running;
  pipe: Running;
  memory: Running;
  nginx: Nginx | undefined;
  /** The file's hash, and where the two nodes listen. */
  hash: string;
  nodePort: number;
  streamsPort: number;
}

async function run(settings: Settings): Promise<Report[]> {
  const { size, folder } = settings;
  const share = join(folder, 'share');
  mkdirSync(share);
  makeFile(join(share, 'large'), size);
  const servers = await startAll(share, folder);
  try {
    return [
      await measureRaw(servers, settings),
      await measurePipes(servers, settings),
      await measureFiles(servers, settings),
    ];
  } finally {
    const { node, streams, pipe, memory, nginx } = servers;
    const all = [node, streams, pipe, memory, ...(nginx === undefined ? [] : [nginx])];
    await Promise.all(all.map((one) => one.stop()));
  }
}

async function startAll(share: string, folder: string): Promise<Servers> {
  const serve = (state: string, ...more: string[]): Promise<Running> =>
    start('bin/p2p-serve.js', [
      ...[share, '--port', '0', '--host', '127.0.0.1', '--state', join(folder, state), ...more],
    ]);
  const [node, streams, pipe, memory] = await Promise.all([
    serve('state'),
    serve('state-streams', '--no-sendfile'),
    start('bench/throughput/plain-server.js', ['pipe', join(share, 'large')]),
    start('bench/throughput/plain-server.js', ['memory', join(share, 'large')]),
  ]);
  const nginx = installed('nginx', '-v')
    ? await startNginx(share, join(folder, 'nginx'))
    : undefined;
  // The second line: everything is indexed.
  await Promise.all([node.next(), streams.next()]);
  const peer = await connect(addressOf(node));
  const found = await peer.search('').next();
  await peer.close();
  if (found.done === true) throw new Error('the file was not found');
  return {
    ...{ node, streams, pipe, memory, nginx, hash: found.value.hash },
    nodePort: Number(addressOf(node).split(':')[1]),
    streamsPort: Number(addressOf(streams).split(':')[1]),
  };
}

function addressOf({ line }: Running): string {
  return line.split(' ')[2] ?? '';
}

async function measureRaw(servers: Servers, { size, runs }: Settings): Promise<Report> {
  const { node, streams, pipe, memory, nginx, hash } = servers;
  const used = new Map<string, number[]>();
  const request = encodeMessage({ type: 'RQFH', hash }, 1);
  const get = Buffer.from('GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n');
  const contestant = (
    name: string,
    pids: () => number[],
    port: number,
    first: Buffer,
    bytes = size,
  ): Contestant => ({
    name,
    once: async () => {
      const before = cpuSeconds(pids());
      const milliseconds = await readRaw(port, first, bytes);
      const seconds = (cpuSeconds(pids()) - before) * (GIB / size);
      used.set(name, [...(used.get(name) ?? []), seconds]);
      return milliseconds;
    },
  });
  const pid =
    ({ child }: Running) =>
    () => [child.pid ?? 0];
  const nothing = Buffer.alloc(0);
  const body = bodyBytes(size, 0, size);
  const times = await inTurn(
    [
      contestant('p2p-serve', pid(node), servers.nodePort, request, body),
      ...(nginx === undefined
        ? []
        : [contestant('nginx, sendfile', () => withChildren(nginx.pid), nginx.port, get)]),
      contestant('p2p-serve --no-sendfile', pid(streams), servers.streamsPort, request, body),
      contestant('createReadStream.pipe(socket)', pid(pipe), Number(pipe.line), nothing),
      contestant('limit: memory to socket', pid(memory), Number(memory.line), nothing),
    ],
    runs,
  );
  return {
    title: `raw bytes of one file of ${size} bytes, into the same socket`,
    unit: 'MB/s',
    rows: rates(times, size),
    notes: [
      ...(nginx === undefined ? [missing('nginx', 'nginx-light')] : []),
      'CPU seconds of the server for each GiB: ' +
        [...used].map(([name, all]) => `${name} ${median(all.slice(1)).toFixed(2)}`).join(', '),
    ],
  };
}

/** Commands that write what they get to nowhere, or into a pipe. */
async function measurePipes(servers: Servers, { size, runs }: Settings): Promise<Report> {
  const { nginx, hash } = servers;
  const fetch = fetchCommand(servers);
  const url = `http://127.0.0.1:${nginx?.port ?? 0}/large`;
  const curl = nginx !== undefined && installed('curl');
  const b3sum = installed('b3sum');
  const contestants: Contestant[] = [
    {
      name: 'p2p-fetch > /dev/null',
      once: async () => (await timeProgram(...fetch())).milliseconds,
    },
  ];
  if (curl) {
    contestants.push({
      name: 'curl -o /dev/null, from nginx',
      once: async () =>
        (await timeProgram('curl', ['-s', '-f', '-o', '/dev/null', url])).milliseconds,
    });
  }
  if (curl && b3sum) {
    const line = `curl -s -f ${url} | b3sum --num-threads 1 --no-names`;
    contestants.push({
      name: 'curl | b3sum --num-threads 1, from nginx',
      once: async () => {
        const { milliseconds, stdout } = await timeProgram('sh', ['-c', line], 'collect');
        if (!/^[0-9a-f]{64}\n$/.test(stdout)) throw new Error('b3sum gave no hash');
        return milliseconds;
      },
    });
  }
  return {
    title: `commands, ${size} bytes to nowhere (${hash.slice(0, 8)}…; p2p-fetch verifies, curl alone does not)`,
    unit: 'MB/s',
    rows: rates(await inTurn(contestants, runs), size),
    notes: [
      ...(curl ? [] : [missing('curl and nginx', 'curl nginx-light')]),
      ...(b3sum ? [] : [missing('b3sum', 'b3sum')]),
    ],
  };
}

/** Commands that write a file. */
async function measureFiles(servers: Servers, { size, runs, folder }: Settings): Promise<Report> {
  const { nginx } = servers;
  const fetch = fetchCommand(servers);
  const out = join(folder, 'out');
  const url = `http://127.0.0.1:${nginx?.port ?? 0}/large`;
  const writes = (name: string, program: string, args: readonly string[]): Contestant => ({
    name,
    once: async () => {
      rmSync(out, { force: true });
      const { milliseconds } = await timeProgram(program, args);
      const { size: written } = statSync(out);
      if (written !== size) throw new Error(`${name} wrote ${written} bytes`);
      return milliseconds;
    },
  });
  const curl = nginx !== undefined && installed('curl');
  const aria2 = nginx !== undefined && installed('aria2c');
  const [node, args] = fetch('-o', out);
  const contestants = [writes('p2p-fetch -o FILE', node, args)];
  if (curl)
    contestants.push(writes('curl -o FILE, from nginx', 'curl', ['-s', '-f', '-o', out, url]));
  if (aria2) {
    const options = ['-q', '--allow-overwrite=true', '--file-allocation=none', '-d', folder];
    contestants.push(writes('aria2c, from nginx', 'aria2c', [...options, '-o', 'out', url]));
  }
  const times = await inTurn(contestants, runs);
  rmSync(out, { force: true });
  return {
    title: `commands, ${size} bytes into a file`,
    unit: 'MB/s',
    rows: rates(times, size),
    notes: [
      ...(curl ? [] : [missing('curl and nginx', 'curl nginx-light')]),
      ...(aria2 ? [] : [missing('aria2c', 'aria2')]),
    ],
  };
}

/** How to run p2p-fetch for the file. */
function fetchCommand({ nodePort, hash }: Servers): (...more: string[]) => [string, string[]] {
  const script = fileURLToPath(new URL('../bin/p2p-fetch.js', import.meta.url));
  return (...more) => [process.execPath, [script, `127.0.0.1:${nodePort}`, hash, ...more]];
}

function rates(times: ReadonlyMap<string, readonly number[]>, size: number): Row[] {
  return [...times].map(([name, ms]) => ({ name, values: megabytesPerSecond(size, ms) }));
}

function missing(what: string, packages: string): string {
  return `${what} not here (apt-get install ${packages}): not compared`;
}

/** Connect, say something, and read so many bytes into one buffer that is used again. */
function readRaw(port: number, first: Buffer, bytes: number): Promise<number> {
  return new Promise((resolve, reject) => {
    let got = 0;
    const begin = performance.now();
    const socket = connectSocket({
      ...{ host: '127.0.0.1', port },
      onread: {
        buffer: roomFor(256 * 1024),
        callback: (n: number) => {
          got += n;
          // Heads come on top of the bytes.
          if (got >= bytes) socket.destroy();
          return true;
        },
      },
    });
    socket.on('error', reject);
    socket.on('connect', () => {
      if (first.length > 0) socket.write(first);
    });
    socket.on('close', () => {
      if (got < bytes) reject(new Error(`${got} bytes came instead of ${bytes}`));
      else resolve(performance.now() - begin);
    });
  });
}

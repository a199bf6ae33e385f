/** What one connection on loopback carries at most: iperf3, one client, one stream. */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { withServers, type Contestant } from '../common/in-turn.js';
import { freePort } from '../common/ports.js';
import { installed, runToEnd, stopper } from '../common/processes.js';
import { serverGroup } from './servers.js';

export interface Iperf {
  port: number;
  pid: number;
  stop: () => Promise<void>;
}

/** What it reports of both sides (iperf3 --json). What comes after the end of the test it does not count. */
interface Reported {
  end: Record<'sum_sent' | 'sum_received', { seconds: number; bytes: number }>;
}

/** Undefined when it is not installed. */
export async function startIperf(): Promise<Iperf | undefined> {
  if (!installed('iperf3')) return undefined;
  const port = await freePort();
  const args = ['-s', '-B', '127.0.0.1', '-p', String(port), '--forceflush'];
  const child = spawn('iperf3', args, { stdio: ['ignore', 'pipe', 'ignore'] });
  const stop = stopper(child);
  for await (const line of createInterface({ input: child.stdout })) {
    // A connection made to find out would be taken for a test.
    if (!line.startsWith('Server listening')) continue;
    child.stdout.resume();
    return { port, pid: child.pid ?? 0, stop };
  }
  throw new Error('iperf3 did not start');
}

export function iperf3(iperf: Iperf, bytes: number): Contestant {
  const args = ['-c', '127.0.0.1', '-p', `${iperf.port}`, '-n', `${bytes}`, '--json'];
  return {
    name: 'iperf3, one stream',
    isLimit: true,
    once: () =>
      withServers([serverGroup(iperf)], async () => {
        const { stdout, uses } = await runToEnd('iperf3', args, {
          output: 'collect',
          name: 'reader',
        });
        const { sum_sent: sent, sum_received: received } = (JSON.parse(stdout) as Reported).end;
        if (sent.bytes < bytes) throw new Error(`iperf3: ${sent.bytes} bytes sent, not ${bytes}`);
        return { milliseconds: ((received.seconds * bytes) / received.bytes) * 1000, uses };
      }),
  };
}

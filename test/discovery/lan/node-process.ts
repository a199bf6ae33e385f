/**
 * A node that shares one file, on every address of its machine. Prints `{id}` when it has indexed it, and `{up}` with the
 * ids of the peers that it reaches, as often as they change; what it warns of is on stderr.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { formatAddress } from '../../../lib/net/address.js';
import { createNode } from '../../../lib/node.js';
import { idsOf } from '../../fixtures/node.js';

const [, , look = '100', host = '::'] = process.argv;
const share = mkdtempSync(join(tmpdir(), 'lan-'));
const node = createNode({
  ...{ share, host, port: 7000, watch: false, workers: false },
  times: { look: Number(look), firstList: 100, soon: 20 },
});
const say = (line: object): void => void process.stdout.write(`${JSON.stringify(line)}\n`);
node.on('warning', ({ reason }) => void process.stderr.write(`${reason}\n`));
node.on('peer', () => {
  const at = node.peers.map((peer) => formatAddress(peer));
  say({ up: [...new Set(idsOf(node.peers))], at });
});
process.once('SIGTERM', () => {
  void node.close().then(() => {
    rmSync(share, { recursive: true });
  });
});
node.once('listening', () => {
  writeFileSync(join(share, `file-of-${node.id}.txt`), node.id);
});
node.once('indexed', () => {
  say({ id: node.id });
});
await node.start();

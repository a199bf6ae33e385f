/** Commands over TLS: the options, and what goes wrong on the way, with the same exit codes as in the clear. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from '../fixtures/tap.js';
import { formatAddress } from '../../lib/net/address.js';
import { random } from '../fixtures/bytes.js';
import { run } from '../fixtures/cli.js';
import { connectTo, listOf, startIndexed } from '../fixtures/node.js';
import { startProxy } from '../fixtures/proxy.js';
import { startFake } from '../fixtures/raw.js';

t.test('what goes wrong on the way', async (t) => {
  const content = random(2_000_000);
  const folder = t.testdir({ share: { file: content }, out: {} });
  const node = await startIndexed(t, join(folder, 'share'), { workers: false });
  const [file] = await listOf((await connectTo(t, node)).search(''));
  const { hash = '' } = file ?? {};
  const out = join(folder, 'out/file');
  // The first connection is harmed at this place of what the node sends.
  const AT = 1_000_000;
  const harmed = async (how: 'cut' | 'flipped'): Promise<string> => {
    let connections = 0;
    const relay = await startProxy(t, node.address, () => {
      const isFirst = connections++ === 0;
      return (chunk, at) => {
        if (!isFirst || at > AT || at + chunk.length <= AT) return chunk;
        if (how === 'cut') return undefined;
        chunk.writeUInt8(chunk.readUInt8(AT - at) ^ 1, AT - at);
        return chunk;
      };
    });
    return formatAddress(relay);
  };
  for (const how of ['cut', 'flipped'] as const) {
    const lost = await run('p2p-fetch', [await harmed(how), hash, '-o', out, '--tls']);
    t.match(lost, { code: 1, stderr: /was (closed|lost)/ }, how);
    t.notOk(existsSync(out));
    const args = [await harmed(how), hash, '-o', `${out}-${how}`, '--tls', '--retry', '3'];
    t.match(await run('p2p-fetch', args), { code: 0 }, 'tried again');
    t.ok(content.equals(readFileSync(`${out}-${how}`)));
  }
});

t.test('options', async (t) => {
  const { address } = await startFake(t, (socket) => socket.once('data', () => socket.end()));
  const at = formatAddress(address);
  t.match(await run('p2p-ping', [at, '--tls']), {
    code: 4,
    stderr: /does not answer with TLS.*--plain/,
  });
  t.match(await run('p2p-ping', [at, '--tls', '--plain']), {
    code: 2,
    stderr: /exclude each other/,
  });
  const named = await run('p2p-ping', [`${'0'.repeat(64)}@${at}`, '--plain']);
  t.match(named, { code: 2, stderr: /proves its id with TLS alone/ });
});

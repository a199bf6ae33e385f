/** A share that is there for some peers alone: strangers learn nothing, members search and fetch over several hops. */
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import t, { type Test } from '../fixtures/tap.js';
import { formatAddress, type PeerAddress } from '../../lib/net/address.js';
import { ALPN } from '../../lib/net/tls/settings.js';
import type { PeerNode } from '../../lib/node.js';
import type { NodeOptions } from '../../lib/options.js';
import type { Message } from '../../lib/wire/messages.js';
import { shownBy } from '../fixtures/certificates.js';
import { line } from '../fixtures/graphs.js';
import { NEVER, linked, startSharing } from '../fixtures/network.js';
import { bytesOf, listOf } from '../fixtures/node.js';
import { RawPeer } from '../fixtures/raw.js';
import { connect, createNode } from '../fixtures/transport.js';

interface Person {
  key: KeyObject;
  id: string;
}

function person(): Person {
  const { privateKey: key, publicKey } = generateKeyPairSync('ed25519');
  return {
    key,
    id: publicKey.export({ type: 'spki', format: 'der' }).subarray(-32).toString('hex'),
  };
}

const [member, stranger] = [person(), person()];

/** A node that is this person's; it shares one file that says whose it is. */
async function startAs(t: Test, n: number, { key }: Person, options: Partial<NodeOptions>) {
  const state = join(t.testdirName, `state-${n}`);
  mkdirSync(state, { recursive: true, mode: 0o700 });
  writeFileSync(join(state, 'key.pem'), key.export({ type: 'pkcs8', format: 'pem' }));
  return startSharing(t, n, { [`secret-${n}.txt`]: `${n}` }, { state, ...options });
}

/** Nodes in a line, each with the list that is given for it, or open to everybody. */
async function startLine(t: Test, people: Person[], allow: (Person[] | undefined)[]) {
  t.testdir({});
  const nodes: PeerNode[] = [];
  for (const [n, who] of people.entries()) {
    const before = nodes.at(-1);
    const peers = before === undefined ? [] : [`${before.id}@${formatAddress(before.address)}`];
    nodes.push(
      await startAs(t, n, who, { peers, allow: allow[n]?.map(({ id }) => id), tls: true }),
    );
  }
  await linked(nodes, line(nodes.length));
  return nodes;
}

/** The names that a search from one peer on finds, and the hops to each. */
async function found(address: PeerAddress, { key }: Person): Promise<string[]> {
  const peer = await connect(address, { tls: true, key });
  const results = await listOf(peer.searchNetwork('secret', { ttl: 7, timeout: NEVER }));
  await peer.close();
  return results.flatMap(({ hops, files }) => files.map(({ path }) => `${path} ${hops}`)).sort();
}

/** All that comes on a connection before it ends, in answer to one message. */
async function answersTo(address: PeerAddress, { key }: Person, message: Message | undefined) {
  const socket = connectTls({
    ...{ ...address, ...shownBy(key), rejectUnauthorized: false },
    ALPNProtocols: [ALPN],
  });
  const peer = new RawPeer(socket);
  await once(socket, 'secureConnect');
  if (message !== undefined) peer.send(message, 1);
  const answers: unknown[] = [];
  for (let got = await peer.next(); got !== undefined; got = await peer.next()) answers.push(got);
  socket.destroy();
  return answers;
}

t.test('friends of one list search and fetch over three hops', async (t) => {
  const people = [person(), person(), person(), person()];
  const everybody = [...people, member];
  const nodes = await startLine(t, people, [everybody, everybody, everybody, everybody]);
  const [first, , , last] = nodes;
  if (first === undefined || last === undefined) throw new Error('no nodes');
  const all = ['secret-0.txt 3', 'secret-1.txt 2', 'secret-2.txt 1', 'secret-3.txt 0'];
  t.same(await found(last.address, member), all);
  const peer = await connect(`${first.id}@${formatAddress(first.address)}`, { key: member.key });
  const [file] = await listOf(peer.search(''));
  t.equal((await bytesOf(peer.fetch(file?.hash ?? ''))).toString(), '0');
  t.same(await peer.listPeers(), [], 'it lists no private peer');
  await peer.close();
});

t.test('a stranger is told the same, whatever it asks', async (t) => {
  const [node] = await startLine(t, [person()], [[member]]);
  if (node === undefined) throw new Error('no node');
  const peer = await connect(node.address, { tls: true, key: member.key });
  const [{ hash } = { hash: '' }] = await listOf(peer.search(''));
  await peer.close();
  const refusal = {
    tag: 0,
    message: {
      type: 'ERRR',
      code: 'ERR_FORBIDDEN',
      message: 'this peer is there for some peers alone',
    },
  };
  for (const message of [
    undefined,
    { type: 'PING', info: { version: 1, id: member.id } },
    { type: 'RQLT' },
    { type: 'RQFS', query: '', ttl: 0 },
    { type: 'RQFS', query: '', ttl: 3, queryId: '00'.repeat(16) },
    { type: 'RQFS', hash, ttl: 0, via: [member.id] },
    { type: 'RQFH', hash },
    { type: 'RQFH', hash: '0'.repeat(64) },
    { type: 'ACKN', of: 'RQLT', peers: [] },
  ] as const) {
    const name = message === undefined ? 'nothing' : JSON.stringify(message);
    t.same(await answersTo(node.address, stranger, message), [refusal], name);
  }
  for (const options of [{ tls: true, key: stranger.key }, { tls: true }, { tls: false }]) {
    await t.rejects(connect(node.address, options), { code: 'ERR_FORBIDDEN' });
  }
  while (node.stats.openConnections > 0) await new Promise(setImmediate);
});

t.test('a public peer on the list tells nobody of it', async (t) => {
  const people = [person(), person()];
  const [hidden, open] = await startLine(t, people, [[...people, member], undefined]);
  if (hidden === undefined || open === undefined) throw new Error('no nodes');
  for (const who of [member, stranger]) {
    t.same(await found(open.address, who), ['secret-1.txt 0'], 'not who asks through it');
    const peer = await connect(open.address, { key: who.key });
    t.same(await peer.listPeers(), []);
    await peer.close();
  }
  const own = await listOf(open.search('secret', { ttl: 2, timeout: NEVER }));
  t.same(own.flatMap(({ files }) => files.map(({ path }) => path)).sort(), [
    'secret-0.txt',
    'secret-1.txt',
  ]);
});

t.test('a friend of a friend is not on the list', async (t) => {
  const people = [person(), person(), person()];
  const [a, b, c] = people;
  if (a === undefined || b === undefined || c === undefined) throw new Error('no people');
  const nodes = await startLine(t, people, [
    [a, b, member],
    [a, b, c, member],
    [b, c, member, stranger],
  ]);
  const [, second, third] = nodes;
  if (second === undefined || third === undefined) throw new Error('no nodes');
  t.same(await found(second.address, member), [
    'secret-0.txt 1',
    'secret-1.txt 0',
    'secret-2.txt 1',
  ]);
  const byC = ['secret-1.txt 1', 'secret-2.txt 0'];
  t.same(await found(third.address, member), byC, 'C is not on the list of A');
  t.same(await found(third.address, stranger), ['secret-2.txt 0'], 'nor the stranger on that of B');
});

t.test('who is taken off the list loses what is under way', async (t) => {
  const folder = t.testdir({
    list: `${member.id} # for now\n`,
    share: { large: Buffer.alloc(4_000_000) },
  });
  const node = createNode({
    ...{ share: join(folder, 'share'), host: '127.0.0.1', port: 0, watch: false, workers: false },
    ...{ allowFile: join(folder, 'list'), upLimit: 500_000 },
  });
  t.teardown(() => node.close());
  const indexed = once(node, 'indexed');
  await node.start();
  await indexed;
  const peer = await connect(node.address, { tls: true, key: member.key });
  const [file] = await listOf(peer.search(''));
  const stream = peer.fetch(file?.hash ?? '');
  await once(stream, 'data');
  const begin = performance.now();
  writeFileSync(join(folder, 'list'), `# ${member.id}\n`);
  await t.rejects(bytesOf(stream), { code: 'ERR_CLOSED' });
  t.comment(`after ${(performance.now() - begin).toFixed(0)} ms`);
  while (node.stats.openConnections > 0) await new Promise(setImmediate);
  await t.rejects(connect(node.address, { tls: true, key: member.key }), { code: 'ERR_FORBIDDEN' });
  writeFileSync(join(folder, 'list'), member.id);
  for (;;) {
    const again = await connect(node.address, { tls: true, key: member.key }).catch(
      () => undefined,
    );
    await again?.close();
    if (again !== undefined) break;
  }
  t.pass('it is let in again');
});

t.test('a private node says nothing to peers that are not on its list', async (t) => {
  t.testdir({});
  const [one, other] = [person(), person()];
  const open = await startAs(t, 0, one, {});
  const peers = [formatAddress(open.address)];
  const hidden = await startAs(t, 1, other, { peers, allow: [member.id] });
  while (open.stats.connections === 0) await new Promise(setImmediate);
  while (open.stats.openConnections > 0) await new Promise(setImmediate);
  t.same([open.peers, hidden.peers], [[], []]);
});

t.test('an empty list lets nobody in', async (t) => {
  const [node] = await startLine(t, [person()], [[]]);
  if (node === undefined) throw new Error('no node');
  await t.rejects(connect(node.address, { tls: true, key: member.key }), { code: 'ERR_FORBIDDEN' });
});

t.test('what cannot be', (t) => {
  const share = t.testdir({});
  t.throws(() => createNode({ share, allow: [member.id], tls: false }), { code: 'ERR_USAGE' });
  t.throws(() => createNode({ share, allow: ['abc'] }), {
    code: 'ERR_USAGE',
    message: /not an id/,
  });
  t.end();
});

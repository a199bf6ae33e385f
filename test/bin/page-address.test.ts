/** Where p2p-serve says that its page is. */
import { join } from 'node:path';
import { pageAddresses } from '../../bin/serve/page-address.js';
import { run, serve } from '../fixtures/cli.js';
import { readQrCode } from '../fixtures/qr.js';
import t from '../fixtures/tap.js';

t.test('as a QR code', async (t) => {
  const folder = t.testdir({ share: { 'a.txt': 'a' } });
  const args = [join(folder, 'share'), '--state', join(folder, 'state')];
  const { peer, stderr, says } = await serve(t, [...args, '--qr']);
  await says(`page: http://${peer}/\n`);
  const code = stderr().split('\n').slice(1, -1).join('\n');
  t.equal(readQrCode(code), `http://${peer}/`);
  t.equal((await fetch(`http://${peer}/`)).status, 200);
});

t.test('not where no terminal is', async (t) => {
  const folder = t.testdir({ share: {} });
  const args = [join(folder, 'share'), '--state', join(folder, 'state')];
  const { indexed, stderr } = await serve(t, args);
  await indexed;
  t.notMatch(stderr(), 'page:');
  t.equal((await run('p2p-serve', [...args, '--qr=x'])).code, 2);
});

t.test('which address', (t) => {
  t.same(pageAddresses({ host: '10.1.2.3', port: 7000 }, false), ['http://10.1.2.3:7000/']);
  t.same(pageAddresses({ host: 'fd00::1', port: 80 }, false), ['http://[fd00::1]:80/']);
  const [first, ...others] = pageAddresses({ host: '::', port: 7000 }, false);
  t.equal(first, 'http://localhost:7000/');
  t.ok(others.length <= 1 && others.every((one) => /^http:\/\/[[\]0-9a-f.:]+:7000\/$/.test(one)));
  t.same(pageAddresses({ host: '::', port: 7000 }, true), ['http://localhost:7000/']);
  t.end();
});

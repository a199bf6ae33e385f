/** Avahi, which most desktops run, finds a node, and what it announces is found. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { commandPath } from '../fixtures/cli.js';
import { Lab, noLab } from '../fixtures/lab.js';

const missing = ['avahi-daemon', 'avahi-browse', 'avahi-publish', 'dbus-daemon'].find(
  (program) => spawnSync('sh', ['-c', `command -v ${program}`]).status !== 0,
);
const skip =
  noLab() ||
  (missing !== undefined &&
    `no ${missing} (Debian packages avahi-daemon, avahi-utils, dbus-daemon)`) ||
  (!existsSync('/run/avahi-daemon') && 'no /run/avahi-daemon');

const bus = (folder: string): string =>
  `<busconfig><type>session</type><listen>unix:path=${folder}/bus</listen><auth>EXTERNAL</auth>
<policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/><allow user="*"/></policy></busconfig>`;

/** With a bus and a folder of its own: `$1` is the id that is published, what follows runs while it is. */
const SCRIPT = `
  cd "$0"; id=$1; shift
  # ip(8) has given this a mount namespace of its own.
  mount -t tmpfs none /run/avahi-daemon
  trap 'kill $(jobs -p)' EXIT
  export DBUS_SYSTEM_BUS_ADDRESS="unix:path=$PWD/bus"
  dbus-daemon --config-file=bus.conf --nofork &
  until [ -S bus ]; do sleep 0.05; done
  avahi-daemon --no-drop-root --no-chroot --no-rlimits --no-proc-title -f avahi.conf >log 2>&1 &
  until grep -q 'startup complete' log; do sleep 0.05; done
  avahi-browse -rtp _p2p-serve._tcp
  stdbuf -oL -eL avahi-publish -s published _p2p-serve._tcp 7000 txtvers=1 id=$id >published 2>&1 &
  until grep -q Established published; do sleep 0.05; done
  "$@"
`;

t.test('avahi', { skip: skip || false }, async (t) => {
  const lab = new Lab(t, ['red']);
  const [machine, other, client] = [lab.machine(), lab.machine(), lab.machine()];
  machine.join('red', 1);
  other.join('red', 2);
  client.join('red', 3);
  const node = machine.start('discovery/lan/node-process.js');
  const { id = '' } = await node.until<{ id?: string }>((line) => line.id !== undefined);
  // The path of a socket is short.
  const folder = mkdtempSync(join(tmpdir(), 'avahi-'));
  t.teardown(() => {
    rmSync(folder, { recursive: true });
  });
  writeFileSync(join(folder, 'bus.conf'), bus(folder));
  writeFileSync(join(folder, 'avahi.conf'), '[server]\nuse-ipv6=no\n');
  const published = 'ab'.repeat(32);
  const list = [process.execPath, commandPath('p2p-peers'), '--lan'];
  const args = [
    '60',
    'bash',
    '-ec',
    SCRIPT,
    folder,
    published,
    'ip',
    'netns',
    'exec',
    client.namespace,
    ...list,
  ];
  const { code, stdout, stderr } = await other.run('timeout', args);
  t.equal(code, 0, stderr);
  const lines = stdout.split('\n');
  const ours = lines.find((line) => line.startsWith('=;') && line.includes(id)) ?? stdout;
  t.match(ours, /^=;red;IPv4;p2p-[0-9a-f]{32};_p2p-serve\._tcp;local;p2p-[0-9a-f]{32}\.local;/);
  t.match(ours, ';10.77.1.1;7000;', 'it resolves our address');
  t.match(ours, '"version=1"');
  const theirs = lines.filter((line) => line.startsWith(published));
  t.same(theirs, [`${published}  10.77.1.2:7000  red`], 'we find what it publishes');
});

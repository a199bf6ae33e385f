/** p2p-serve as a service: options from the environment and a file, logs for programs, completion in a shell. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { join } from 'node:path';
import t from '../fixtures/tap.js';
import { completionScript, offered } from '../../bin/common/completion.js';
import { OptionSources } from '../../bin/serve/option-sources.js';
import { PeerError } from '../../lib/errors.js';
import { OPTIONS } from '../../lib/options.js';
import { command, commandPath, run, serve } from '../fixtures/cli.js';

t.test('the command line counts first, then the environment, then the file', async (t) => {
  const folder = t.testdir({
    share: { 'a.txt': 'hello\n', 'a.tmp': '', 'b.log': '', '.dot': '' },
    'options.json': JSON.stringify({
      ...{ ignore: ['*.log'], dotfiles: true, state: 'nowhere/at/all', verbose: false },
      ...{ 'max-peers': 3, rescan: 600.5, 'up-limit': 5_000_000, watch: false },
    }),
  });
  const env = {
    ...process.env,
    P2P_SERVE_CONFIG: join(folder, 'options.json'),
    P2P_SERVE_IGNORE: '*.tmp  *.log',
    P2P_SERVE_STATE: join(folder, 'no'),
    P2P_SERVE_VERBOSE: '1',
    P2P_SERVE_MAX_PEERS: '4',
    P2P_SERVE_HOST: '192.0.2.1',
  };
  const args = [join(folder, 'share'), '--state', join(folder, 'state')];
  const { indexed, peer, stderr, says } = await serve(t, args, { env });
  t.match(
    await indexed,
    /^indexed 2 files, 6 bytes/,
    'dotfiles of the file, ignore of the environment',
  );
  t.match(peer, /^127\.0\.0\.1:/, 'the command line, not 192.0.2.1');
  await says('2 of them were hashed');
  t.match(stderr(), /DEBUG/, 'verbose as the environment says');
});

/** What the options are, or what is said of them. */
async function read(
  given: Record<string, unknown>,
  env: Record<string, string> = {},
  file?: string,
): Promise<unknown> {
  const defaults = { port: 7000, ignore: [], peer: [], watch: true, grace: 10, log: 'text' };
  const from = new OptionSources({ ...defaults, ...given }, new Set(Object.keys(given)), env);
  try {
    if (file !== undefined) await from.readFile(file);
    const values = {
      port: from.number('port', OPTIONS.port),
      maxPeers: from.number('max-peers', OPTIONS.maxPeers),
      ignore: from.list('ignore', OPTIONS.ignore),
      peers: from.list('peer', OPTIONS.peers),
      watch: from.boolean('watch', OPTIONS.watch),
      grace: from.seconds('grace', OPTIONS.grace),
      upLimit: from.rate('up-limit'),
      advertise: from.text('advertise', OPTIONS.advertise),
    };
    from.end();
    return values;
  } catch (error) {
    if (error instanceof PeerError && error.code === 'ERR_USAGE') return error.message;
    throw error;
  }
}

t.test('each value, and what is wrong of any', async (t) => {
  const folder = t.testdir({ folder: {} });
  const file = join(folder, 'options.json');
  const env = { P2P_SERVE_WATCH: '0', P2P_SERVE_GRACE: '2.5', P2P_SERVE_IGNORE: 'a  b', PATH: '' };
  writeFileSync(file, '{"grace": 3, "up-limit": 5000, "peer": ["a", "b:1"], "max-peers": 3}');
  t.match(await read({ port: 1 }, env, file), {
    ...{ port: 1, ignore: ['a', 'b'], watch: false, grace: 2500, upLimit: 5000, maxPeers: 3 },
    ...{ peers: ['a', 'b:1'], advertise: undefined },
  });
  for (const [[name, value], message] of [
    [['PORT', '70000'], 'P2P_SERVE_PORT is a whole number from 0 to 65535'],
    [['PORT', 'tcp:7001'], 'P2P_SERVE_PORT is a whole number'],
    [['PORT_7000', 'x'], 'P2P_SERVE_PORT_7000: there is no such option'],
    [['PORT', ''], 'P2P_SERVE_PORT is a whole number'],
    [['WATCH', 'maybe'], 'P2P_SERVE_WATCH is true or false'],
    [['GRACE', '-1'], 'P2P_SERVE_GRACE is a number of seconds from 0 to 2147483'],
    [['UP_LIMIT', 'fast'], 'P2P_SERVE_UP_LIMIT: "fast" is not a rate'],
    [['PEER', 'localhost a:0'], 'P2P_SERVE_PEER: "a:0" is not a peer'],
    [['COLOUR', 'red'], 'P2P_SERVE_COLOUR: there is no such option'],
  ] as const) {
    t.match(await read({}, { [`P2P_SERVE_${name}`]: value }), message);
  }
  // What Kubernetes sets for a service that is called p2p-serve.
  const service = {
    P2P_SERVE_SERVICE_HOST: '10.0.0.1',
    P2P_SERVE_SERVICE_PORT: '7000',
    P2P_SERVE_SERVICE_PORT_PEERS: '7000',
    P2P_SERVE_PORT: 'tcp://10.0.0.1:7000',
    P2P_SERVE_PORT_7000_TCP: 'tcp://10.0.0.1:7000',
    P2P_SERVE_PORT_7000_TCP_PROTO: 'tcp',
    P2P_SERVE_PORT_7000_TCP_PORT: '7000',
    P2P_SERVE_PORT_7000_TCP_ADDR: '10.0.0.1',
  };
  t.match(await read({}, { ...service, P2P_SERVE_MAX_PEERS: '9' }), { port: 7000, maxPeers: 9 });
  for (const [content, message] of [
    ['{"port": "x"}', `${file}: port is a whole number`],
    ['{"port": null}', `${file}: port is a whole number`],
    ['{"ignore": "*.tmp"}', `${file}: ignore is a list of texts`],
    ['{"ignore": [1]}', `${file}: ignore is a list of texts`],
    ['{"advertise": 5}', `${file}: advertise is a text`],
    ['{"advertise": "a b"}', `${file}: advertise: "a b" is not a peer`],
    ['{"colour": 1}', `${file}: there is no option "colour"`],
    ['{"__proto__": 1}', `${file}: there is no option "__proto__"`],
    ['{"port": 1,\n}', `${file} is not JSON: `],
    ['[7000]', `${file} is not a JSON object of options`],
  ] as const) {
    writeFileSync(file, content);
    t.match(await read({}, {}, file), message);
  }
  const none = join(folder, 'none');
  t.equal(await read({}, {}, none), `${none}: no such file or folder`);
  t.equal(await read({}, {}, folder), `${folder}: is a folder`);
  t.match(await read({}, {}, '/dev/zero'), '/dev/zero is not JSON', 'no more is read than needed');
});

t.test('what is wrong is said in one line', async (t) => {
  const folder = t.testdir({ share: {} });
  const cases: [args: string[], env: Record<string, string>, message: string][] = [
    [['--port', ''], { P2P_SERVE_LOG: 'json' }, '--port is a whole number'],
    [['--watch=maybe'], {}, '--watch=maybe is not true or false'],
    [['--log', 'xml'], {}, 'Argument: log, Given: "xml", Choices: "text", "json"'],
  ];
  const results = cases.map(async ([args, env, message]) => {
    const all = [join(folder, 'share'), ...args];
    const { code, stderr } = await run('p2p-serve', all, { env: { ...process.env, ...env } });
    t.equal(code, 2, message);
    t.match(stderr, new RegExp('^p2p-serve: [^\n]*\n$'), 'one line');
    t.match(stderr, message);
  });
  await Promise.all(results);
});

t.test('--log json: every line is an object', async (t) => {
  const folder = t.testdir({ share: { 'a.txt': 'hello\n' } });
  const odd = Buffer.from('not utf-8: \xff', 'latin1');
  writeFileSync(Buffer.concat([Buffer.from(`${folder}/share/`), odd]), 'x');
  const args = [
    '--port',
    '0',
    '--host',
    '127.0.0.1',
    '--log',
    'json',
    '--state',
    `${folder}/state`,
  ];
  const [program, rest] = command('p2p-serve', [join(folder, 'share'), ...args]);
  const child = spawn(program, rest, { stdio: ['ignore', 'pipe', 'pipe'] });
  const exited = once(child, 'close');
  t.teardown(async () => {
    child.kill();
    await exited;
  });
  const lines: Record<string, unknown>[] = [];
  for await (const line of createInterface({ input: child.stderr })) {
    const fields = JSON.parse(line) as Record<string, unknown>;
    lines.push(fields);
    if (fields['msg'] === 'indexed') child.kill();
  }
  const of = (msg: string): unknown => lines.find((fields) => fields['msg'] === msg);
  t.match(of('listening'), { level: 'info', address: /^127\.0\.0\.1:/, id: /^[0-9a-f]{64}$/ });
  t.match(of('indexed'), { files: 1, bytes: 6, hashed: 1 });
  const warning = lines.find(({ level }) => level === 'warn');
  t.match(warning, { path: /not utf-8/, reason: /UTF-8/, time: /^\d{4}-\d\d-\d\dT/ });
  t.same(await exited, [0, null]);
  t.equal(child.stdout.read(), null, 'nothing else');

  const failed = await run('p2p-serve', [join(folder, 'none'), ...args]);
  t.equal(failed.code, 2);
  t.match(JSON.parse(failed.stderr), { level: 'fatal', msg: /none: no such folder/ });
});

t.test('a log that cannot be written ends nothing', async (t) => {
  const folder = t.testdir({ share: { file: 'x' } });
  const state = ['--state', join(folder, 'state')];
  // Some lines for the log, which nobody can read.
  const by = ['sh', '-c', 'exec "$@" 2> /dev/full', 'sh'];
  const { peer, child, indexed } = await serve(t, [join(folder, 'share'), ...state, '--verbose'], {
    by,
  });
  await indexed;
  child.kill('SIGHUP');
  t.match(await run('p2p-ping', [peer]), { code: 0, stdout: /1 files/ });
});

t.test(
  'no stack trace: the current folder is gone, a full stdout, no folder can be made',
  async (t) => {
    const folder = t.testdir({ share: {}, gone: {} });
    const sh = async (line: string, name: string, args: string[]): Promise<unknown> => {
      const [program, rest] = command(name, args);
      const child = spawn('sh', ['-c', line, 'sh', program, ...rest], {
        cwd: join(folder, 'gone'),
        stdio: ['ignore', 'ignore', 'pipe'],
      });
      let stderr = '';
      child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
      const [code] = (await once(child, 'close')) as [number];
      return [code, stderr];
    };
    t.same(await sh('rmdir "$PWD" && exec "$@" 2>&1 | cat >&2', 'p2p-hash', ['/dev/null']), [
      ...[0, 'p2p-hash: the current folder is gone\n'],
    ]);
    mkdirSync(join(folder, 'gone'));
    t.same(await sh('exec "$@" > /dev/full', 'p2p-hash', ['-']), [
      ...[1, 'p2p-hash: stdout: no space left on the device\n'],
    ]);
    if (process.platform !== 'linux') return;
    // Where mkdir(2) says ENOENT although the folder above is there.
    const state = '/proc/none/state';
    t.same(await sh('exec "$@"', 'p2p-serve', [join(folder, 'share'), '--state', state]), [
      ...[2, `p2p-serve: cannot keep state in ${state}: ENOENT\n`],
    ]);
  },
);

t.test('a shell completes', async (t) => {
  const folder = t.testdir();
  const shim = `#!/bin/sh\nexec ${process.execPath} ${commandPath('p2p-serve')} "$@"\n`;
  writeFileSync(join(folder, 'p2p-serve'), shim, { mode: 0o755 });
  const script = `
    source <(p2p-serve --completion bash)
    for words in '--max-p' 'folder --no-w' 'folder --log '; do
      IFS=' ' read -r -a COMP_WORDS <<< "p2p-serve $words"
      [[ $words = *' ' ]] && COMP_WORDS+=('')
      COMP_CWORD=$((\${#COMP_WORDS[@]} - 1))
      _p2p_serve
      printf '%s ' "\${COMPREPLY[@]}"
    done`;
  if (spawnSync('bash', ['-c', 'true']).status === 0) {
    const env = { ...process.env, SHELL: '/bin/zsh', PATH: `${folder}:${process.env['PATH']}` };
    const { stdout, stderr } = spawnSync('env', ['-u', 'NODE_OPTIONS', 'bash', '-c', script], {
      ...{ encoding: 'utf8', env },
    });
    t.equal(stderr, '');
    t.equal(stdout, '--max-peers --max-peers-per-network --no-watch text json ');
  } else {
    t.pass('not tried', { skip: 'no bash here' });
  }
  t.match(completionScript('p2p-ping', 'zsh'), /^#compdef p2p-ping\n/);
  const ask = ['--get-yargs-completions', 'p2p-ping', '--'];
  const { stdout } = await run('p2p-ping', ask, { env: { ...process.env, SHELL: 'zsh' } });
  t.match(stdout.toString(), /^--version:Show version number$/m, 'with descriptions');
  t.same(offered(['--port', 'text'], ''), ['text'], 'the shell offers files');
  t.match(await run('p2p-ping', ['--completion', 'fish']), { code: 2, stderr: /bash, zsh/ });
});

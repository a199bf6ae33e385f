/**
 * The rooms of lib/: imports point down, and there are no cycles. Every room has a row, and a file that
 * is in none of them is an error.
 */
const ROOMS = {
  // May import each of the rooms named, itself, and errors.ts.
  support: [],
  wire: ['support'],
  disk: ['support'],
  hash: ['disk', 'wire', 'support'],
  limits: ['wire', 'support'],
  net: ['limits', 'wire', 'support'],
  state: ['hash', 'disk', 'wire', 'support'],
  peers: ['state', 'net', 'limits', 'wire', 'support'],
  discovery: ['peers', 'net', 'limits', 'state', 'wire', 'support'],
  search: ['peers', 'net', 'limits', 'wire', 'support'],
  'name-index': ['wire', 'support'],
  share: ['name-index', 'state', 'hash', 'disk', 'wire', 'support'],
  serve: ['share', 'limits', 'net', 'hash', 'disk', 'wire', 'support'],
  'http/page': ['support'],
  http: ['serve', 'share', 'search', 'peers', 'limits', 'net', 'wire', 'support'],
  fetch: ['search', 'limits', 'net', 'hash', 'disk', 'wire', 'support'],
};
/** Files of lib/ itself that a room may import, where it is more than errors.ts. */
const FILES_FOR = { fetch: ['errors', 'options'] };
/** Files of lib/ itself, from the bottom. */
const TOP = ['errors', 'options', 'requests', 'http-server', 'network', 'node', 'index'];

const inRoom = (room) => `lib/${room}/`;
const room = ([name, below]) => ({
  name: `room-${name}`,
  severity: 'error',
  from: { path: `^${inRoom(name)}` },
  to: {
    path: '^(lib|bin|bench|test)/',
    pathNot: `^(${[name, ...below].map(inRoom).join('|')}|lib/(${(FILES_FOR[name] ?? ['errors']).join('|')})\\.ts$)`,
  },
});

module.exports = {
  forbidden: [
    { name: 'no-cycles', severity: 'error', from: {}, to: { circular: true } },
    {
      name: 'no-unlisted',
      comment: 'only what package.json names',
      severity: 'error',
      // What runs in a browser is bundled.
      from: { path: '^(lib|bin)/', pathNot: '^lib/http/page/app/' },
      to: { dependencyTypes: ['npm-no-pkg', 'npm-unknown', 'npm-dev'] },
    },
    {
      name: 'no-orphans',
      severity: 'error',
      from: { orphan: true, path: '^lib/', pathNot: ['-?worker\\.ts$', 'support/printable\\.ts$'] },
      to: {},
    },
    {
      name: 'every-file-in-a-room',
      severity: 'error',
      from: {},
      to: {
        path: '^lib/.*\\.ts$',
        pathNot: `^(${Object.keys(ROOMS).map(inRoom).join('|')}|lib/(${TOP.join('|')})\\.ts$)`,
      },
    },
    ...Object.entries(ROOMS).map(room),
    {
      name: 'errors-below-all',
      severity: 'error',
      from: { path: '^lib/errors\\.ts' },
      to: { path: '^(lib|bin|bench|test)/' },
    },
    {
      name: 'options-know-types',
      severity: 'error',
      from: { path: '^lib/options\\.ts' },
      to: { path: '^lib/(node|index)\\.ts' },
    },
    {
      name: 'nothing-imports-upwards',
      severity: 'error',
      from: { path: '^lib/' },
      to: { path: '^(bin|bench|test)/' },
    },
  ],
  options: {
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    doNotFollow: { path: 'node_modules' },
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'types'] },
  },
};

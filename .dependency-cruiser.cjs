/** The layers of lib/: imports point one way, and there are no cycles. */
const layer = (name, from, to) => ({
  name,
  severity: 'error',
  from: { path: from },
  to: { path: '^(lib|bin|bench|test)/', pathNot: to },
});

module.exports = {
  forbidden: [
    { name: 'no-cycles', severity: 'error', from: {}, to: { circular: true } },
    {
      name: 'no-unlisted',
      comment: 'only what package.json names',
      severity: 'error',
      from: { path: '^(lib|bin)/' },
      to: { dependencyTypes: ['npm-no-pkg', 'npm-unknown', 'npm-dev'] },
    },
    {
      name: 'no-orphans',
      severity: 'error',
      from: {
        orphan: true,
        path: '^lib/',
        pathNot: ['-?worker\\.ts$', 'lib/printable\\.ts$'],
      },
      to: {},
    },
    layer('errors-below-all', '^lib/errors\\.ts', '^$'),
    layer('wire-is-bytes', '^lib/wire/', '^lib/(wire/|errors\\.ts)'),
    layer('disk', '^lib/disk/', '^lib/(disk/|(errors|thread)\\.ts)'),
    layer('hash', '^lib/hash/', '^lib/(hash/|wire/|disk/|(background|errors|memory|thread)\\.ts)'),
    layer('share', '^lib/share/', '^lib/(share/|hash/|wire/|disk/|(background|errors)\\.ts)'),
    layer('net-knows-no-files', '^lib/net/', '^lib/(net/|wire/|(clock|errors|memory)\\.ts)'),
    layer('peers', '^lib/peers/', '^lib/(peers/|net/|wire/|errors\\.ts)'),
    layer('search', '^lib/search/', '^lib/(search/|peers/|net/|wire/|(clock|errors)\\.ts)'),
    layer(
      'transfer',
      '^lib/transfer/',
      '^lib/(transfer/|net/|share/|hash/|wire/|disk/|(clock|errors|memory)\\.ts)',
    ),
    {
      name: 'nothing-imports-upwards',
      severity: 'error',
      from: { path: '^lib/' },
      to: { path: '^(bin|bench|test)/' },
    },
    {
      name: 'node-is-the-top',
      severity: 'error',
      from: { path: '^lib/[a-z-]+/' },
      to: { path: '^lib/(node|client|index)\\.ts' },
    },
  ],
  options: {
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    doNotFollow: { path: 'node_modules' },
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'types'] },
  },
};

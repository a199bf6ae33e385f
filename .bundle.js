/**
 * Run after tsc: bundles each command into dist/bin/, so that it starts at once. As tsc leaves them the commands
 * work too, but resolving 130 modules one by one takes longer than most of what they do.
 *
 * The library in dist/lib/ stays as tsc made it. Native packages, and those with threads or files of their own,
 * are not bundled.
 */
import { chmodSync, readdirSync, rmSync } from 'node:fs';
import { join, relative } from 'node:path';
import { readFile } from 'node:fs/promises';
import { build } from 'esbuild';

const OUT = 'dist/bin';
const EXTERNAL = [
  '@napi-rs/blake-hash',
  'chokidar',
  'fast-glob',
  'koffi',
  'lmdb',
  'picomatch',
  'pino',
  'pino-pretty',
  'piscina',
];
const commands = readdirSync('bin').filter((name) => name.endsWith('.ts'));

/** Threads and package.json are files of their own: found from where tsc put the module that names them. */
const ownFiles = {
  name: 'own-files',
  setup({ onLoad }) {
    onLoad({ filter: /[\\/](lib|bin)[\\/].*\.ts$/ }, async ({ path }) => {
      const source = await readFile(path, 'utf8');
      const built = relative(OUT, join('dist', relative('.', path))).replace(/\.ts$/, '.js');
      const own = `new URL('${built}', import.meta.url).href`;
      const contents = source.replaceAll('import.meta.url', own);
      return { contents, loader: 'ts' };
    });
  },
};

for (const name of readdirSync(OUT)) {
  if (/^chunk-.*\.js(\.map)?$/.test(name)) rmSync(join(OUT, name));
}
await build({
  entryPoints: commands.map((name) => join('bin', name)),
  outdir: OUT,
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node20',
  minify: true,
  sourcemap: true,
  legalComments: 'none',
  chunkNames: 'chunk-[hash]',
  banner: {
    js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
  },
  external: EXTERNAL,
  plugins: [ownFiles],
  logLevel: 'warning',
});
for (const name of commands) chmodSync(join(OUT, name.replace(/\.ts$/, '.js')), 0o755);

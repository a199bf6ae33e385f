/**
 * Run after tsc: bundles the web page, and each command into dist/bin/, so that it starts at once. As tsc leaves them the commands
 * work too, but resolving 130 modules one by one takes longer than most of what they do.
 *
 * The library in dist/lib/ stays as tsc made it. Native packages, and those with threads or files of their own,
 * are not bundled.
 */
import { chmodSync, copyFileSync, existsSync, readdirSync, rmSync } from 'node:fs';
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

/** The width of what yargs prints, which is ASCII: the package loads the tables of Unicode for it (50 ms). */
const asciiWidth = {
  name: 'ascii-width',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^string-width$/ }, () => ({ path: 'string-width', namespace: 'ascii' }));
    onLoad({ filter: /.*/, namespace: 'ascii' }, () => ({
      contents: 'export default (text) => text.length;',
    }));
  },
};

/**
 * BLAKE3 when it is first used, and where that is there from its package for GNU's libc: the loader asks for a report
 * of the whole process to learn which libc there is (10 ms).
 */
const lazyBlake = {
  name: 'lazy-blake',
  setup({ onResolve, onLoad }) {
    const name = '@napi-rs/blake-hash';
    onResolve({ filter: new RegExp(`^${name}$`) }, ({ namespace }) =>
      namespace === 'lazy' ? { path: name, external: true } : { path: name, namespace: 'lazy' },
    );
    onLoad({ filter: /.*/, namespace: 'lazy' }, () => ({
      contents: `
        let loaded;
        const load = () => {
          try {
            loaded = require('${name}-' + process.platform + '-' + process.arch + '-gnu');
          } catch {
            loaded = require('${name}');
          }
          return loaded;
        };
        export const blake3 = (bytes) => (loaded ?? load()).blake3(bytes);
        export const Blake3Hasher = {
          deriveKey: (context, bytes) => (loaded ?? load()).Blake3Hasher.deriveKey(context, bytes),
        };`,
    }));
  },
};

// tsc leaves what it made of a source that has gone or moved: tests that would run, modules that would be packed.
for (const name of readdirSync('dist', { recursive: true })) {
  const source = /^(.*?)(\.d\.ts|\.js|\.js\.map)$/.exec(name)?.[1];
  if (source && !existsSync(`${source}.ts`)) rmSync(join('dist', name));
}
// Each by itself: what several commands share would be files of their own, and each file that is loaded takes 1 to 2 ms.
for (const name of commands) {
  await build({
    entryPoints: [join('bin', name)],
    outdir: OUT,
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node20',
    minify: true,
    sourcemap: true,
    sourcesContent: false,
    legalComments: 'none',
    chunkNames: 'chunk-[hash]',
    banner: {
      js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
    },
    external: EXTERNAL,
    plugins: [asciiWidth, lazyBlake, ownFiles],
    logLevel: 'warning',
  });
}
for (const name of commands) chmodSync(join(OUT, name.replace(/\.ts$/, '.js')), 0o755);

const PAGE = 'lib/http/page/app';
const ASSETS = 'dist/lib/http/page/assets';
rmSync(ASSETS, { recursive: true, force: true });
await build({
  entryPoints: [join(PAGE, 'main.tsx')],
  entryNames: 'app',
  outdir: ASSETS,
  bundle: true,
  format: 'esm',
  platform: 'browser',
  target: 'es2022',
  minify: true,
  legalComments: 'none',
  logLevel: 'warning',
});
copyFileSync(join(PAGE, 'icon.svg'), join(ASSETS, 'icon.svg'));

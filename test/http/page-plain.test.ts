/** What the web page is without its script: the list of a folder, and the files that the page is made of. */
import t from '../fixtures/tap.js';
import { pageAsset } from '../../lib/http/page/assets.js';
import { folderPage } from '../../lib/http/page/folder-page.js';
import { DISK, RAW, TERMINAL } from '../fixtures/hostile-names.js';

const MARKUP = [
  '<script>alert(1)</script>',
  '"><img src=x onerror=alert(1)>',
  "' onmouseover='alert(1)",
  '&lt;b&gt;',
  'javascript:alert(1)',
  '</title><script>alert(1)</script>',
  '\ud800lone',
];

/** Elements of a document that holds no text with `<`, and the links among them. */
const tagsOf = (html: string): string[] => html.match(/<[^>]*>/g) ?? [];
const linksOf = (html: string): string[] =>
  [...html.matchAll(/<a href="([^"]*)"/g)].map(([, href = '']) =>
    href.replaceAll('&amp;', '&').replaceAll('&#39;', "'"),
  );

t.test('whatever names are, the list has one link for each, and no other markup', (t) => {
  const names = [...MARKUP, ...TERMINAL, ...DISK].filter(
    (name) => !['', '.', '..'].includes(name) && !name.includes('/'),
  );
  const entries = names.map((name) => ({ name, type: 'file' as const, size: 1, modified: 1 }));
  const html = folderPage({ path: 'a folder', entries, next: null });
  const harmless = folderPage({
    path: 'a folder',
    entries: names.map((_, i) => ({ name: `${i}`, type: 'file' as const, size: 1, modified: 1 })),
    next: null,
  });
  const kinds = (text: string): string[] => tagsOf(text).map((tag) => tag.replace(/".*"/g, ''));
  t.same(kinds(html), kinds(harmless));
  t.notMatch(html.replaceAll('\n', ''), RAW);
  const [, ...links] = linksOf(html);
  const base = 'http://node/files/a%20folder/';
  t.same(
    links.map((href) => {
      const { origin, pathname } = new URL(href, base);
      return [origin, decodeURIComponent(pathname)];
    }),
    names.map((name) => ['http://node', `/files/a folder/${Buffer.from(name).toString()}`]),
  );
  const inFolder = (path: string): string[] => kinds(folderPage({ path, entries: [] }));
  for (const name of MARKUP.filter((name) => !name.includes('/'))) {
    t.same(inFolder(name), inFolder('harmless'), name);
  }
  t.end();
});

t.test('folders, the way up, and the next page', (t) => {
  const html = folderPage({
    path: 'photos/2024',
    entries: [
      { name: 'a b', type: 'folder' },
      { name: 'c&d.jpg', type: 'file', size: 1500, modified: 86_400 },
    ],
    next: 'c&d.jpg',
  });
  t.same(linksOf(html), ['../../', '../', './a%20b/', './c%26d.jpg', '?after=c%26d.jpg']);
  t.match(html, '<title>/photos/2024</title>');
  t.match(html, '<small>1.5 kB, 1970-01-02</small>');
  t.match(folderPage({ path: '', entries: [] }), 'Nothing is here.');
  t.end();
});

t.test('the files of the page', (t) => {
  const types = { 'index.html': 'text/html', 'app.js': 'text/javascript', 'app.css': 'text/css' };
  const tags = new Set<string>();
  for (const [name, type] of Object.entries(types)) {
    const asset = pageAsset(name);
    t.match(asset?.type, new RegExp(`^${type}; charset=utf-8$`));
    t.match(asset?.etag, /^"[\w-]{22}"$/);
    t.ok((asset?.body.length ?? 0) > 0, name);
    t.equal(pageAsset(name), asset, 'read once');
    tags.add(asset?.etag ?? '');
  }
  t.equal(tags.size, 3);
  for (const name of ['', '../assets.js', 'app.js/', '__proto__', 'assets', 'main.tsx']) {
    t.equal(pageAsset(name), undefined, name);
  }
  t.end();
});

t.test('no page has a script, a style or a handler of its own, or anything from elsewhere', (t) => {
  const index = Buffer.from(pageAsset('index.html')?.body ?? []).toString();
  for (const html of [index, folderPage({ path: '', entries: [{ name: 'x', type: 'file' }] })]) {
    for (const tag of tagsOf(html)) {
      t.notMatch(tag, /\son\w+=|\sstyle=|<style/i);
      if (tag.startsWith('<script')) t.match(tag, 'src="/page/app.js"');
      const [, url = '/'] = /(?:src|href)="([^"]*)"/.exec(tag) ?? [];
      t.match(url, /^(?:\.|\/(?!\/))/);
    }
  }
  t.end();
});

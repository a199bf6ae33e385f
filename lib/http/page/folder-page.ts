/** A folder as a plain list, for people without scripts; with them the page takes it over. */
import prettyBytes from 'pretty-bytes';
import { printable } from '../../support/printable.js';
import type { FolderEntry, FolderList } from './contract.js';
import { escaped, page } from './html.js';

/** @returns an HTML document; send it with `PAGE_POLICY` */
export function folderPage({ path, entries, next }: FolderList): string {
  const more =
    typeof next === 'string'
      ? `\n<p><a href="?after=${escaped(encoded(next))}" rel="next">More</a></p>`
      : '';
  const list = entries.map(item).join('\n');
  const content = `<main class="plain">
<h1>${crumbs(path)}</h1>
${list === '' ? '<p>Nothing is here.</p>' : `<ul>\n${list}\n</ul>`}${more}
</main>`;
  return page(printable(`/${path}`), content);
}

function item({ name, type, size, modified }: FolderEntry): string {
  const end = type === 'folder' ? '/' : '';
  const about = [
    size === undefined ? '' : prettyBytes(size),
    modified === undefined ? '' : dayOf(modified),
  ].filter((text) => text !== '');
  // Relative to this page. With "./" no name is taken for a scheme.
  const link = `<a href="./${escaped(encoded(name))}${end}">${shown(name)}${end}</a>`;
  return `<li>${link} <small>${about.join(', ')}</small></li>`;
}

/** The way to a folder: each above it is a link. */
function crumbs(path: string): string {
  const names = path === '' ? [] : path.split('/');
  const here = names.length;
  return ['files', ...names]
    .map((name, i) =>
      i === here ? shown(name) : `<a href="${'../'.repeat(here - i)}">${shown(name)}</a>`,
    )
    .join(' / ');
}

/** No name turns the direction of what stands beside it. */
function shown(name: string): string {
  return `<bdi>${escaped(printable(name))}</bdi>`;
}

/** Halves of a surrogate pair, which have no encoding, are replaced. */
function encoded(text: string): string {
  return encodeURIComponent(Buffer.from(text).toString());
}

function dayOf(seconds: number): string {
  const date = new Date(seconds * 1000);
  return Number.isNaN(date.getTime()) ? '' : date.toISOString().slice(0, 10);
}

/** The page's own files, as `.bundle.js` has made them: each is read once, when it is first asked for. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { page } from './html.js';

export interface PageAsset {
  readonly body: Uint8Array;
  /** For Content-Type. */
  readonly type: string;
  /** A strong entity tag with its quotes (RFC 9110, section 8.8.3). */
  readonly etag: string;
}

const TYPES = new Map([
  ['app.js', 'text/javascript; charset=utf-8'],
  ['app.css', 'text/css; charset=utf-8'],
  ['icon.svg', 'image/svg+xml'],
]);
/** What is shown at `/`. */
export const INDEX = 'index.html';

const loaded = new Map<string, PageAsset>();

/** @param name as behind `/page/`; `index.html` is what `/` shows @returns undefined: there is none of this name */
export function pageAsset(name: string): PageAsset | undefined {
  const known = loaded.get(name);
  if (known !== undefined) return known;
  const type = name === INDEX ? 'text/html; charset=utf-8' : TYPES.get(name);
  if (type === undefined) return undefined;
  const body = name === INDEX ? Buffer.from(indexPage()) : readAsset(name);
  const etag = `"${createHash('sha256').update(body).digest('base64url').slice(0, 22)}"`;
  const asset = { body, type, etag };
  loaded.set(name, asset);
  return asset;
}

function readAsset(name: string): Uint8Array {
  return readFileSync(new URL(`./assets/${name}`, import.meta.url));
}

/** Without scripts the plain list of the share takes its place. */
function indexPage(): string {
  const instead = '<noscript><meta http-equiv="refresh" content="0; url=/files/"></noscript>\n';
  return page('p2p-serve', '<noscript><a href="/files/">Files</a></noscript>', instead);
}

/** What is shared, by path (`/files/`) and by content (`/hash/`). */
import { PeerError } from '../errors.js';
import type { Uploads } from '../serve/uploads.js';
import type { SharedFile } from '../share/catalog.js';
import type { FolderPage } from '../share/folder-page.js';
import type { Share } from '../share/share.js';
import { isHex32 } from '../wire/limits.js';
import { folderPage } from './page/folder-page.js';
import { PAGE_POLICY } from './page/html.js';
import { JSON_TYPE, reply } from './reply.js';
import { encodedPath, numberOf, type HttpRequest } from './request.js';
import { MAX_ARCHIVED, sendArchive, type ArchiveKind } from './send-archive.js';
import { sendFile } from './send-file.js';

export interface FilesOptions {
  readonly share: Share;
  readonly uploads: Uploads;
}

/** Entries of one page of a folder. */
const PAGE_ENTRIES = 1000;
/** Seconds for which content that a hash names may be kept: it cannot change. */
const YEAR = 31_536_000;

/** `/files/<path>`: a file, or a folder when there is a `/` at its end. */
export async function answerFiles(request: HttpRequest, options: FilesOptions): Promise<void> {
  const { path, response } = request;
  if (path === undefined) {
    redirect(request, '');
    return;
  }
  if (path === '' || path.endsWith('/')) {
    await answerFolder(request, path.slice(0, -1), options);
    return;
  }
  const { share, uploads } = options;
  const file = spellings(path)
    .map((one) => share.content.catalog.get(one))
    .find((one) => one !== undefined);
  if (file !== undefined) {
    const name = nameOf(file);
    await sendFile(request, file, uploads, {
      name,
      headers: {
        'Cache-Control': 'no-cache',
        Link: `</hash/${file.hash}/${encodeURIComponent(name)}>; rel=duplicate`,
      },
    });
    return;
  }
  const folder = await listOf(share, path, { max: 1, client: request.connection.closed });
  if (folder === undefined) throw missing(share, 'no file or folder with this name');
  response.setHeader('Vary', 'Accept');
  redirect(request, folder.path);
}

/** `/hash/<hash>`, perhaps with a name behind it, as which it is offered then. */
export async function answerHash(request: HttpRequest, options: FilesOptions): Promise<void> {
  const { path = '' } = request;
  const { share, uploads } = options;
  const hash = path.slice(0, 64).toLowerCase();
  const name = path.slice(65);
  if (!isHex32(hash) || name.includes('/') || !['', '/'].includes(path.charAt(64))) {
    throw new PeerError('ERR_NOT_FOUND', 'a hash is 64 hexadecimal digits');
  }
  const [file] = share.content.catalog.withHash(hash);
  if (file === undefined) throw missing(share, 'no file with this hash');
  await sendFile(request, file, uploads, {
    name: name === '' ? nameOf(file) : name,
    headers: {
      'Cache-Control': `public, max-age=${YEAR}, immutable`,
      Link: `</files/${encodedPath(file.path)}>; rel=duplicate`,
    },
  });
}

async function answerFolder(
  request: HttpRequest,
  path: string,
  options: FilesOptions,
): Promise<void> {
  const { share } = options;
  const { query, response, message, connection } = request;
  for (const kind of ['zip', 'tar'] as const) {
    if (!query.has(kind)) continue;
    await answerArchive(request, path, kind, options);
    return;
  }
  const max = numberOf(query, 'max', { least: 1, most: PAGE_ENTRIES, otherwise: PAGE_ENTRIES });
  const after = query.get('after') ?? undefined;
  const found =
    (await listOf(share, path, { max, after, client: connection.closed })) ??
    (path === '' ? { path, entries: [], next: undefined } : undefined);
  if (found === undefined) throw missing(share, 'no folder with this name');
  const headers = { Vary: 'Accept' };
  if (wantsJson(message.headers.accept)) {
    const { entries, next = null } = found;
    const json = JSON.stringify({ path: found.path, entries, next });
    reply(response, json, { type: JSON_TYPE, headers });
    return;
  }
  const policy = { 'Content-Security-Policy': PAGE_POLICY };
  const type = 'text/html; charset=utf-8';
  reply(response, folderPage(found), { type, headers: { ...headers, ...policy } });
}

/** All of a folder as one file. */
async function answerArchive(
  request: HttpRequest,
  path: string,
  kind: ArchiveKind,
  { share, uploads }: FilesOptions,
): Promise<void> {
  const client = request.connection.closed;
  for (const folder of spellings(path)) {
    const files = await share.below(folder, MAX_ARCHIVED, client);
    if (files === undefined) {
      throw new PeerError('ERR_TOO_LARGE', `more than ${MAX_ARCHIVED} files: take a folder of it`);
    }
    if (files.length === 0 && path !== '') continue;
    const name = folder.slice(folder.lastIndexOf('/') + 1) || 'files';
    const base = folder === '' ? '' : `${folder}/`;
    await sendArchive(request, uploads, { kind, files, name, base });
    return;
  }
  throw missing(share, 'no folder with this name');
}

async function listOf(
  share: Share,
  path: string,
  options: Parameters<Share['list']>[1],
): Promise<(FolderPage & { path: string }) | undefined> {
  for (const one of spellings(path)) {
    const page = await share.list(one, options);
    if (page !== undefined) return { path: one, ...page };
  }
  return undefined;
}

/** Some systems write accents as characters of their own, others do not. */
function spellings(path: string): string[] {
  return [...new Set([path, path.normalize('NFC'), path.normalize('NFD')])];
}

function redirect({ response }: HttpRequest, folder: string): void {
  const to = folder === '' ? '/files/' : `/files/${encodedPath(folder)}/`;
  reply(response, `${to}\n`, { status: 301, headers: { Location: to } });
}

/** Whether JSON is wanted rather than a page. */
function wantsJson(accept: string | undefined): boolean {
  return accept !== undefined && /\bapplication\/json\b/.test(accept) && !accept.includes('html');
}

function nameOf({ path }: SharedFile): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

function missing({ state }: Share, why: string): PeerError {
  return state === 'hashing'
    ? new PeerError('ERR_HASHING', `${why} yet: still hashing`)
    : new PeerError('ERR_NOT_FOUND', why);
}

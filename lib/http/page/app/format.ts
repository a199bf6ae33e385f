/** How things are written for people, and into a command line. */
import prettyBytes from 'pretty-bytes';
import { printable } from '../../../support/printable.js';

export { prettyBytes, printable };

export type Kind =
  'folder' | 'image' | 'video' | 'audio' | 'text' | 'pdf' | 'document' | 'archive' | 'other';

const ENDS: Partial<Record<Kind, string>> = {
  image: 'jpg jpeg jfif png apng gif webp avif svg bmp ico',
  video: 'mp4 m4v webm mov ogv mkv',
  audio: 'mp3 m4a aac ogg oga opus flac wav weba',
  text:
    'txt md markdown log json jsonl ndjson csv tsv xml yml yaml toml ini conf cfg env nfo srt vtt diff patch tex ' +
    'bib js mjs cjs ts tsx jsx css html htm py rb pl c h cpp hpp cc rs go java kt swift sh bash sql lua r',
  pdf: 'pdf',
  document: 'epub mobi djvu doc docx odt ods odp xls xlsx ppt pptx rtf ps',
  archive: 'zip tar gz tgz xz zst bz2 7z rar iso img dmg deb rpm jar whl',
};
const KINDS = new Map(
  Object.entries(ENDS).flatMap(([kind, ends]) => ends.split(' ').map((end) => [end, kind as Kind])),
);

/** What the end of a name promises. */
export function kindOf(name: string): Kind {
  return KINDS.get(name.slice(name.lastIndexOf('.') + 1).toLowerCase()) ?? 'other';
}

export const count = (n: number, one: string, many = `${one}s`): string =>
  `${n.toLocaleString('en')} ${n === 1 ? one : many}`;

export const rate = (bytesPerSecond: number): string => `${prettyBytes(bytesPerSecond)}/s`;

const DAY = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium' });
const MOMENT = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'short' });

/** @param seconds since 1970 */
export const day = (seconds: number): string => dated(DAY, seconds);
export const moment = (seconds: number): string => dated(MOMENT, seconds);

function dated(format: Intl.DateTimeFormat, seconds: number): string {
  const date = new Date(seconds * 1000);
  return Number.isNaN(date.getTime()) ? '' : format.format(date);
}

/** The path of a URL. Halves of a surrogate pair have no encoding. */
export const encodePath = (path: string): string =>
  path
    .split('/')
    .map((name) => encodeURIComponent(name.toWellFormed()))
    .join('/');

/** A browser takes these for steps through folders, however they are encoded. */
const STEPS = new Set(['', '.', '..']);

export const contentUrl = (hash: string, name: string): string =>
  STEPS.has(name) ? `/hash/${hash}` : `/hash/${hash}/${encodeURIComponent(name.toWellFormed())}`;

/**
 * A line for a shell. The name comes from a stranger: what any shell could take for more than a letter is replaced.
 *
 * @param more whether other peers have it, too
 */
export function fetchLine(peer: string, hash: string, name: string, more: boolean): string {
  const safe = name.replace(/[^\p{L}\p{N} ._+@=,()[\]-]/gu, '_').replace(/^[-. ]/, '_');
  const out = /^[\w.+@=,-]+$/.test(safe) ? safe : `'${safe}'`;
  const from = /^[\w.:[\]%-]+$/.test(peer) ? peer : 'PEER';
  return `p2p-fetch ${from} ${hash}${more ? ' --find' : ''} -o ${out}`;
}

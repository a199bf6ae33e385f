/** What a browser is told of a file: its type, and what it may do with it. */
import { create } from 'content-disposition';
import { lookup } from 'mrmime';

/** Of every answer. What is sent is of the type that is said, and of no use to pages of other sites. */
export const SAFE_HEADERS = {
  'X-Content-Type-Options': 'nosniff',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Referrer-Policy': 'no-referrer',
} as const;

/** Of what a browser shows without running anything in it. The viewers of some of it do not work in a sandbox. */
const PASSIVE =
  /^(?:image\/(?!svg)|video\/|audio\/|font\/|text\/plain|application\/(?:pdf|octet-stream|json|zip|gzip)(?:;|$))/;
/** Of all other, documents above all: no script, no form, no plugin, and an origin that is nobody's. */
const SANDBOX = "sandbox; default-src 'none'; img-src data:; style-src 'unsafe-inline'";
/** What a page runs or applies by its type: as text it does neither. */
const CODE = /(?:javascript|ecmascript|\/css$|wasm)/;

/** Headers that say what a file is. @param name of it */
export function contentHeaders(name: string, isAttachment: boolean): Record<string, string> {
  const type = contentType(name);
  const disposition = create(name, { type: isAttachment ? 'attachment' : 'inline' });
  return {
    'Content-Type': type,
    'Content-Disposition': disposition,
    ...(PASSIVE.test(type) ? {} : { 'Content-Security-Policy': SANDBOX }),
  };
}

function contentType(name: string): string {
  const type = lookup(name) ?? 'application/octet-stream';
  if (CODE.test(type)) return 'text/plain; charset=utf-8';
  return type.startsWith('text/') ? `${type}; charset=utf-8` : type;
}

/** Short answers: all of their body is there. */
import { STATUS_CODES, type OutgoingHttpHeaders, type ServerResponse } from 'node:http';
import { PeerError, type ErrorCode } from '../errors.js';
import { SAFE_HEADERS } from './content.js';

/** Status codes of errors; others are the server's own fault. */
const STATUS: Partial<Record<ErrorCode, number>> = {
  ERR_MALFORMED: 400,
  ERR_USAGE: 400,
  ERR_FORBIDDEN: 403,
  ERR_NOT_FOUND: 404,
  ERR_TOO_LARGE: 403,
  ERR_BUSY: 503,
  ERR_CHANGED: 503,
  ERR_HASHING: 503,
  ERR_CLOSED: 503,
  ERR_ABORTED: 503,
  ERR_TIMED_OUT: 504,
};
/** Seconds after which it is worth while to ask again. */
const RETRY_AFTER = '5';

export const PLAIN = 'text/plain; charset=utf-8';
export const JSON_TYPE = 'application/json; charset=utf-8';

export interface Reply {
  readonly status?: number;
  readonly type?: string;
  readonly headers?: OutgoingHttpHeaders;
}

/** Answer with a text, or bytes; to HEAD without them. */
export function reply(
  response: ServerResponse,
  body: string | Uint8Array,
  { status = 200, type = PLAIN, headers = {} }: Reply = {},
): void {
  response.writeHead(status, {
    ...SAFE_HEADERS,
    'Content-Type': type,
    'Content-Length': Buffer.byteLength(body),
    'Cache-Control': 'no-cache',
    ...headers,
  });
  response.end(body);
}

/** Say with a status code what is wrong. */
export function replyStatus(
  response: ServerResponse,
  status: number,
  message = STATUS_CODES[status] ?? '',
  headers: OutgoingHttpHeaders = {},
): void {
  const type = { 'Cache-Control': 'no-store', ...headers };
  reply(response, `${message}\n`, { status, headers: type });
}

/** Say what was thrown, as far as it is for others. @returns whether it is this side's own fault */
export function replyError(response: ServerResponse, thrown: unknown): boolean {
  const status = thrown instanceof PeerError ? STATUS[thrown.code] : undefined;
  const headers = status === 503 ? { 'Retry-After': RETRY_AFTER } : {};
  replyStatus(
    response,
    status ?? 500,
    status === undefined ? undefined : messageOf(thrown),
    headers,
  );
  return status === undefined;
}

function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : '';
}

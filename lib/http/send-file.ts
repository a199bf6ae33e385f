/** Answers with a file, or with parts of it. */
import { randomBytes } from 'node:crypto';
import type { OutgoingHttpHeaders } from 'node:http';
import type { Uploads } from '../serve/uploads.js';
import type { SharedFile } from '../share/catalog.js';
import { conditionStatus, rangeCounts, type Validators } from './conditions.js';
import { SAFE_HEADERS, contentHeaders } from './content.js';
import { wantedRanges, type ByteRange } from './ranges.js';
import { replyStatus } from './reply.js';
import type { HttpRequest } from './request.js';

export interface FileReply {
  /** As which it is offered. */
  readonly name: string;
  readonly headers: OutgoingHttpHeaders;
}

/** Bytes of the file, with what stands before each in the answer. */
interface Part extends ByteRange {
  readonly before: Uint8Array;
}

interface Body {
  readonly status: 200 | 206;
  readonly headers: OutgoingHttpHeaders;
  readonly parts: readonly Part[];
  readonly after: Uint8Array;
}

const NOTHING = new Uint8Array(0);

/** @throws PeerError as `Uploads.answer`, before anything has been sent */
export async function sendFile(
  { message, response, connection, query }: HttpRequest,
  file: SharedFile,
  uploads: Uploads,
  { name, headers }: FileReply,
): Promise<void> {
  const { size } = file.identity;
  const validators = validatorsOf(file);
  const common = {
    ...SAFE_HEADERS,
    ...headers,
    ETag: validators.etag,
    'Accept-Ranges': 'bytes',
    ...lastModified(validators),
  };
  const status = conditionStatus(message.headers, validators);
  if (status === 304) {
    response.writeHead(304, common);
    response.end();
    return;
  }
  if (status === 412) {
    replyStatus(response, 412);
    return;
  }
  const isHead = message.method === 'HEAD';
  const mayRange = !isHead && rangeCounts(message.headers, validators);
  const ranges = wantedRanges(size, mayRange ? message.headers.range : undefined);
  if (ranges.length === 0) {
    replyStatus(response, 416, undefined, { 'Content-Range': `bytes */${size}` });
    return;
  }
  const content = contentHeaders(name, query.has('download'));
  const body = bodyOf(size, ranges, content['Content-Type'] ?? '');
  const { parts, after } = body;
  const length = parts.reduce(
    (sum, { before, start, end }) => sum + before.length + end - start,
    0,
  );
  const bytes = length + after.length;
  const writeHead = (): void => {
    const own = { ...content, ...body.headers, 'Content-Length': bytes };
    response.writeHead(body.status, { ...common, ...own });
  };
  if (isHead || bytes === 0) {
    writeHead();
    response.end();
    return;
  }
  await uploads.raw(connection, async (transfer) => {
    const wanted = { hash: file.hash, size };
    const small = await transfer.small(wanted);
    if (small !== undefined) {
      try {
        await transfer.pay(bytes);
        writeHead();
        const pieces = parts.flatMap(({ before, start, end }) => [
          before,
          small.bytes.subarray(start, end),
        ]);
        response.end(pieces.length === 2 ? pieces[1] : Buffer.concat([...pieces, after]));
        await connection.answered(response);
      } finally {
        small.give();
      }
      return;
    }
    await transfer.send(wanted, async (send) => {
      writeHead();
      response.flushHeaders();
      for (const { before, start, end } of parts) {
        await transfer.write(before);
        await send(start, end - start);
      }
      await transfer.write(after);
      response.end();
    });
  });
}

function bodyOf(size: number, ranges: readonly ByteRange[] | 'all', type: string): Body {
  if (ranges === 'all') {
    const parts = [{ start: 0, end: size, before: NOTHING }];
    return { status: 200, headers: {}, parts, after: NOTHING };
  }
  const place = ({ start, end }: ByteRange): string => `bytes ${start}-${end - 1}/${size}`;
  const [first] = ranges;
  if (ranges.length === 1 && first !== undefined) {
    const headers = { 'Content-Range': place(first) };
    return { status: 206, headers, parts: [{ ...first, before: NOTHING }], after: NOTHING };
  }
  const boundary = randomBytes(16).toString('hex');
  const parts = ranges.map((range, i) => ({
    ...range,
    before: Buffer.from(
      `${i === 0 ? '' : '\r\n'}--${boundary}\r\nContent-Type: ${type}\r\nContent-Range: ${place(range)}\r\n\r\n`,
    ),
  }));
  return {
    status: 206,
    headers: { 'Content-Type': `multipart/byteranges; boundary=${boundary}` },
    parts,
    after: Buffer.from(`\r\n--${boundary}--\r\n`),
  };
}

function validatorsOf({ hash, identity }: SharedFile): Validators {
  const seconds = Math.floor(Number(identity.mtimeNs) / 1e9);
  // A time yet to come is no time of a change that was (RFC 9110, section 8.8.2.1).
  const isPast = seconds >= 0 && seconds <= Date.now() / 1000;
  return { etag: `"${hash}"`, modified: isPast ? seconds : undefined };
}

function lastModified({ modified }: Validators): OutgoingHttpHeaders {
  return modified === undefined ? {} : { 'Last-Modified': new Date(modified * 1000).toUTCString() };
}

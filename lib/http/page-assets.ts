/** Answers with the web page's own files. */
import { PeerError } from '../errors.js';
import { conditionStatus } from './conditions.js';
import { SAFE_HEADERS } from './content.js';
import { pageAsset } from './page/assets.js';
import { PAGE_POLICY } from './page/html.js';
import { reply } from './reply.js';
import type { HttpRequest } from './request.js';

export { INDEX } from './page/assets.js';

/** @throws PeerError ERR_NOT_FOUND */
export function answerAsset({ message, response }: HttpRequest, name: string): void {
  const asset = pageAsset(name);
  if (asset === undefined) throw new PeerError('ERR_NOT_FOUND', 'nothing is here');
  const headers = {
    ETag: asset.etag,
    'Content-Security-Policy': PAGE_POLICY,
    'Cross-Origin-Opener-Policy': 'same-origin',
  };
  if (conditionStatus(message.headers, { etag: asset.etag, modified: undefined }) === 304) {
    response.writeHead(304, { ...SAFE_HEADERS, ...headers });
    response.end();
    return;
  }
  reply(response, asset.body, { type: asset.type, headers });
}

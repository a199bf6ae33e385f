/** Where people find a node's page, said on the terminal. */
import { formatAddress, type PeerAddress } from '../../lib/net/address.js';
import { interfaceAddresses, scopeOf } from '../../lib/net/scope.js';
import { loadQrCode } from '../common/qr-code.js';

const WILDCARDS = new Set(['::', '0.0.0.0']);

/**
 * Addresses of the page: as seen from this machine, then as seen from others.
 *
 * @param isPrivate the node answers HTTP on loopback only
 */
export function pageAddresses({ host, port }: PeerAddress, isPrivate: boolean): string[] {
  const url = (name: string): string => `http://${formatAddress({ host: name, port })}/`;
  if (!WILDCARDS.has(host)) return [url(host)];
  // The same wire first: that is where a phone is.
  const others = interfaceAddresses().filter((address) => {
    const scope = scopeOf(address);
    return scope === 'private' || scope === 'public';
  });
  others.sort((a, b) => rank(a) - rank(b));
  return [url('localhost'), ...(isPrivate ? [] : others.slice(0, 1).map(url))];
}

function rank(address: string): number {
  return (scopeOf(address) === 'private' ? 0 : 2) + (address.includes(':') ? 1 : 0);
}

/** Say them on stderr. @param asQr the last one as a QR code, too, for a phone */
export async function sayPageAddress(addresses: readonly string[], asQr: boolean): Promise<void> {
  const lines = [`page: ${addresses.join(' or ')}`];
  if (asQr) lines.push((await loadQrCode(process.stderr))(addresses.at(-1) ?? ''));
  process.stderr.write(`${lines.join('\n')}\n`);
}

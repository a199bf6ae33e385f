/** Accept connections. */
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { PeerError, systemCode } from '../errors.js';
import { formatAddress, type PeerAddress } from './address.js';

/**
 * Listen, and hand every socket over.
 *
 * @param address port 0 picks a free one
 * @throws PeerError ERR_USAGE when it cannot be listened on
 */
export async function listen(
  address: PeerAddress,
  onSocket: (socket: Socket) => void,
): Promise<{ server: Server; address: PeerAddress }> {
  // Half open: who sends a request and ends (a pipe into netcat) still gets the answer.
  const server = createServer({ allowHalfOpen: true }, onSocket);
  try {
    await listening(server, address);
  } catch (error) {
    // A machine without IPv6 has no "::": what is meant is every address there is.
    if (address.host !== '::' || !isNoIpv6(error)) throw refused(address, error);
    await listening(server, { ...address, host: '0.0.0.0' }).catch((second: unknown) => {
      throw refused(address, second);
    });
  }
  const bound = server.address() as AddressInfo;
  return { server, address: { host: bound.address, port: bound.port } };
}

function listening(server: Server, { host, port }: PeerAddress): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host, port }, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

function isNoIpv6(error: unknown): boolean {
  const code = systemCode(error);
  return code === 'EAFNOSUPPORT' || code === 'EADDRNOTAVAIL';
}

const REASONS = new Map([
  ['EADDRINUSE', 'the port is in use'],
  ['EACCES', 'not allowed to use this port'],
  ['EADDRNOTAVAIL', 'this machine does not have that address'],
  ['ENOTFOUND', 'no such host'],
]);

function refused(address: PeerAddress, error: unknown): PeerError {
  const code = systemCode(error) ?? 'unknown';
  const why = REASONS.get(code) ?? code;
  return new PeerError('ERR_USAGE', `cannot listen on ${formatAddress(address)}: ${why}`, {
    cause: error,
  });
}

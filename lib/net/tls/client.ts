/** The connecting side of TLS. */
import type { KeyObject } from 'node:crypto';
import type { OnReadOpts } from 'node:net';
import {
  connect,
  createSecureContext,
  type ConnectionOptions,
  type SecureContext,
  type TLSSocket,
} from 'node:tls';
import { PeerError, asError, systemCode } from '../../errors.js';
import type { PeerId } from '../../wire/messages.js';
import type { Connecting, SecureConnect } from '../connecting.js';
import { provenId } from './proven-id.js';
import { processKey, tlsSettings } from './settings.js';

/**
 * Makes a function that connects and, as soon as there is a connection, begins the handshake.
 *
 * @param privateKey the Ed25519 key by which to prove this side's id @default one of this process
 */
export function secureConnect(privateKey: KeyObject = processKey()): SecureConnect {
  const settings = tlsSettings(privateKey);
  return ({ host, port, onread }, expected) => {
    // Its type does not say that it takes these, too.
    const options: ConnectionOptions & { onread: OnReadOpts; allowHalfOpen: boolean } = {
      ...settings,
      ...{ host, port, onread, secureContext: contextOf(privateKey) },
      allowHalfOpen: true,
    };
    const socket = connect(options);
    const whenUsable: Connecting['whenUsable'] = (onUsable, onError) => {
      onceSecure(socket, expected, onUsable, onError);
    };
    return { socket, whenUsable };
  };
}

const contexts = new WeakMap<KeyObject, SecureContext>();

function contextOf(privateKey: KeyObject): SecureContext {
  let context = contexts.get(privateKey);
  if (context === undefined) {
    contexts.set(privateKey, (context = createSecureContext(tlsSettings(privateKey))));
  }
  return context;
}

function onceSecure(
  socket: TLSSocket,
  { name, key }: { name: string; key: PeerId | undefined },
  onSecure: (id: PeerId) => void,
  onError: (error: PeerError) => void,
): void {
  const onFault = (error: Error): void => {
    onError(handshakeError(error, name));
  };
  socket.once('error', onFault).once('secureConnect', () => {
    socket.off('error', onFault);
    let id: PeerId;
    try {
      id = provenId(socket, name);
      if (key !== undefined && id !== key) {
        throw new PeerError('ERR_WRONG_PEER', `${name} is another peer: ${id}, not ${key}`);
      }
    } catch (error) {
      socket.destroy();
      onError(error as PeerError);
      return;
    }
    onSecure(id);
  });
}

/** The alert by which a peer says that it has no room (RFC 8446, section 6.2), as OpenSSL calls it. */
const NO_ROOM = 'ERR_SSL_TLSV1_ALERT_INTERNAL_ERROR';

/** What OpenSSL says where the first bytes are no record of TLS. */
const NO_RECORD = 'ERR_SSL_WRONG_VERSION_NUMBER';

function handshakeError(cause: Error, name: string): PeerError {
  const code = systemCode(cause) ?? '';
  if (code === NO_ROOM) return new PeerError('ERR_BUSY', `${name} has no room`, { cause });
  if (code.includes('_ALERT_')) {
    return new PeerError('ERR_NOT_A_PEER', `${name} refuses TLS 1.3 (${code})`, { cause });
  }
  if (code.startsWith('ERR_SSL_') && code !== NO_RECORD) {
    // No advice to do without TLS: somebody may be in the middle.
    return new PeerError('ERR_NOT_A_PEER', `${name} fails in the TLS handshake (${code})`, {
      cause,
    });
  }
  // It may be one that has just been stopped.
  const lost = new PeerError('ERR_CLOSED', asError(cause).message, { cause });
  return new PeerError(
    'ERR_NOT_A_PEER',
    `${name} does not answer with TLS; if it speaks in the clear alone, and you trust the network: --plain`,
    { cause: code === NO_RECORD ? cause : lost },
  );
}

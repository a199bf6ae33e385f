/**
 * The peer's identity: an Ed25519 key pair (RFC 8032), made at the first start and kept in the state
 * folder. The peer's id is the public key, 32 bytes.
 */
import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
} from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { replaceFile } from '../disk/durable.js';
import { PeerError, systemCode } from '../errors.js';
import type { PeerId } from '../wire/messages.js';

export interface Identity {
  readonly id: PeerId;
  readonly privateKey: KeyObject;
}

export const KEY_FILE = 'key.pem';

/** A key that is not kept. */
export function newIdentity(): Identity {
  return identityFrom(generateKeyPairSync('ed25519').privateKey);
}

/**
 * The key kept in a state folder, which is locked; a new one if there is none yet. Only the file's owner
 * can read it.
 *
 * @throws PeerError ERR_USAGE when the file is not a key; the system's error
 */
export async function loadIdentity(folder: string): Promise<Identity> {
  const file = join(folder, KEY_FILE);
  const known = await readIdentity(file);
  if (known !== undefined) return known;
  const made = newIdentity();
  const bytes = made.privateKey.export({ type: 'pkcs8', format: 'pem' });
  await replaceFile(file, Buffer.from(bytes), 0o600);
  return made;
}

/**
 * The key in a file; undefined when there is no such file.
 *
 * @throws PeerError ERR_USAGE when it is not a key; the system's error
 */
export async function readIdentity(file: string): Promise<Identity | undefined> {
  const pem = await readFile(file).catch((error: unknown) => {
    if (systemCode(error) === 'ENOENT') return undefined;
    throw error;
  });
  return pem === undefined ? undefined : identityFrom(readKey(file, pem));
}

function readKey(file: string, pem: Buffer): KeyObject {
  try {
    const key = createPrivateKey(pem);
    if (key.asymmetricKeyType === 'ed25519') return key;
  } catch {
    // Falls through to the one message.
  }
  throw new PeerError('ERR_USAGE', `${file}: not an Ed25519 key; move it away to get a new one`);
}

function identityFrom(privateKey: KeyObject): Identity {
  const { x } = createPublicKey(privateKey).export({ format: 'jwk' });
  if (x === undefined) throw new TypeError('an Ed25519 key has x');
  return { id: Buffer.from(x, 'base64url').toString('hex'), privateKey };
}

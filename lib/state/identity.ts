/**
 * Who this peer is: an Ed25519 key pair (RFC 8032), made at the first start and kept in the state
 * folder. The peer's id is the public key, 32 bytes.
 */
import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
} from 'node:crypto';
import { mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { PeerError, systemCode } from '../errors.js';
import type { PeerId } from '../wire/messages.js';

export interface Identity {
  readonly id: PeerId;
  readonly privateKey: KeyObject;
}

const KEY_FILE = 'key.pem';

/** A key that is kept nowhere. */
export function newIdentity(): Identity {
  return identityFrom(generateKeyPairSync('ed25519').privateKey);
}

/**
 * The key kept in the folder; a new one if there is none yet. The file is readable to its owner only.
 *
 * @throws PeerError ERR_USAGE when the folder cannot be used or the file is not a key
 */
export async function loadIdentity(folder: string): Promise<Identity> {
  const file = join(folder, KEY_FILE);
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const pem = await readFile(file).catch((error: unknown) => {
      if (systemCode(error) === 'ENOENT') return undefined;
      throw error;
    });
    if (pem !== undefined) return identityFrom(readKey(file, pem));
    const made = newIdentity();
    await writeKey(file, made.privateKey);
    return made;
  } catch (error) {
    if (error instanceof PeerError) throw error;
    const why = systemCode(error) ?? String(error);
    throw new PeerError('ERR_USAGE', `cannot keep state in ${folder}: ${why}`, { cause: error });
  }
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

/** Whole or not at all, whenever the plug is pulled. */
async function writeKey(file: string, key: KeyObject): Promise<void> {
  const part = `${file}.${process.pid}.part`;
  try {
    const handle = await open(part, 'wx', 0o600);
    try {
      await handle.writeFile(key.export({ type: 'pkcs8', format: 'pem' }));
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(part, file);
  } catch (error) {
    await rm(part, { force: true });
    throw error;
  }
}

function identityFrom(privateKey: KeyObject): Identity {
  const { x } = createPublicKey(privateKey).export({ format: 'jwk' });
  if (x === undefined) throw new TypeError('an Ed25519 key has x');
  return { id: Buffer.from(x, 'base64url').toString('hex'), privateKey };
}

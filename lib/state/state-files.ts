/** What a state folder holds, and how one is recognised: nothing of it is ever shared. */
import { lstatSync, readdirSync, realpathSync, type Stats } from 'node:fs';
import { join } from 'node:path';

/** A file or folder, whatever it is called (stat(2)). */
export interface FileKey {
  readonly dev: bigint;
  readonly ino: bigint;
}

/** How the names of a node's own files in its state folder begin. */
const OWN = /^(key\.pem|index|lock)/;
/** Bytes of an Ed25519 key as it is kept: PKCS #8 (RFC 8410) in PEM. */
const KEY_BYTES = 119;

/**
 * A state folder, what a node keeps in it, and what is in its index.
 *
 * @throws the system's error
 */
export function stateFiles(folder: string): FileKey[] {
  const keys: FileKey[] = [];
  const add = (path: string, isOwn: (name: string) => boolean): void => {
    const there = lstatSync(path, { bigint: true, throwIfNoEntry: false });
    if (there === undefined) return;
    keys.push({ dev: there.dev, ino: there.ino });
    if (!there.isDirectory()) return;
    for (const name of readdirSync(path)) if (isOwn(name)) add(join(path, name), () => true);
  };
  add(realpathSync(folder), (name) => OWN.test(name));
  return keys;
}

/**
 * Whether a folder is the state folder of a node, this one or another: it has an index and a peer's key, or
 * the empty lock that is there before the key.
 */
export function isStateFolder(folder: string): boolean {
  const stat = (name: string): Stats | undefined => {
    try {
      return lstatSync(join(folder, name), { throwIfNoEntry: false });
    } catch {
      // Nothing that this process may look into.
      return undefined;
    }
  };
  const has = (name: string, bytes: number): boolean => stat(name)?.size === bytes;
  const isMarked = has('key.pem', KEY_BYTES) || has('key.pem.new', KEY_BYTES) || has('lock', 0);
  return isMarked && stat('index')?.isDirectory() === true;
}

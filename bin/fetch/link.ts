/** What p2p-fetch does with a link: peers and hash are those of the link, the file is named after it. */
import { lstatSync } from 'node:fs';
import { leafOf } from '../../lib/disk/safe-name.js';
import { PeerError } from '../../lib/errors.js';
import { formatPeer } from '../../lib/net/address.js';
import { parseLink } from '../../lib/fetch/link.js';
import { printable } from '../../lib/support/printable.js';

interface LinkArgs {
  peer: string;
  output: string | undefined;
  from: string[];
}

/**
 * The arguments that a link stands for.
 *
 * @throws PeerError ERR_USAGE when it is not a link, or its name stands for another file here
 */
export async function ofLink<T extends LinkArgs>(args: T): Promise<T & { hash: string }> {
  const { peers, hash, name } = parseLink(args.peer);
  const [peer = '', ...others] = peers.map(formatPeer);
  const from = [...others, ...args.from];
  if (args.output !== undefined || name === undefined) return { ...args, peer, from, hash };
  // Never -, which is stdout.
  const output = `./${leafOf(name)}`;
  if (lstatSync(output, { throwIfNoEntry: false }) !== undefined) await checkEqual(output, hash);
  return { ...args, peer, from, hash, output };
}

/** A link may not replace a file: its sender chooses the name. */
async function checkEqual(file: string, hash: string): Promise<void> {
  const [{ hashPath }, { HashPool }] = await Promise.all([
    import('../../lib/hash/path.js'),
    import('../../lib/hash/pool.js'),
  ]);
  const pool = new HashPool();
  try {
    if ((await hashPath(pool, file).catch(() => undefined)) === hash) return;
  } finally {
    await pool.close();
  }
  const text = `${printable(file)} is there already, and another file: choose a name with -o`;
  throw new PeerError('ERR_USAGE', text);
}

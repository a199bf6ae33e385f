/** `--lan`: the peers in this machine's own networks, in place of one that is named. */
import type { Argv } from 'yargs';
import { PeerError } from '../../lib/errors.js';
import type { FoundPeer } from '../../lib/discovery/lan/found.js';

export interface LanArgs {
  lan: boolean;
}

const words = process.argv.slice(2);
const end = words.indexOf('--');

/** Whether it is given: then there is no `<peer>` among the arguments. */
export const isLan = (end === -1 ? words : words.slice(0, end)).includes('--lan');
/** Whether `<peer>` is demanded; where it is not it is not asked for either. */
export const needsPeer = !isLan as true;

export function addLanOption<T>(argv: Argv<T>, describe: string): Argv<T & LanArgs> {
  return argv.option('lan', { type: 'boolean', default: false, describe });
}

/** The peers, as they are found. @throws PeerError ERR_UNREACHABLE when there are none */
export async function* peersInLan(signal?: AbortSignal): AsyncGenerator<FoundPeer, void, void> {
  // Loaded only where it is used.
  const { findInLan } = await import('../../lib/discovery/lan/browse.js');
  let isAny = false;
  for await (const peer of findInLan({ signal })) {
    isAny = true;
    yield peer;
  }
  if (!isAny && signal?.aborted !== true)
    throw new PeerError('ERR_UNREACHABLE', 'no peer answers in your networks');
}

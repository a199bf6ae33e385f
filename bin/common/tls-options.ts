/** The options by which every command that connects says whether it encrypts. */
import type { Argv } from 'yargs';
import { PeerError } from '../../lib/errors.js';
import type { TlsOptions } from '../../lib/net/dialer.js';

export interface TlsArgs {
  plain: boolean;
  tls: boolean;
}

export function addTlsOptions<T>(argv: Argv<T>): Argv<T & TlsArgs> {
  return argv
    .option('plain', {
      type: 'boolean',
      default: false,
      describe:
        'do not encrypt, where the network is your own: faster, and nothing proves who a peer is',
    })
    .option('tls', {
      type: 'boolean',
      default: false,
      describe: 'encrypt also what goes to this machine',
    });
}

/** @throws PeerError ERR_USAGE */
export function tlsOptions({ plain, tls }: TlsArgs): TlsOptions {
  if (plain && tls) throw new PeerError('ERR_USAGE', '--plain and --tls exclude each other');
  return { tls: plain ? false : tls || undefined };
}

/** The options by which commands that connect say whether they encrypt, and who they are then. */
import type { KeyObject } from 'node:crypto';
import type { Argv } from 'yargs';
import { PeerError } from '../../lib/errors.js';
import type { TlsOptions } from '../../lib/net/dialer.js';

export interface TlsArgs {
  plain: boolean;
  tls: boolean;
}

export interface IdentityArgs extends TlsArgs {
  identity: string | undefined;
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

/** The same for a command that is a client. */
export function addClientOptions<T>(argv: Argv<T>): Argv<T & IdentityArgs> {
  return addTlsOptions(argv).option('identity', {
    type: 'string',
    requiresArg: true,
    describe: "file with the key that proves who you are [default: one in the user's state folder]",
  });
}

/** @throws PeerError ERR_USAGE */
export function tlsOptions({ plain, tls }: TlsArgs): TlsOptions {
  if (plain && tls) throw new PeerError('ERR_USAGE', '--plain and --tls exclude each other');
  return { tls: plain ? false : tls || undefined };
}

/** @throws PeerError ERR_USAGE */
export function clientOptions(args: IdentityArgs): TlsOptions {
  return { ...tlsOptions(args), key: () => userKey(args.identity) };
}

/** @returns undefined where none can be kept: another one each time does for what is open to everybody */
async function userKey(file: string | undefined): Promise<KeyObject | undefined> {
  // Loaded only where it is used.
  const { userIdentity } = await import('../../lib/state/user-identity.js');
  try {
    return (await userIdentity(file)).privateKey;
  } catch (error) {
    if (file !== undefined || error instanceof PeerError) throw error;
    return undefined;
  }
}

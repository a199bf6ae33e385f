#!/usr/bin/env node
/** Print who you are to other peers, or what a share is. */
import { join } from 'node:path';
import { PeerError } from '../lib/errors.js';
import { KEY_FILE, readIdentity } from '../lib/state/identity.js';
import { defaultStateFolder } from '../lib/state/state-folder.js';
import { userIdentity } from '../lib/state/user-identity.js';
import { runCommand } from './common/command.js';

interface Args {
  identity: string | undefined;
  of: string | undefined;
}

await runCommand<Args>({
  name: 'p2p-id',
  usage: '',
  describe:
    'Print the id that your commands prove to peers: 64 hexadecimal digits, for --allow. ' +
    'Its key is made at the first use.',
  build: (argv) =>
    argv
      .option('identity', {
        type: 'string',
        requiresArg: true,
        describe: "file with the key [default: one in the user's state folder]",
      })
      .option('of', {
        type: 'string',
        requiresArg: true,
        describe: 'print the id of the node that shares this folder instead',
      })
      .conflicts('of', 'identity')
      .example('$0', 'who am I?')
      .example('$0 --of ./data', 'who is the node that shares ./data?'),
  run: async ({ identity, of }) => {
    const { id } = of === undefined ? await userIdentity(identity) : await shareIdentity(of);
    process.stdout.write(`${id}\n`);
    return undefined;
  },
});

async function shareIdentity(folder: string): Promise<{ id: string }> {
  const known = await readIdentity(join(await defaultStateFolder(folder), KEY_FILE));
  if (known !== undefined) return known;
  throw new PeerError('ERR_NOT_FOUND', `${folder}: it was not shared yet, or with --state`);
}

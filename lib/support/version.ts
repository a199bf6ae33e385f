/** The program's name and version, as PING's `agent` and `--version` give it. */
import { readFileSync } from 'node:fs';

function readVersion(): string {
  // Three levels up from dist/lib/support, where the package's root is.
  const text = readFileSync(new URL('../../../package.json', import.meta.url), 'utf8');
  const { version } = JSON.parse(text) as { version: string };
  return version;
}

export const VERSION = readVersion();
export const AGENT = `p2p-serve/${VERSION}`;

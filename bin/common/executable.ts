/** Run after the build: makes the commands executable, as npm does when it installs a package. */
import { chmodSync, readdirSync } from 'node:fs';

const folder = new URL('../', import.meta.url);
for (const name of readdirSync(folder)) {
  if (name.endsWith('.js')) chmodSync(new URL(name, folder), 0o755);
}

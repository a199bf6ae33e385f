/**
 * Which `Host` is answered. A page of another site may point its own name at this machine's address (DNS rebinding) and
 * then read what it is sent, as if it came from that site: so only names that are known to be this machine's count.
 */
import { hostname } from 'node:os';
import { literal } from '../net/scope.js';

export class HostCheck {
  readonly #names: ReadonlySet<string>;

  /** @param names that are answered beside address literals, `localhost` and the names of this machine */
  constructor(names: Iterable<string>) {
    const own = hostname();
    const [label = ''] = own.split('.', 1);
    const all = ['localhost', own, label, `${label}.local`, ...names];
    this.#names = new Set(all.filter((name) => name !== '').map(plain));
  }

  /** @param authority `host` or `host:port`, with brackets around IPv6 */
  allows(authority: string): boolean {
    const match = /^(?:\[([^\]]*)\]|([^:]*))(?::\d*)?$/.exec(authority);
    const host = match?.[1] ?? match?.[2];
    if (host === undefined) return false;
    return literal(host) !== undefined || this.#names.has(plain(host));
  }
}

function plain(name: string): string {
  return name.toLowerCase().replace(/\.$/, '');
}

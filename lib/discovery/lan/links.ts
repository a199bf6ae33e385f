/** The links that this machine is on: its interfaces, by family, and which addresses are on each. */
import { BlockList, isIPv4 } from 'node:net';
import { networkInterfaces, type NetworkInterfaceInfo } from 'node:os';
import { literal, scopeOf } from '../../net/scope.js';

export interface LanLink {
  /** The interface's name. */
  readonly name: string;
  readonly family: 4 | 6;
  /** This machine's own address on it, from which it sends; of IPv6 the link-local one. */
  readonly address: string;
  /** All of this machine's addresses of that family on it. */
  readonly addresses: readonly string[];
  /** Whether an address, with its zone if it has one, is on this link. */
  readonly has: (host: string) => boolean;
}

/** Links that are used: a machine with containers has hundreds of interfaces. */
const MAX_LINKS = 16;
/** Addresses of one link that are announced. */
const MAX_ADDRESSES = 8;

/**
 * The links on which a node can be reached that listens at `host`.
 *
 * @param host a literal; `::` is every address, `0.0.0.0` every one of IPv4
 * @param interfaces for tests. @default those of this machine
 */
export function linksFor(
  host: string,
  interfaces: NodeJS.Dict<NetworkInterfaceInfo[]> = networkInterfaces(),
): LanLink[] {
  const links: LanLink[] = [];
  const wanted = literal(host);
  for (const [name, all = []] of Object.entries(interfaces)) {
    const own = all.filter(({ internal }) => !internal);
    for (const family of [4, 6] as const) {
      const addresses = own.filter(({ family: of }) => of === `IPv${family}`);
      const isEvery = wanted === '::' || (wanted === '0.0.0.0' && family === 4);
      const isHere = addresses.some(({ address }) => literal(address) === wanted?.split('%')[0]);
      if (!isEvery && !isHere) continue;
      const from = addresses.find(
        ({ address }) => family === 4 || scopeOf(address) === 'link-local',
      );
      if (from === undefined) continue;
      links.push({
        ...{ name, family, address: from.address, has: isOn(name, addresses) },
        addresses: addresses.map(({ address }) => address).slice(0, MAX_ADDRESSES),
      });
    }
  }
  // Those of IPv4 first: an interface of a container often has IPv6 alone.
  return links.sort((a, b) => a.family - b.family).slice(0, MAX_LINKS);
}

function isOn(name: string, own: readonly NetworkInterfaceInfo[]): (host: string) => boolean {
  const subnets = new BlockList();
  for (const { cidr, family } of own) {
    const [net = '', bits = ''] = cidr?.split('/') ?? [];
    if (bits !== '') subnets.addSubnet(net, Number(bits), family === 'IPv4' ? 'ipv4' : 'ipv6');
  }
  return (host) => {
    const [address = '', zone] = host.split('%', 2);
    // The same subnet, fe80::/10, is on every interface.
    if (zone !== undefined && zone !== name) return false;
    return subnets.check(address, isIPv4(address) ? 'ipv4' : 'ipv6');
  };
}

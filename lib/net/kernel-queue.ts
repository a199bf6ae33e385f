/** What the kernel holds of a connection's bytes, from Linux's table of connections (proc_net_tcp(5)). */
import { readFile } from 'node:fs/promises';
import { isIPv6, type Socket } from 'node:net';
import { endianness } from 'node:os';

/** Local and remote address and port as they stand in the table, to the bytes that wait. */
type Table = ReadonlyMap<string, number>;

/** The last reading of each table, which is long on a busy machine. */
const readings = new Map<string, { at: number; table: Promise<Table> }>();

/**
 * Bytes that were handed to the kernel and that the other side has not acknowledged.
 *
 * @param maxAge milliseconds since the table was read, at most: callers meanwhile share a reading
 * @returns undefined where that cannot be seen
 */
export async function kernelQueue(socket: Socket, maxAge = 0): Promise<number | undefined> {
  const { localAddress, localPort, remoteAddress, remotePort } = socket;
  if (localAddress === undefined || localPort === undefined) return undefined;
  if (remoteAddress === undefined || remotePort === undefined) return undefined;
  const file = isIPv6(localAddress) ? '/proc/net/tcp6' : '/proc/net/tcp';
  let reading = readings.get(file);
  if (reading === undefined || performance.now() - reading.at >= maxAge) {
    reading = { at: performance.now(), table: read(file) };
    readings.set(file, reading);
  }
  return (await reading.table).get(
    `${column(localAddress, localPort)} ${column(remoteAddress, remotePort)}`,
  );
}

async function read(file: string): Promise<Table> {
  const table = new Map<string, number>();
  // Elsewhere there is no such file.
  const text = await readFile(file, 'latin1').catch(() => '');
  for (const [, addresses = '', queue = ''] of text.matchAll(LINE)) {
    table.set(addresses, parseInt(queue, 16));
  }
  return table;
}

/** `  12: 0100007F:1B58 0100007F:9C40 01 0000F000:00000000 ...`: addresses, state, tx_queue:rx_queue */
const LINE = /^ *\d+: ([0-9A-F]+:[0-9A-F]{4} [0-9A-F]+:[0-9A-F]{4}) [0-9A-F]{2} ([0-9A-F]{8}):/gm;

function column(address: string, port: number): string {
  const bytes = isIPv6(address) ? v6Bytes(address) : v4Bytes(address);
  // The kernel prints words of 32 bits as numbers of this machine.
  if (endianness() === 'LE') bytes.swap32();
  return `${bytes.toString('hex')}:${port.toString(16).padStart(4, '0')}`.toUpperCase();
}

function v4Bytes(address: string): Buffer {
  return Buffer.from(address.split('.').map(Number));
}

function v6Bytes(address: string): Buffer {
  const [literal = ''] = address.split('%', 1);
  const [head = '', tail] = literal.split('::', 2).map(groupsOf);
  const first = Buffer.from(head, 'hex');
  const last = Buffer.from(tail ?? '', 'hex');
  return Buffer.concat([first, Buffer.alloc(16 - first.length - last.length), last]);
}

/** Groups between colons, the last of which may be an IPv4 address, as hex digits. */
function groupsOf(text: string): string {
  if (text === '') return '';
  const groups = text.split(':');
  const hex = (group: string): string =>
    group.includes('.') ? v4Bytes(group).toString('hex') : group.padStart(4, '0');
  return groups.map(hex).join('');
}

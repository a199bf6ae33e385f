/** How many files and sockets this process may have open, and what they are used for. */
import { readFileSync } from 'node:fs';
import { PeerError } from '../errors.js';

/** What is assumed where the system does not tell. */
const UNKNOWN = 1024;
/** Connections, however many descriptors there are: each takes memory, too. */
const MOST_CONNECTIONS = 8192;
/** Open files without which a node does not start: it needs about 40 at rest, and some for what it does. */
export const LEAST_OPEN_FILES = 64;
const AT_REST = 40;
/**
 * Kept for everything else: about 40 at rest (standard streams, index, watch, libuv and its threads), and
 * what threads that hash and scan open.
 */
const RESERVE = 96;

/**
 * The limit of open files: what setrlimit(2) calls RLIMIT_NOFILE. Node raises the soft one to the hard one
 * when it starts.
 *
 * @throws Error EMFILE when not even one more is left
 */
export function openFileLimit(): number {
  if (process.platform !== 'linux') return UNKNOWN;
  const [, soft] =
    /^Max open files\s+(\d+|unlimited)/m.exec(readFileSync('/proc/self/limits', 'latin1')) ?? [];
  if (soft === undefined) return UNKNOWN;
  return soft === 'unlimited' ? Infinity : Number(soft);
}

export interface DescriptorLimits {
  /** Connections that come in. */
  connections: number;
  /** Transfers at once: up to four files that are open or next, and one more for sendfile(2). */
  transfers: number;
}

/**
 * Half is for connections, half for what they transfer. Where there are few, a node does less at once.
 *
 * @param limit of open files
 * @param own connections that this node makes itself
 * @throws PeerError ERR_USAGE when the limit is too small to start
 */
export function descriptorLimits(limit: number, own: number): DescriptorLimits {
  if (limit < LEAST_OPEN_FILES) {
    const least = `a node needs ${LEAST_OPEN_FILES} (ulimit -n)`;
    throw new PeerError('ERR_USAGE', `only ${limit} files may be open at once; ${least}`);
  }
  const rest = Math.max((limit - AT_REST) / 2, limit - RESERVE - own);
  return {
    connections: Math.min(MOST_CONNECTIONS, Math.floor(rest / 2)),
    transfers: Math.floor(rest / 10),
  };
}

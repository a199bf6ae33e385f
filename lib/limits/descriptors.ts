/** How many files and sockets this process may have open, and how that is shared out. */
import { readFileSync } from 'node:fs';

/** What is assumed where the system does not tell. */
const UNKNOWN = 1024;
/** Connections, however many descriptors there are: each takes memory, too. */
const MOST_CONNECTIONS = 8192;
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

export interface Shares {
  /** Connections that come in. */
  connections: number;
  /** Transfers at once: up to four files that are open or next, and one more for sendfile(2). */
  transfers: number;
}

/**
 * Half is for connections, half for what they transfer.
 *
 * @param limit of open files
 * @param own connections that this node makes itself
 */
export function sharesOf(limit: number, own: number): Shares {
  const rest = Math.max(40, limit - RESERVE - own);
  return {
    connections: Math.min(MOST_CONNECTIONS, Math.floor(rest / 2)),
    transfers: Math.floor(rest / 10),
  };
}

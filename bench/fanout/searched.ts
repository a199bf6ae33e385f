/** What was measured of searches in one network. */
import type { Use } from '../common/usage.js';
import type { Cost } from './network.js';

/** Hops of every search: more than these networks are wide. */
export const TTL = 7;

export interface Setting {
  nodes: number;
  /** Milliseconds added to each hop, one way. */
  delay: number;
}

export interface Measured extends Setting {
  /** Links, each counted in both directions. */
  links: number;
  costs: readonly Searched[];
  /** Milliseconds until the network was there. */
  started: number;
  /** What all nodes took while they were searched. */
  use: Use | undefined;
}

export interface Searched extends Cost {
  /** Hops to the node that is farthest away. */
  farthest: number;
}

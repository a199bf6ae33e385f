/** What a benchmark subject is, and what it may use. */
import type { Report } from './report.js';

export interface Settings {
  /** Bytes of the large file. */
  size: number;
  /** Small files in one folder. */
  files: number;
  /** File names in the largest index. */
  names: number;
  /** Peers in the largest network in memory. */
  nodes: number;
  /** Real nodes in the largest network. */
  peers: number;
  /** Clients of one node at once. */
  clients: number;
  /** Processes that many nodes or clients run in. */
  processes: number;
  /** Measured runs of each contestant, after one that warms up. */
  runs: number;
  /** A folder that is removed at the end. */
  folder: string;
}

/** Told of what is being done, for people that wait. */
export type Progress = (what: string) => void;

export interface Subject {
  name: string;
  /** One line: what it measures, against what. */
  describe: string;
  /** Settings that nobody has to name: such that it shows what it should and takes less than a minute. */
  defaults: Pick<Settings, 'runs'> & Partial<Settings>;
  run(settings: Settings, progress: Progress): Promise<Report[]>;
}

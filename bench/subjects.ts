/** All there is to measure, in the order in which it is. */
import { clients } from './clients.js';
import type { Subject } from './common/subject.js';
import { fanout } from './fanout.js';
import { hash } from './hash.js';
import { indexing } from './indexing.js';
import { scale } from './scale.js';
import { search } from './search.js';
import { smallfiles } from './smallfiles.js';
import { sources } from './sources.js';
import { start } from './start.js';
import { throughput } from './throughput.js';

export const SUBJECTS: readonly Subject[] = [
  hash,
  indexing,
  search,
  start,
  throughput,
  smallfiles,
  clients,
  sources,
  fanout,
  scale,
];

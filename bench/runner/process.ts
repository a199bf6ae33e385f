/**
 * The process in which one subject runs: its memory is its own, and what it starts is ended with it.
 */
import { sendNote, serveCalls } from '../../test/fixtures/child.js';
import type { Report } from '../common/report.js';
import type { Settings } from '../common/subject.js';
import { SUBJECTS } from '../subjects.js';

export interface SubjectCalls {
  /** Measure; what is being done is said as notes. */
  run(order: { name: string; settings: Settings }): Promise<Report[]>;
}

serveCalls<SubjectCalls>({
  run: async ({ name, settings }) => {
    const subject = SUBJECTS.find((one) => one.name === name);
    if (subject === undefined) throw new RangeError(`no subject "${name}"`);
    return subject.run(settings, sendNote);
  },
});

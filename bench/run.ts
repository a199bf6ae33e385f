/** `npm run bench -- [subject...] [--size 1G] [--runs 5] [--json FILE]`: see --help. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { PeerError, asError } from '../lib/errors.js';
import { Child } from '../test/fixtures/child.js';
import { formatReport } from './common/format.js';
import { checkReport } from './common/report.js';
import type { Settings, Subject } from './common/subject.js';
import { describeMachine, thisMachine } from './runner/machine.js';
import { parseOptions, settingsOf } from './runner/options.js';
import type { SubjectCalls } from './runner/process.js';
import { ProgressLine } from './runner/progress-line.js';
import { toJson, type Result, type Results } from './runner/results.js';
import { SUBJECTS } from './subjects.js';
import { formatPage } from './page/page.js';

/** Written where the command was typed. */
const PAGE = 'bench-report.html';

/** What runs now, by its folder. */
const running = new Map<string, Child<SubjectCalls>>();
/** A signal came. */
let isEnding = false;

async function main(): Promise<void> {
  const { list, subjects, given, json } = await parseOptions();
  if (list) {
    const width = Math.max(...SUBJECTS.map(({ name }) => name.length));
    for (const { name, describe } of SUBJECTS) {
      process.stdout.write(`${name.padEnd(width)}  ${describe}\n`);
    }
    return;
  }
  const machine = thisMachine();
  process.stdout.write(
    `${describeMachine(machine)}\nmedian of runs, contestants in turn; "ours is": how many times as good\n\n`,
  );
  const line = new ProgressLine(subjects.length);
  const command = ['npm run bench', ...prefixed(process.argv.slice(2))].join(' ');
  const results: Results = { machine, command, subjects: [] };
  for (const subject of subjects) {
    line.begin(subject.name);
    const result = await measure(subject, given, line);
    line.clear();
    if (isEnding) return;
    results.subjects.push(result);
    process.stdout.write(`== ${subject.name} (${result.seconds.toFixed(0)} s)\n\n`);
    for (const report of result.reports) process.stdout.write(`${formatReport(report)}\n\n`);
    if (result.error !== undefined) {
      process.stderr.write(`bench: ${subject.name}: ${result.error}\n`);
      process.exitCode = 1;
    }
  }
  if (json !== undefined) writeFileSync(json, toJson(results));
  writeFileSync(PAGE, formatPage(results));
  process.stdout.write(`with pictures: ${PAGE}\n`);
}

function prefixed(args: readonly string[]): string[] {
  return args.length === 0 ? [] : ['--', ...args];
}

/** Measure one subject, in a process of its own. What goes wrong is in the result. */
async function measure(
  subject: Subject,
  given: Partial<Settings>,
  line: ProgressLine,
): Promise<Result> {
  const folder = mkdtempSync(join(tmpdir(), 'p2p-bench-'));
  const { folder: own, ...settings } = settingsOf(subject, given, folder);
  const child = new Child<SubjectCalls>('bench/runner/process.js', (note) => {
    line.say(String(note));
  });
  running.set(folder, child);
  const begin = performance.now();
  const seconds = (): number => (performance.now() - begin) / 1000;
  try {
    const order = { name: subject.name, settings: { ...settings, folder: own } };
    const reports = await child.call('run', order);
    if (reports.length === 0) throw new Error('nothing was measured');
    reports.forEach(checkReport);
    return { name: subject.name, settings, seconds: seconds(), reports };
  } catch (error) {
    const { message } = asError(error);
    return { name: subject.name, settings, seconds: seconds(), reports: [], error: message };
  } finally {
    await child.stop();
    rmSync(folder, { recursive: true, force: true });
    running.delete(folder);
  }
}

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    // Some senders send it twice: to the process, and to its group.
    if (isEnding) return;
    isEnding = true;
    void cleanUp().finally(() => {
      process.stderr.write('\n');
      process.exit(128 + constants.signals[signal]);
    });
  });
}

/** End what runs, and remove its files. */
async function cleanUp(): Promise<void> {
  for (const [folder, child] of running) {
    await child.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

main().catch((error: unknown) => {
  const usage = error instanceof PeerError && error.code === 'ERR_USAGE';
  process.stderr.write(`bench: ${asError(error).message}\n`);
  process.exitCode = usage ? 2 : 1;
});

/** Everything that was measured as one page: no scripts, nothing from elsewhere, in light and dark. */
import { cellsOf, notesOf } from '../common/format.js';
import type { Report } from '../common/report.js';
import type { Machine } from '../runner/machine.js';
import type { Result, Results } from '../runner/results.js';
import { barChart, growthChart } from './charts.js';

const STYLE = `
:root { color-scheme: light dark; --back: #ffffff; --text: #1c2128; --faint: #9aa4af; --line: #d8dee4; --box: #f6f8fa; --bad: #b3261e; }
@media (prefers-color-scheme: dark) {
  :root { --back: #14181d; --text: #e3e8ee; --faint: #66717d; --line: #343b43; --box: #1c2127; --bad: #ff8a80; }
}
body { background: var(--back); color: var(--text); font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem; }
h1 { font-size: 1.6rem; } h2 { border-top: 1px solid var(--line); font-size: 1.3rem; margin-top: 3rem; padding-top: 1.5rem; } h3 { font-size: 1rem; margin: 2rem 0 .5rem; }
nav a { color: inherit; margin-right: 1rem; }
figure { margin: 0 0 .5rem; } figure, .wide { overflow-x: auto; }
svg { display: block; height: auto; max-width: 100%; min-width: 34rem; }
table { border-collapse: collapse; font-size: .85rem; font-variant-numeric: tabular-nums; }
th, td { border-bottom: 1px solid var(--line); padding: .2rem .7rem; text-align: right; white-space: nowrap; }
th { font-weight: 600; } .text, .bar { text-align: left; } .bar { font-family: monospace; }
dl { background: var(--box); border-radius: 6px; display: grid; gap: .1rem 1rem; grid-template-columns: max-content 1fr; padding: 1rem; }
dt { opacity: .7; } dd { margin: 0; overflow-wrap: anywhere; }
p.note { font-size: .85rem; margin: .15rem 0; opacity: .85; } p.bad { color: var(--bad); }
@media print { h3, figure, table { break-inside: avoid; } body { margin: 0; max-width: none; } }
`;

export function formatPage({ machine, command, subjects }: Results): string {
  const links = subjects.map(({ name }) => `<a href="#${escape(name)}">${escape(name)}</a>`);
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>p2p-serve: benchmarks of ${escape(machine.date.slice(0, 10))}</title>
<style>${STYLE}</style>
</head>
<body>
<h1>p2p-serve: benchmarks</h1>
${about(machine, command)}
<p class="note">Medians of runs, contestants in turn; whiskers and &ldquo;lowest to highest&rdquo; are all that came. &ldquo;Ours is&rdquo;: how many times as good.</p>
<nav>${links.join('\n')}</nav>
${subjects.map(section).join('\n')}
</body>
</html>
`;
}

function about(machine: Machine, command: string): string {
  const { version, commit, node, cpu, cores, memory, system, date, programs } = machine;
  const rows: [string, string][] = [
    ['when', date],
    ['command', command],
    ['p2p-serve', commit === undefined ? version : `${version}, commit ${commit}`],
    ['node', node],
    ['machine', `${cpu}, ${cores} cores, ${(memory / 2 ** 30).toFixed(0)} GiB`],
    ['system', system],
    ['compared with', Object.values(programs).join(', ')],
  ];
  const items = rows.map(([name, value]) => `<dt>${escape(name)}</dt><dd>${escape(value)}</dd>`);
  return `<dl>${items.join('\n')}</dl>`;
}

function section({ name, settings, seconds, reports, error }: Result): string {
  const { runs } = settings;
  return `<section id="${escape(name)}">
<h2>${escape(name)}</h2>
<p class="note">${escape(`measured runs of each: ${runs}; ${seconds.toFixed(0)} s in all`)}</p>
${error === undefined ? '' : `<p class="bad">${escape(error)}</p>`}
${reports.map(block).join('\n')}
</section>`;
}

function block(report: Report): string {
  const notes = notesOf(report).map((note) => `<p class="note">${escape(note)}</p>`);
  return `<h3>${escape(report.title)}</h3>
${picture(report)}
${table(report)}
${notes.join('\n')}`;
}

/** What is compared is drawn as bars, what grows as lines; the rest is in tables. */
function picture(report: Report): string {
  if (report.kind === 'growth') return `<figure>${growthChart(report)}</figure>`;
  if (report.kind === 'table') return `<figure>${barChart(report)}</figure>`;
  return '';
}

function table(report: Report): string {
  const { columns, rows, left } = cellsOf(report);
  const cells = (tag: 'th' | 'td', row: readonly string[]): string =>
    row
      .map((cell, i) => {
        const kind = i < left ? ' class="text"' : BAR.test(cell) ? ' class="bar"' : '';
        return `<${tag}${kind}>${escape(cell)}</${tag}>`;
      })
      .join('');
  const body = rows.map((row) => `<tr>${cells('td', row)}</tr>`).join('\n');
  return `<div class="wide"><table><thead><tr>${cells('th', columns)}</tr></thead><tbody>
${body}
</tbody></table></div>`;
}

/** A share as a bar of characters. */
const BAR = /^(?=.)#*\.*$/;

/** Text that stands between tags or in quotes. */
function escape(text: string): string {
  return text.replace(/[&<>"']/g, (one) => `&#${one.charCodeAt(0)};`);
}

/** What `--help` prints. */
import type { Arguments, OptionSpec } from './arguments.js';

/** Columns at most: longer lines are hard to read. */
const MAX_WIDTH = 100;

interface Row {
  left: string;
  text: string;
  /** Stands at the right margin. */
  tag: string;
}

export function formatHelp(
  { name, usage, describe }: { name: string; usage: string; describe: string },
  takes: Arguments,
  columns: number,
): string {
  const width = Math.min(MAX_WIDTH, columns);
  const positionals = [...takes.positionals].map(([left, { describe: text, array }]) => ({
    ...{ left, text, tag: array === true ? '[array]' : '[string]' },
  }));
  const options = [...takes.options].map(([option, spec]) => ({
    left: `${spec.alias === undefined ? '   ' : `-${spec.alias},`} --${option}`,
    text: spec.describe,
    tag: tagOf(spec),
  }));
  const examples = takes.examples.map(([command, text]) => ({
    ...{ left: command.replace('$0', name), text, tag: '' },
  }));
  const sections = [
    `${name} ${usage}`.trim(),
    wrap(describe, width).join('\n'),
    ...section('Positionals', positionals, width),
    ...section('Options', options, width),
    ...section('Examples', examples, width),
    ...(takes.lastWords === undefined ? [] : [wrap(takes.lastWords, width).join('\n')]),
  ];
  return `${sections.join('\n\n')}\n`;
}

function tagOf({ type, array, choices, default: value, defaultDescription }: OptionSpec): string {
  const shown = defaultDescription ?? (value === undefined ? undefined : JSON.stringify(value));
  return [
    choices === undefined ? `[${array === true ? 'array' : type}]` : `[${choices.join(', ')}]`,
    ...(shown === undefined ? [] : [`[default: ${shown}]`]),
  ].join(' ');
}

function section(title: string, rows: readonly Row[], width: number): string[] {
  if (rows.length === 0) return [];
  // A long command has a line of its own.
  const most = Math.floor(width / 2);
  const left = Math.max(...rows.map((row) => row.left.length).filter((length) => length <= most));
  return [`${title}:\n${rows.map((row) => formatRow(row, left + 4, width)).join('\n')}`];
}

function formatRow({ left, text, tag }: Row, indent: number, width: number): string {
  const lines = wrap(text, width - indent);
  const last = lines.at(-1) ?? '';
  if (tag !== '' && last.length + 1 + tag.length <= width - indent) {
    lines[lines.length - 1] = last + tag.padStart(width - indent - last.length);
  } else if (tag !== '') {
    lines.push(tag.padStart(width - indent));
  }
  if (left.length + 4 > indent) return `  ${left}\n${indented(lines, indent)}`;
  return `  ${left.padEnd(indent - 2)}${indented(lines, indent).trimStart()}`;
}

function indented(lines: readonly string[], columns: number): string {
  return lines.map((line) => ' '.repeat(columns) + line).join('\n');
}

/** Lines of at most `width` characters; a longer word has its own. */
function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  for (const word of text.split(' ')) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + 1 + word.length <= width) {
      lines[lines.length - 1] = `${last} ${word}`;
    } else {
      lines.push(word);
    }
  }
  return lines;
}

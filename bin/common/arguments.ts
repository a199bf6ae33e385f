/**
 * The arguments of a command: what it takes, and what of that is on its command line, as getopt_long(3) reads it
 * (`--name value`, `--name=value`, `-n value`, `-nvalue`, `--no-name`; after `--` nothing is an option). In place of
 * a package: to load one takes longer than most of what the commands do.
 */
import { PeerError } from '../../lib/errors.js';

interface Types {
  string: string;
  number: number;
  boolean: boolean;
}

export interface OptionSpec {
  readonly type: keyof Types;
  readonly describe: string;
  /** One letter. */
  readonly alias?: string;
  /** It can be given several times. */
  readonly array?: boolean;
  readonly default?: unknown;
  /** What help says in place of the default. */
  readonly defaultDescription?: string;
  readonly choices?: readonly string[];
}

export interface PositionalSpec {
  readonly describe: string;
  /** It takes all that follow; the last one alone can. */
  readonly array?: boolean;
  /** An error says that it is missing. */
  readonly demandOption?: boolean;
}

type Base<S extends OptionSpec> = S['array'] extends true ? Types[S['type']][] : Types[S['type']];
type OptionValue<S extends OptionSpec> = S extends { default: unknown }
  ? Base<S>
  : Base<S> | undefined;
type PositionalValue<S extends PositionalSpec> = S['array'] extends true
  ? string[]
  : S['demandOption'] extends true
    ? string
    : string | undefined;

/** What was given, by name; options that were not have their defaults. */
export interface Parsed<T> {
  readonly values: T;
  /** Names of the options that were given. */
  readonly given: ReadonlySet<string>;
}

/** What a command takes. Each method adds to it; `T` is the shape of the values. */
export class Arguments<T = unknown> {
  /** For the type alone. */
  declare readonly values: T;
  readonly options = new Map<string, OptionSpec>();
  readonly positionals = new Map<string, PositionalSpec>();
  readonly examples: (readonly [command: string, text: string])[] = [];
  lastWords: string | undefined;

  option<const K extends string, const S extends OptionSpec>(
    name: K,
    spec: S,
  ): Arguments<T & Record<K, OptionValue<S>>> {
    this.options.set(name, spec);
    return this as never;
  }

  positional<const K extends string, const S extends PositionalSpec>(
    name: K,
    spec: S,
  ): Arguments<T & Record<K, PositionalValue<S>>> {
    this.positionals.set(name, spec);
    return this as never;
  }

  /** `$0` is the command's name. */
  example(command: string, text: string): this {
    this.examples.push([command, text]);
    return this;
  }

  /** What help says last. */
  epilogue(text: string): this {
    this.lastWords = text;
    return this;
  }

  /** The option of that name or letter. */
  find(name: string): [name: string, spec: OptionSpec] | undefined {
    const spec = this.options.get(name);
    if (spec !== undefined) return [name, spec];
    return name.length === 1
      ? [...this.options].find(([, { alias }]) => alias === name)
      : undefined;
  }

  /**
   * @param args the words behind the command
   * @throws PeerError ERR_USAGE
   */
  parse(args: readonly string[]): Parsed<T> {
    const reader = new Reader(this);
    for (const words = [...args]; words.length > 0;) reader.take(words);
    return { values: reader.end() as T, given: reader.given };
  }
}

class Reader {
  readonly #takes: Arguments;
  readonly given = new Set<string>();
  readonly #values: Record<string, unknown> = {};
  readonly #operands: string[] = [];
  readonly #unknown: string[] = [];

  constructor(takes: Arguments) {
    this.#takes = takes;
    for (const [name, { default: value }] of takes.options) this.#values[name] = value;
  }

  /** Take what comes next away from `words`. */
  take(words: string[]): void {
    const word = words.shift() ?? '';
    const [, long, , value] = /^--([^=]+)(=([^]*))?$/.exec(word) ?? [];
    if (word === '--') this.#operands.push(...words.splice(0));
    else if (long !== undefined) this.#long(word, long, value, words);
    else if (/^-./.test(word)) this.#short(word.slice(1), words);
    else this.#operands.push(word);
  }

  /** All values. */
  end(): Record<string, unknown> {
    if (this.#unknown.length > 0) throw unknown(this.#unknown);
    const operands = [...this.#operands];
    for (const [name, { array = false, demandOption = false }] of this.#takes.positionals) {
      if (demandOption && operands.length === 0) {
        throw new PeerError('ERR_USAGE', `<${name}${array ? '..' : ''}> is missing`);
      }
      this.#values[name] = array ? operands.splice(0) : operands.shift();
    }
    if (operands.length > 0) throw unknown(operands);
    return this.#values;
  }

  #long(word: string, name: string, value: string | undefined, words: string[]): void {
    const negated = /^no-(.+)$/.exec(name)?.[1];
    const spec = this.#takes.options.get(name);
    const switched = negated === undefined ? undefined : this.#takes.options.get(negated);
    if (spec?.type === 'boolean') {
      this.#put(name, spec, flag(word, value));
    } else if (spec !== undefined) {
      this.#put(name, spec, read(`--${name}`, spec, value === '' ? undefined : value, words));
    } else if (negated !== undefined && switched?.type === 'boolean' && value === undefined) {
      this.#put(negated, switched, false);
    } else {
      this.#unknown.push(`--${name}`);
    }
  }

  /** Letters behind one dash: the last of them may have a value. */
  #short(letters: string, words: string[]): void {
    const letter = letters.slice(0, 1);
    const rest = letters.slice(1);
    const [name, spec] = this.#takes.find(letter) ?? [];
    if (name === undefined || spec === undefined) {
      this.#unknown.push(`-${letter}`);
    } else if (spec.type !== 'boolean') {
      const value = rest === '' ? undefined : rest.replace(/^=/, '');
      this.#put(name, spec, read(`-${letter}`, spec, value, words));
    } else {
      this.#put(name, spec, true);
      if (rest !== '') this.#short(rest, words);
    }
  }

  #put(name: string, { array = false, choices }: OptionSpec, value: unknown): void {
    if (choices !== undefined && !choices.some((choice) => choice === value)) {
      throw new PeerError('ERR_USAGE', `--${name} is one of ${choices.join(', ')}`);
    }
    const isRepeated = this.given.has(name);
    if (isRepeated && !array) {
      throw new PeerError('ERR_USAGE', `--${name} is given more than once`);
    }
    this.given.add(name);
    if (!array) this.#values[name] = value;
    else if (isRepeated) (this.#values[name] as unknown[]).push(value);
    else this.#values[name] = [value];
  }
}

function flag(word: string, value = 'true'): boolean {
  if (value === 'true' || value === 'false') return value === 'true';
  throw new PeerError('ERR_USAGE', `${word} is not true or false`);
}

/** The value of an option: behind the `=`, or else the next word, which must not look like an option. */
function read(
  option: string,
  { type }: OptionSpec,
  value: string | undefined,
  words: string[],
): string | number {
  const isNext = value === undefined && !/^-(?!$|\.?\d)/.test(words[0] ?? '--');
  const text = isNext ? words.shift() : value;
  if (text === undefined) throw new PeerError('ERR_USAGE', `${option} needs a value`);
  if (type !== 'number') return text;
  return text.trim() === '' ? NaN : Number(text);
}

function unknown(words: readonly string[]): PeerError {
  return new PeerError('ERR_USAGE', `unknown: ${[...new Set(words)].join(', ')}`);
}

/** Where the options of p2p-serve come from: the command line, else the environment, else a file. */
import { createReadStream } from 'node:fs';
import { PeerError, asError } from '../../lib/errors.js';
import { parseRate } from '../../lib/limits/rate.js';
import { describe } from '../common/command.js';

const PREFIX = 'P2P_SERVE_';
/** What Kubernetes sets in every container when a service is called p2p-serve: no option of ours. */
const OF_KUBERNETES = /^P2P_SERVE_(SERVICE_(HOST|PORT)(_\w+)?=|PORT_\d+_\w+=|PORT=[a-z]+:\/\/)/;
/** Bytes that are read of a file. */
const MAX_FILE = 2 ** 20;

const YES_OR_NO = new Map<unknown, boolean>([
  ['true', true],
  ['1', true],
  ['false', false],
  ['0', false],
]);

/** How an option is checked: as in OPTIONS. */
interface Spec<T> {
  check: (value: T) => string | undefined;
}
type Seconds = Spec<number> & { readonly min: number; readonly max: number };

interface Given {
  readonly value: unknown;
  /** As errors name it. */
  readonly where: string;
}

/**
 * Options are called alike everywhere: `--max-peers 8`, `P2P_SERVE_MAX_PEERS=8`, `"max-peers": 8` in a
 * file, which is a JSON object. In a variable a list is separated by spaces, and yes is `true` or `1`.
 *
 * Each method below gives the value of an option in the unit of the library, and throws a PeerError
 * ERR_USAGE which names the option, variable or file that is wrong.
 */
export class OptionSources {
  readonly #args: Readonly<Record<string, unknown>>;
  readonly #given: ReadonlySet<string>;
  readonly #env = new Map<string, string>();
  #file: { path: string; values: Map<string, unknown> } | undefined;
  readonly #asked = new Set<string>();

  /**
   * @param args values of the command line, and defaults
   * @param given names of those that are no defaults
   */
  constructor(
    args: Readonly<Record<string, unknown>>,
    given: ReadonlySet<string>,
    env: NodeJS.ProcessEnv,
  ) {
    this.#args = args;
    this.#given = given;
    for (const [name, value = ''] of Object.entries(env)) {
      const isOurs = name.startsWith(PREFIX) && !OF_KUBERNETES.test(`${name}=${value}`);
      if (isOurs) this.#env.set(name, value);
    }
  }

  async readFile(path: string): Promise<void> {
    this.#file = { path, values: new Map(Object.entries(await readJson(path))) };
  }

  text(name: string, spec: Spec<string>): string | undefined {
    const { value, where } = this.#find(name);
    if (value === undefined) return undefined;
    if (typeof value !== 'string') throw new PeerError('ERR_USAGE', `${where} is a text`);
    return checked(where, value, spec);
  }

  number(name: string, spec: Spec<number>): number | undefined {
    const { value, where } = this.#find(name);
    return value === undefined ? undefined : checked(where, numberOf(value), spec);
  }

  /** Given in seconds. @returns milliseconds */
  seconds(name: string, { min, max }: Seconds): number {
    const { value, where } = this.#find(name);
    const milliseconds = Math.round(numberOf(value) * 1000);
    if (milliseconds >= min && milliseconds <= max) return milliseconds;
    const range = `from ${min / 1000} to ${Math.floor(max / 1000)}`;
    throw new PeerError('ERR_USAGE', `${where} is a number of seconds ${range}`);
  }

  /** Bytes per second. */
  rate(name: string): number | undefined {
    const { value, where } = this.#find(name);
    return value === undefined ? undefined : parseRate(where, textOf(value));
  }

  boolean(name: string, spec: Spec<boolean>): boolean {
    const { value, where } = this.#find(name);
    return checked(where, YES_OR_NO.get(value) ?? (value as boolean), spec);
  }

  list(name: string, spec: Spec<readonly string[]>): readonly string[] | undefined {
    const { value, where } = this.#find(name);
    if (value === undefined) return undefined;
    const isVariable = where.startsWith(PREFIX);
    const items: unknown = isVariable ? textOf(value).split(/\s+/).filter(Boolean) : value;
    if (!Array.isArray(items) || !items.every((item) => typeof item === 'string')) {
      throw new PeerError('ERR_USAGE', `${where} is a list of texts`);
    }
    return checked(where, items, spec);
  }

  /** To be called when every option was asked for: a name that none of them has is an error. */
  end(): void {
    const names = new Set([...this.#asked].map(variable));
    for (const name of this.#env.keys()) {
      if (!names.has(name)) throw new PeerError('ERR_USAGE', `${name}: there is no such option`);
    }
    for (const name of this.#file?.values.keys() ?? []) {
      if (this.#asked.has(name)) continue;
      throw new PeerError('ERR_USAGE', `${this.#file?.path}: there is no option "${name}"`);
    }
  }

  #find(name: string): Given {
    this.#asked.add(name);
    const option = { value: this.#args[name], where: `--${name}` };
    if (this.#given.has(name)) return option;
    const where = variable(name);
    const value = this.#env.get(where);
    if (value !== undefined) return { value, where };
    if (this.#file?.values.has(name) !== true) return option;
    return { value: this.#file.values.get(name), where: `${this.#file.path}: ${name}` };
  }
}

function variable(name: string): string {
  return PREFIX + name.toUpperCase().replaceAll('-', '_');
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}

function numberOf(value: unknown): number {
  if (typeof value === 'string') return value.trim() === '' ? NaN : Number(value);
  return typeof value === 'number' ? value : NaN;
}

function checked<T>(where: string, value: T, { check }: Spec<T>): T {
  let wrong: string | undefined;
  try {
    wrong = check(value);
  } catch (error) {
    throw new PeerError('ERR_USAGE', `${where}: ${asError(error).message}`);
  }
  if (wrong !== undefined) throw new PeerError('ERR_USAGE', `${where} ${wrong}`);
  return value;
}

async function readJson(path: string): Promise<object> {
  let text = '';
  try {
    const stream = createReadStream(path, { encoding: 'utf8', end: MAX_FILE });
    for await (const chunk of stream) text += String(chunk);
  } catch (error) {
    const { text: why } = describe(error);
    throw new PeerError('ERR_USAGE', why.startsWith(path) ? why : `${path}: ${why}`);
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new PeerError('ERR_USAGE', `${path} is not JSON: ${asError(error).message}`);
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value;
  throw new PeerError('ERR_USAGE', `${path} is not a JSON object of options`);
}

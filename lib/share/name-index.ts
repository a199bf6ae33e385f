/** Search over names, simply: every name is looked at. */
import { fold, matches, termsOf } from './names.js';

export class NameIndex {
  readonly #paths = new Map<number, { path: string; folded: string }>();

  add(id: number, path: string): void {
    this.#paths.set(id, { path, folded: fold(path) });
  }
  remove(id: number): void {
    this.#paths.delete(id);
  }
  path(id: number): string {
    return this.#paths.get(id)?.path ?? '';
  }
  search(
    query: string,
    max: number,
    after?: Uint8Array,
  ): { total: number; ids: number[]; after?: Uint8Array | undefined } {
    const terms = termsOf(query);
    const behind = after === undefined ? undefined : Buffer.from(after).toString();
    const all = [...this.#paths]
      .filter(([, { folded }]) => matches(folded, terms))
      .sort(([, a], [, b]) => (a.path < b.path ? -1 : 1));
    const rest = all.filter(([, { path }]) => behind === undefined || path > behind);
    const page = rest.slice(0, max);
    const last = page.at(-1);
    return {
      total: all.length,
      ids: page.map(([id]) => id),
      after: rest.length > page.length && last ? Buffer.from(last[1].path) : undefined,
    };
  }
}

/**
 * Search by name: without regard to case and to the normal form, every term of the query (separated by
 * white space) is a substring of the path inside the share.
 */

/**
 * The form in which names and terms are compared. A final sigma becomes an ordinary one: whether it
 * is final changes with what is typed behind it.
 */
export function fold(text: string): string {
  return text.normalize('NFC').toLowerCase().replaceAll('\u03c2', '\u03c3').normalize('NFC');
}

/**
 * What separates terms: Unicode's White_Space. Not JavaScript's `\s`, which counts U+FEFF: a name may
 * begin with it.
 */
const WHITE_SPACE = /\p{White_Space}+/u;

/** The terms of a query, folded. None matches everything. */
export function termsOf(query: string): string[] {
  const terms = new Set(fold(query).split(WHITE_SPACE).filter(Boolean));
  const all = ` ${[...terms].join(' ')} `;
  // What is part of another term need not be looked for: it occurs elsewhere than between two spaces.
  return [...terms].filter((term) => {
    let at = all.indexOf(term);
    if (all.charAt(at - 1) === ' ' && all.charAt(at + term.length) === ' ') {
      at = all.indexOf(term, at + 1);
    }
    return at < 0;
  });
}

/** Whether a folded path holds every term. */
export function matches(folded: string, terms: readonly string[]): boolean {
  return terms.every((term) => folded.includes(term));
}

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

/** Terms of a query that are looked at: more say nothing, and cost the one who is asked. */
const MAX_TERMS = 16;

/** The terms of a query, folded. None matches everything. */
export function termsOf(query: string): string[] {
  const terms = new Set(fold(query).split(/\s+/u).filter(Boolean));
  // What is part of another term need not be looked for.
  const needed = [...terms].filter((term) => {
    for (const other of terms) if (other !== term && other.includes(term)) return false;
    return true;
  });
  return needed.slice(0, MAX_TERMS);
}

/** Whether a folded path holds every term. */
export function matches(folded: string, terms: readonly string[]): boolean {
  return terms.every((term) => folded.includes(term));
}

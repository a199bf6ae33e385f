/**
 * Search by name: case-insensitive, Unicode NFC, every whitespace-separated term of the query is a
 * substring of the path inside the share.
 */

/** The form in which names and terms are compared. */
export function fold(text: string): string {
  return text.normalize('NFC').toLowerCase().normalize('NFC');
}

/** The terms of a query, folded. None matches everything. */
export function termsOf(query: string): string[] {
  return fold(query).split(/\s+/u).filter(Boolean);
}

/** Whether a folded path holds every term. */
export function matches(folded: string, terms: readonly string[]): boolean {
  return terms.every((term) => folded.includes(term));
}

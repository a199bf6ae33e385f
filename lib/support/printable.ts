/**
 * Names and texts of other origin (a peer, a file system), made safe to print: whatever could move the
 * cursor, change colours, end the line or turn the reading direction is shown as `\u{hex}`.
 */

// C0, DEL and C1 controls, line and paragraph separators, bidirectional marks, embeddings, overrides
// and isolates (UAX #9), other format characters that show nothing (Cf), and lone surrogates (Cs).
const HIDDEN = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;

// Joiners make emoji and several scripts what they are, and can do no harm.
const JOINERS = new Set(['\u200c', '\u200d']);

export function printable(text: string): string {
  return text.replace(HIDDEN, (c) =>
    JOINERS.has(c) ? c : `\\u{${(c.codePointAt(0) ?? 0).toString(16)}}`,
  );
}

/** JSON on one line, with the same characters as `\uXXXX` escapes: still the same value. */
export function printableJson(value: unknown): string {
  return escapeJson(JSON.stringify(value));
}

/** @param json on one line */
export function escapeJson(json: string): string {
  return json.replace(HIDDEN, (c) =>
    Array.from({ length: c.length }, (_, i) => {
      return `\\u${c.charCodeAt(i).toString(16).padStart(4, '0')}`;
    }).join(''),
  );
}

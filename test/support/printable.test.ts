/** Texts from elsewhere, made safe to print. */
import fc from 'fast-check';
import t from 'tap';
import { printable, printableJson } from '../../lib/support/printable.js';

t.test('what could move the cursor or turn the text is shown', (t) => {
  for (const [text, shown] of [
    ['plain é 😀 日本', 'plain é 😀 日本'],
    ['\u001b[31mred', '\\u{1b}[31mred'],
    ['a\nb\rc\td\0', 'a\\u{a}b\\u{d}c\\u{9}d\\u{0}'],
    ['\u202etxt.exe', '\\u{202e}txt.exe'],
    ['\u2066x\u2069', '\\u{2066}x\\u{2069}'],
    ['\u009b31m', '\\u{9b}31m'],
    ['a\u2028b', 'a\\u{2028}b'],
    ['zero\u200bwidth', 'zero\\u{200b}width'],
    ['👨\u200d👩\u200d👧', '👨\u200d👩\u200d👧'],
    ['\ud800', '\\u{d800}'],
    ['\u{e0041}', '\\u{e0041}'],
  ] as const) {
    t.equal(printable(text), shown);
  }
  t.end();
});

t.test('JSON stays the same value', (t) => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      const json = printableJson({ text });
      return (JSON.parse(json) as { text: string }).text === text && !/[\p{Cc}\u202e]/u.test(json);
    }),
    { numRuns: 2000 },
  );
  t.equal(printableJson('\u202e\u{e0041}'), '"\\u202e\\udb40\\udc41"');
  t.end();
});

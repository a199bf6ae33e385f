/** Paths of a peer as paths on this disk: a corpus of bad ones, and properties of any. */
import fc from 'fast-check';
import t from 'tap';
import { DistinctPaths } from '../../lib/disk/distinct-paths.js';
import { safePath } from '../../lib/disk/safe-name.js';

/** The names of paths, by path. */
function distinctPaths(paths: readonly string[]): Map<string, string> {
  const names = new DistinctPaths();
  for (const path of paths) names.add(path);
  const steps = names.settle((i) => paths[i] ?? '');
  let step = steps.next();
  while (step.done !== true) step = steps.next();
  const repeated = step.value;
  const different = paths.filter((_, i) => !repeated.has(i));
  if (new Set(different).size < different.length) throw new Error('a path is left twice');
  return new Map(different.map((path) => [path, names.nameOf(path)]));
}

/** What is given, and what must become of it. */
const CORPUS: readonly (readonly [string, string])[] = [
  ['a.txt', 'a.txt'],
  ['folder/Füm 1.mkv', 'folder/Füm 1.mkv'],
  ['日本語/ファイル.txt', '日本語/ファイル.txt'],
  // Out of the folder, in every spelling.
  ['../x', '__/x'],
  ['a/../../x', 'a/__/__/x'],
  ['./x', '_/x'],
  ['/etc/passwd', 'etc/passwd'],
  ['//server/share', 'server/share'],
  ['..', '__'],
  ['.', '_'],
  ['...', '___'],
  ['. .', '___'],
  ['..\\..\\x', '_._.._x'],
  ['C:\\Windows\\x', 'C__Windows_x'],
  ['C:x', 'C_x'],
  ['file.txt:stream', 'file.txt_stream'],
  // Nothing at all.
  ['', '_'],
  ['/', '_'],
  ['a//b///c/', 'a/b/c'],
  // Characters.
  ['a\0b', 'a_b'],
  ['a\nb\r\tc\u007f\u0085', 'a_b__c__'],
  ['\u001b[31mred', '_[31mred'],
  ['a*b?c"d<e>f|g', 'a_b_c_d_e_f_g'],
  ['gpj.\u202eexe', 'gpj._exe'],
  ['\u2066a\u2069\u200e\u200f\u061c', '_a____'],
  ['a\u200bb\ufeffc\u00add\u2060e', 'a_b_c_d_e'],
  ['a\u2028b\u2029c', 'a_b_c'],
  ['a\u3164b\u115fc\u034fd', 'a_b_c_d'],
  ['\u{e0041}\u{e007f}tag', '__tag'],
  ['a\ud800', 'a_'],
  ['\udc00\ud800a', '__a'],
  ['😀\ud83d', '😀_'],
  // What joiners are for.
  ['👨\u200d👩\u200d👧.png', '👨\u200d👩\u200d👧.png'],
  ['❤\ufe0f\u200d🔥', '❤\ufe0f\u200d🔥'],
  ['می\u200cخواهم', 'می\u200cخواهم'],
  ['\u200da', '_a'],
  ['a\u200d\u200d', 'a\u200d_'],
  // Hidden files.
  ['.bashrc', '_bashrc'],
  ['.ssh/authorized_keys', '_ssh/authorized_keys'],
  // The end.
  ['a.', 'a_'],
  ['a. . ', 'a____'],
  ['a ', 'a_'],
  ['a\u00a0\u3000', 'a__'],
  ['dir./x', 'dir_/x'],
  [' a', ' a'],
  // Devices.
  ['CON', 'CON_'],
  ['con', 'con_'],
  ['aux.txt', 'aux_.txt'],
  ['nul.tar.gz', 'nul_.tar.gz'],
  ['PRN /x', 'PRN_/x'],
  ['com1', 'com1_'],
  ['COM\u00b9.log', 'COM\u00b9_.log'],
  ['lpt9.', 'lpt9_'],
  ['CONIN$', 'CONIN$_'],
  ['con .txt', 'con _.txt'],
  ['console', 'console'],
  ['com10', 'com10'],
  ['a/NUL/b', 'a/NUL_/b'],
  // Unfinished files.
  ['x.part', 'x.part_'],
  ['x.PART', 'x.PART_'],
  ['x.part/y', 'x.part_/y'],
  ['x.part.', 'x.part_'],
  ['.part', '_part'],
];

t.test('a corpus', (t) => {
  for (const [i, [given, wanted]] of CORPUS.entries())
    t.equal(safePath(given), wanted, `line ${i}`);
  t.end();
});

t.test('long parts are cut on the border of a character', (t) => {
  const bytes = (text: string): number => Buffer.byteLength(text);
  t.equal(safePath('x'.repeat(255)), 'x'.repeat(255));
  const long = safePath(`${'x'.repeat(300)}.mkv`);
  t.match(long, /^x+~[0-9a-f]{8}\.mkv$/);
  t.equal(bytes(long), 255);
  t.equal(safePath(`${'x'.repeat(300)}.mkv`), long, 'always the same');
  t.not(safePath(`${'x'.repeat(301)}.mkv`), long, 'another file, another name');
  for (const character of ['é', '語', '😀']) {
    const cut = safePath(`a${character.repeat(200)}.tar`);
    t.match(cut, new RegExp(`^a(${character})+~[0-9a-f]{8}\\.tar$`, 'u'));
    t.ok(bytes(cut) <= 255 && bytes(cut) > 250);
  }
  t.match(safePath(`a.${'b'.repeat(300)}`), /^a\.b+~[0-9a-f]{8}$/, 'too long for an extension');
  t.match(safePath(`${'x'.repeat(260)}/${'y'.repeat(260)}`), /^x+~[0-9a-f]{8}\/y+~[0-9a-f]{8}$/);
  t.end();
});

t.test('paths that become the same are told apart', (t) => {
  const names = (...paths: string[]): string[] => {
    const distinct = distinctPaths(paths);
    t.same(
      [...distinctPaths([...paths].reverse())].sort(),
      [...distinct].sort(),
      'in whatever order they come',
    );
    return paths.map((path) => distinct.get(path) ?? '');
  };
  t.same(names('a', 'b', 'a'), ['a', 'b', 'a']);
  const [upper, lower] = names('A.txt', 'a.txt');
  t.equal(upper, 'A.txt');
  t.match(lower, /^a~[0-9a-f]{8}\.txt$/);
  t.match(names('a:b', 'a_b'), [/^a_b~[0-9a-f]{8}$/, 'a_b'], 'what is good keeps its name');
  t.match(names('é', 'e\u0301'), [/^é~[0-9a-f]{8}$/, 'e\u0301'], 'normal forms');
  t.match(names('straße', 'STRASSE'), [/^straße~/, 'STRASSE']);
  t.match(names('ab', 'a\u200db'), [/^a/, /^a/]);
  t.match(names('A/x', 'a/x', 'a/y'), ['A/x', /^a\/x~[0-9a-f]{8}$/, 'a/y']);
  t.match(names('a', 'a/b', 'A'), [/^a~/, 'a/b', /^A~/], 'a folder goes before a file');
  t.match(names('x', 'x.part', 'x.part_'), ['x', /^x~[0-9a-f]{8}\.part_$/, 'x.part_']);
  // Somebody shares a file that is called as the other would be.
  const mark = names('a:b', 'a_b')[0] ?? '';
  const [longer] = names('a:b', 'a_b', mark);
  t.match(longer, /^a_b~[0-9a-f]{16}$/);
  t.end();
});

const RESERVED = /^(con|prn|aux|nul|(com|lpt)[0-9¹²³])( *\.|$)/i;
const BITS = ['.', '..', ' ', '/', '\\', ':', '\0', '\n', '\u202e', '\u200d', '\ud800', '\udfff'];
const anyPath = fc
  .array(
    fc.oneof(
      fc.constantFrom(...BITS, 'con', 'AUX', 'lpt1', 'a', 'A', 'ß', 'é', 'x'.repeat(130), '.part'),
      fc.string({ unit: 'binary', maxLength: 6 }),
      fc.string({ unit: 'grapheme', maxLength: 6 }),
    ),
    { maxLength: 8 },
  )
  .map((bits) => bits.join(''));

function isSafe(path: string): boolean {
  return path
    .split('/')
    .every(
      (part) =>
        part.length > 0 &&
        !/\p{Cs}/u.test(part) &&
        Buffer.byteLength(part) <= 255 &&
        !part.startsWith('.') &&
        !/[.\p{Zs}]$/u.test(part) &&
        !/[\p{Cc}\p{Zl}\p{Zp}\\:*?"<>|]/u.test(part) &&
        !/[\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff]/u.test(part) &&
        !/\.part$/i.test(part) &&
        !RESERVED.test(part),
    );
}

t.test('whatever comes, the path is safe, and safe paths stay as they are', (t) => {
  t.doesNotThrow(() => {
    fc.assert(
      fc.property(anyPath, (path) => {
        const safe = safePath(path);
        return isSafe(safe) && safePath(safe) === safe;
      }),
      { numRuns: 5000 },
    );
  });
  t.end();
});

t.test('whatever comes, no two are the same and none is the folder of another', (t) => {
  t.doesNotThrow(() => {
    fc.assert(
      fc.property(fc.array(anyPath, { maxLength: 20 }), (paths) => {
        const distinct = distinctPaths(paths);
        const names = [...distinct.values()];
        const keys = new Set(names.map((name) => name.normalize('NFC').toLowerCase()));
        return (
          distinct.size === new Set(paths).size &&
          keys.size === names.length &&
          names.every(isSafe) &&
          !names.some((name) => names.some((other) => other.startsWith(`${name}/`)))
        );
      }),
      { numRuns: 2000 },
    );
  });
  t.end();
});

/** Which files lie in and below a folder; what is asked of one folder does not cost what all of them do. */
import t from 'tap';
import { Folders } from '../../lib/share/folders.js';

t.test('files in and below a folder, as they come and go', (t) => {
  const folders = new Folders();
  const paths = ['a', 'x/b', 'x/y/c', 'x/y/d', 'xy/e', 'x/f'];
  for (const [slot, path] of paths.entries()) folders.add(slot, path);
  const below = (path: string): number[] => [...folders.below(path)].sort((a, b) => a - b);
  const inside = (path: string): number[] => [...folders.directlyIn(path)].sort((a, b) => a - b);
  t.same(below(''), [0, 1, 2, 3, 4, 5]);
  t.same(
    [below('x'), inside('x'), below('x/y')],
    [
      [1, 2, 3, 5],
      [1, 5],
      [2, 3],
    ],
  );
  for (const slot of [2, 1, 3]) folders.remove(slot, paths[slot] ?? '');
  t.same([below('x'), below('x/y'), inside('x')], [[5], [], [5]]);
  folders.remove(5, 'x/f');
  t.same([below('x'), below('')], [[], [0, 4]]);
  folders.add(1, 'x/y/z');
  t.same([below('x'), inside('x')], [[1], []], 'a slot is used again');
  t.end();
});

t.test('200,000 files in 20,000 folders, deleted folder by folder', (t) => {
  const [count, each] = [20_000, 10];
  const folders = new Folders();
  const pathOf = (slot: number): string => `all/d${Math.floor(slot / each)}/f${slot}`;
  for (let slot = 0; slot < count * each; slot++) folders.add(slot, pathOf(slot));
  // If each looked at all files, these would be eight thousand million steps.
  let removed = 0;
  for (let i = 0; i < count; i++) {
    const inside = [...folders.directlyIn(`all/d${i}`)];
    if (inside.length !== each) throw new Error(`${inside.length} files`);
    for (const slot of [...folders.below(`all/d${i}`)]) {
      folders.remove(slot, pathOf(slot));
      removed++;
    }
  }
  t.equal(removed, count * each);
  t.same([...folders.below('')], []);
  t.end();
});

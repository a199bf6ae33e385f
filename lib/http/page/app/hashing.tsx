/** How far the share is hashed, while it is. */
import type { JSX } from 'preact';
import type { Status } from '../contract.js';
import { prettyBytes } from './format.js';

export function HashingState({ hashing, progress }: Status['share']): JSX.Element | null {
  if (!hashing) return null;
  if (progress === undefined) return <span class="hashing">hashing …</span>;
  const { bytes, totalBytes } = progress;
  return (
    <span class="hashing">
      hashing {prettyBytes(bytes)} of {prettyBytes(totalBytes)}
      <progress value={bytes} max={Math.max(1, totalBytes)} aria-label="Hashed" />
    </span>
  );
}

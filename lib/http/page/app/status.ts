/** What the node does now: asked again and again by all views together, while somebody looks. */
import { useEffect, useState } from 'preact/hooks';
import type { Status } from '../contract.js';
import { NoAnswer, askJson, messageOf } from './api.js';

/** Bytes per second, at a time in milliseconds. */
export interface Sample {
  readonly time: number;
  readonly sent: number;
  readonly received: number;
}

export interface NodeStatus {
  /** Undefined until the first answer. */
  readonly now?: Status | undefined;
  readonly samples: readonly Sample[];
  /** Why there was no answer to the last question. */
  readonly error?: string | undefined;
}

/** Milliseconds between two questions. */
const PAUSE = 1000;
/** Samples that are kept: three minutes. */
const SAMPLES = 180;

let status: NodeStatus = { samples: [] };
let asked = 0;
const listeners = new Set<(status: NodeStatus) => void>();
let timer: ReturnType<typeof setTimeout> | undefined;

async function poll(): Promise<void> {
  const before = status.now;
  const since = asked;
  try {
    const now = await askJson<Status>('/status');
    asked = performance.now();
    status = { now, samples: status.samples };
    if (before !== undefined) {
      const perSecond = (bytes: number): number => Math.max(0, (bytes * 1000) / (asked - since));
      const sample = {
        time: asked,
        sent: perSecond(now.sentBytes - before.sentBytes),
        received: perSecond(now.receivedBytes - before.receivedBytes),
      };
      status = { now, samples: [...status.samples.slice(1 - SAMPLES), sample] };
    }
  } catch (error) {
    // One that is too busy for this question may be there for others.
    if (error instanceof NoAnswer) status = { ...status, error: messageOf(error) };
  }
  for (const listener of listeners) listener(status);
  timer = document.hidden ? undefined : setTimeout(() => void poll(), PAUSE);
}

document.addEventListener('visibilitychange', () => {
  if (!document.hidden && timer === undefined && listeners.size > 0) void poll();
});

export function useStatus(): NodeStatus {
  const [shown, setShown] = useState(status);
  useEffect(() => {
    listeners.add(setShown);
    if (listeners.size === 1 && timer === undefined) void poll();
    return () => {
      listeners.delete(setShown);
    };
  }, []);
  return shown;
}

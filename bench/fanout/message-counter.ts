/** Counts the messages of searches that pass over a connection, from its bytes. */
import { FrameDecoder, type Frame } from '../../lib/wire/frame.js';
import { HEADER_BYTES } from '../../lib/wire/limits.js';
import type { Watcher } from './delaying-relay.js';

/** Messages that belong to searches, by kind, and their bytes in all, heads included. */
export interface SearchMessages {
  RQFS: number;
  RPFL: number;
  TPHF: number;
  ACKN: number;
  bytes: number;
}

export function noMessages(): SearchMessages {
  return { RQFS: 0, RPFL: 0, TPHF: 0, ACKN: 0, bytes: 0 };
}

/** Either end may ask on a connection. An ACKN belongs to a search when its tag does. */
export class MessageCounter implements Watcher {
  readonly #counts: SearchMessages;
  /** Tags of searches that were sent forth, and back. */
  readonly #forth = new Set<number>();
  readonly #back = new Set<number>();
  readonly #decoders = { forth: new FrameDecoder(), back: new FrameDecoder() };

  /** @param counts where to add what is counted */
  constructor(counts: SearchMessages) {
    this.#counts = counts;
  }

  forth(chunk: Buffer): void {
    this.#read(this.#decoders.forth, chunk, this.#forth, this.#back);
  }

  back(chunk: Buffer): void {
    this.#read(this.#decoders.back, chunk, this.#back, this.#forth);
  }

  #read(decoder: FrameDecoder, chunk: Buffer, own: Set<number>, others: Set<number>): void {
    for (let rest = chunk; rest.length > 0;) {
      const { used, frame } = decoder.write(rest);
      rest = rest.subarray(used);
      if (frame !== undefined) this.#count(frame, own, others);
    }
  }

  /** @param own tags of searches sent in the direction of this frame; `others`: in the other one */
  #count({ id, tag, payload }: Frame, own: Set<number>, others: Set<number>): void {
    if (id === 'RQFS') own.add(tag);
    else if (id === 'ACKN' && !others.delete(tag)) return;
    if (id !== 'RQFS' && id !== 'RPFL' && id !== 'TPHF' && id !== 'ACKN') return;
    this.#counts[id]++;
    this.#counts.bytes += HEADER_BYTES + payload.length;
  }
}

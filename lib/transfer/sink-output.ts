/**
 * Passes verified blocks to a ByteSink in order, in memory that is used again and again. Blocks that
 * follow one another lie one behind the other, and are written several at a time: to wake the thread that
 * writes costs as much as to copy a block.
 */
import { asError } from '../errors.js';
import type { VerifiedBlock } from '../hash/verifier.js';
import { roomFor } from '../memory.js';
import { BLOCK_BYTES } from '../wire/body.js';
import type { BlockOutput, ByteSink } from './receive.js';

/** Blocks that are written at a time, at most. */
const RUN_BLOCKS = 4;
/** Runs: one is received while another is written, and one waits between them. */
const RUNS = 3;
/** Milliseconds that a block waits for those behind it. */
const PATIENCE = 5;

/** Memory for some blocks. */
interface Run {
  readonly memory: Buffer;
  /** Blocks given away to be filled, and still in use. */
  given: number;
  used: number;
}

/** Blocks that follow one another, in the file and in memory. */
interface Piece {
  readonly run: Run;
  readonly start: number;
  bytes: Uint8Array;
  blocks: number;
}

export class SinkOutput implements BlockOutput {
  readonly #sink: ByteSink;
  readonly #resume: () => void;
  readonly #onError: () => void;
  readonly #runs: Run[] = [];
  /** Bytes of a block in a run: those of the body's first, the longest. */
  #blockBytes = 0;
  /** The run that blocks are taken from. */
  #filling: Run | undefined;
  /** Waits to be written, perhaps with more. */
  #piece: Piece | undefined;
  #timer: NodeJS.Timeout | undefined;
  #starved = false;
  #queue: Promise<void> = Promise.resolve();
  #error: Error | undefined;

  /**
   * @param resume tells the connection to go on reading
   * @param onError told when the sink has failed (`error`); nothing is written after that
   */
  constructor(sink: ByteSink, resume: () => void, onError: () => void) {
    this.#sink = sink;
    this.#resume = resume;
    this.#onError = onError;
  }

  /** What the sink threw. */
  get error(): Error | undefined {
    return this.#error;
  }

  /** Resolves when all that was received has been written. */
  get written(): Promise<void> {
    this.#flush();
    return this.#queue;
  }

  allocate(bytes: number): Uint8Array | undefined {
    if (this.#blockBytes === 0) this.#blockBytes = bytes;
    let run = this.#filling;
    if (run === undefined || (run.given + 1) * this.#blockBytes > run.memory.length) {
      run = this.#freeRun();
      if (run === undefined) {
        this.#starved = true;
        return undefined;
      }
      this.#filling = run;
    }
    const at = run.given * this.#blockBytes;
    run.given++;
    run.used++;
    return run.memory.subarray(at, at + bytes);
  }

  write({ bytes, start }: VerifiedBlock): void {
    const piece = this.#piece;
    const run = this.#filling;
    if (run === undefined) throw new TypeError('a block in memory of somebody else');
    if (piece?.run === run && isNext(piece, bytes, start)) {
      const { buffer, byteOffset, length } = piece.bytes;
      piece.bytes = new Uint8Array(buffer, byteOffset, length + bytes.length);
      piece.blocks++;
    } else {
      this.#flush();
      this.#piece = { run, start, bytes, blocks: 1 };
    }
    if ((run.given + 1) * this.#blockBytes > run.memory.length) this.#flush();
    else this.#timer ??= setTimeout(this.#flush, PATIENCE);
  }

  end(): void {
    this.#flush();
  }

  fail(): void {
    // Who asked for the body is told by its promise; what was verified is written.
    this.#flush();
  }

  #freeRun(): Run | undefined {
    const free = this.#runs.find((run) => run !== this.#filling && run.used === 0);
    if (free !== undefined) {
      free.given = 0;
      return free;
    }
    if (this.#runs.length === RUNS) return undefined;
    // A body of less than a block has no others behind it.
    const blocks = this.#blockBytes < BLOCK_BYTES ? 1 : RUN_BLOCKS;
    const run = { memory: roomFor(blocks * this.#blockBytes), given: 0, used: 0 };
    this.#runs.push(run);
    return run;
  }

  readonly #flush = (): void => {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const piece = this.#piece;
    this.#piece = undefined;
    if (piece === undefined) return;
    this.#queue = this.#queue.then(async () => {
      if (this.#error !== undefined) return;
      try {
        await this.#sink.write(piece.bytes, piece.start);
      } catch (error) {
        this.#error = asError(error);
        this.#onError();
        return;
      }
      piece.run.used -= piece.blocks;
      if (!this.#starved || piece.run.used > 0) return;
      this.#starved = false;
      this.#resume();
    });
  };
}

/** Whether bytes follow those of a piece, in the file and in memory. */
function isNext(
  { bytes: { byteOffset, length }, start }: Piece,
  bytes: Uint8Array,
  at: number,
): boolean {
  return start + length === at && byteOffset + length === bytes.byteOffset;
}

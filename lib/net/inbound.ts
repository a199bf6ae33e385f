/**
 * The reading half of a connection: bytes from the socket become frames, and the bytes of bodies go
 * to their sinks, with as few copies as the socket allows and no more in memory than one read.
 */
import { PeerError } from '../errors.js';
import { allocateReadBuffer } from '../support/memory.js';
import { FrameDecoder, type Frame } from '../wire/frame.js';
import type { BodySink } from './body-sink.js';

export interface InboundOwner {
  /** A frame has come. May call `beginBody`. What it throws counts as the peer's fault. */
  onFrame(frame: Frame): void;
  /** Whether an answer with this tag is waited for. */
  isAwaited(tag: number): boolean;
  /** What was read ends inside a frame. */
  onPartial(): void;
  /** So many bytes of a body have been given to its sink. */
  onBodyBytes(bytes: number): void;
  /** All of a body has been given to its sink. */
  onBodyEnd(): void;
  /** Whether another frame may be taken now; when it may not, the owner calls `resume` later. */
  mayTakeFrame(): boolean;
  /** Reading stops (a sink is full), or resumes. */
  onPause(paused: boolean): void;
  /** The peer sent something wrong: nothing after it can be understood. */
  onFault(thrown: unknown): void;
  /** Read from the socket now, if that can be done: as `Receive`. */
  receive?(memory: Uint8Array): number;
}

const NOTHING = new Uint8Array(0);
const SCRATCH_BYTES = 64 * 1024;
/** Bytes of a body received before yielding to other connections. */
const RECEIVE_A_TURN = 4 * 1024 * 1024;
/** Frames handled before yielding to other connections. */
const FRAMES_A_TURN = 32;

export class Inbound {
  readonly #owner: InboundOwner;
  readonly #decoder: FrameDecoder;
  #sink: BodySink | undefined;
  /** Read but not used yet, because reading is paused. */
  #rest: Uint8Array | undefined;
  #paused = false;
  #stopped = false;
  #scratch: Buffer | undefined;
  /** Takes the place of the scratch that holds what was not used yet. */
  #spare: Buffer | undefined;
  /** Memory lent to the socket for its next read, and the sink it came from. */
  #lent: { memory: Uint8Array; sink: BodySink } | undefined;

  constructor(owner: InboundOwner) {
    this.#owner = owner;
    this.#decoder = new FrameDecoder((tag) => owner.isAwaited(tag));
  }

  get paused(): boolean {
    return this.#paused;
  }

  /** Whether everything that was read has been used. */
  get drained(): boolean {
    return this.#rest === undefined;
  }

  /** Bytes that were read and not used yet. */
  get unused(): number {
    return this.#rest?.length ?? 0;
  }

  /** Bytes of a frame that has not come whole. */
  get partial(): number {
    return this.#stopped ? 0 : this.#decoder.partial;
  }

  /** Whether that frame is an answer that is waited for. */
  get isAwaited(): boolean {
    const tag = this.#decoder.answering;
    return tag !== undefined && this.#owner.isAwaited(tag);
  }

  /** The sink of the body that is being read. */
  get sink(): BodySink | undefined {
    return this.#sink;
  }

  /** The next bytes are a body. Called from `onFrame`. */
  beginBody(sink: BodySink): void {
    this.#sink = sink;
    if (sink.remaining === 0) this.#endBody();
  }

  /** Give the rest of the body that is being read to another sink. */
  replaceSink(sink: BodySink): void {
    this.#sink = sink;
    if (sink.remaining === 0) this.#endBody();
    this.resume();
  }

  /** Use nothing that may still come. */
  stop(): void {
    this.#stopped = true;
    this.#sink = undefined;
    this.#rest = undefined;
  }

  /** Memory for the socket's next read (`onread.buffer` of net.Socket). */
  readonly buffer = (): Uint8Array => {
    const sink = this.#sink;
    // Reading straight into the sink saves a copy. Not for a short rest, which would cost a system
    // call of its own where one read brings many small bodies and the frames between them.
    if (sink !== undefined && sink.remaining > SCRATCH_BYTES && this.#rest === undefined) {
      const memory = sink.space();
      if (memory !== undefined) {
        this.#lent = { memory, sink };
        return memory;
      }
    }
    this.#lent = undefined;
    if (this.#rest !== undefined && this.#rest.buffer === this.#scratch?.buffer) {
      [this.#scratch, this.#spare] = [this.#spare, this.#scratch];
    }
    return (this.#scratch ??= allocateReadBuffer(SCRATCH_BYTES));
  };

  /**
   * The socket has read `n` bytes into `memory` (`onread.callback` of net.Socket).
   *
   * @returns whether to continue reading
   */
  readonly onRead = (n: number, memory: Uint8Array): boolean => {
    const lent = this.#lent;
    this.#lent = undefined;
    if (lent?.memory === memory && lent.sink === this.#sink) {
      this.#guard(() => {
        this.#advance(lent.sink, n);
      });
    } else {
      this.take(memory.subarray(0, n));
    }
    this.#receive();
    return this.#goesOn();
  };

  /** Take what the kernel has of a long body, straight into its memory. */
  #receive(): void {
    for (let left = RECEIVE_A_TURN; left > 0 && this.#goesOn();) {
      const sink = this.#sink;
      if (sink === undefined || sink.remaining <= SCRATCH_BYTES || this.#rest !== undefined) return;
      const memory = sink.space();
      if (memory === undefined) return;
      const n = this.#owner.receive?.(memory) ?? -1;
      if (n <= 0) return;
      left -= n;
      this.#guard(() => {
        this.#advance(sink, n);
      });
    }
  }

  /**
   * Use bytes. They must stay as they are until this returns or, if it pauses, until it resumes. TLS gives all that it
   * has decrypted, also what comes after a pause: up to 64 KiB, of which a copy waits.
   */
  readonly take = (chunk: Uint8Array): void => {
    if (this.#paused) {
      if (!this.#stopped) this.#rest = Buffer.concat([this.#rest ?? NOTHING, chunk]);
      return;
    }
    this.#guard(() => {
      this.#consume(chunk);
    });
  };

  /** The sink has space again. */
  readonly resume = (): void => {
    if (!this.#paused || this.#stopped) return;
    this.#paused = false;
    const rest = this.#rest;
    this.#rest = undefined;
    if (rest !== undefined) this.take(rest);
    if (this.#goesOn()) this.#owner.onPause(false);
  };

  #goesOn(): boolean {
    return !this.#paused && !this.#stopped;
  }

  #guard(step: () => void): void {
    try {
      step();
    } catch (thrown) {
      this.#owner.onFault(thrown);
      // Not the peer's fault but a stream listener's, say: it must be as loud as anywhere else.
      if (!(thrown instanceof PeerError)) {
        process.nextTick(() => {
          throw thrown;
        });
      }
    }
  }

  #consume(chunk: Uint8Array): void {
    let rest = chunk;
    let frames = 0;
    while (rest.length > 0 && !this.#stopped) {
      const sink = this.#sink;
      if (sink !== undefined) {
        const space = sink.space();
        if (space === undefined) {
          this.#pause(rest);
          return;
        }
        const n = Math.min(space.length, rest.length);
        space.set(rest.subarray(0, n));
        rest = rest.subarray(n);
        this.#advance(sink, n);
      } else if (this.#decoder.inFrame || this.#owner.mayTakeFrame()) {
        const { used, frame } = this.#decoder.write(rest);
        rest = rest.subarray(used);
        if (frame === undefined) continue;
        this.#owner.onFrame(frame);
        if (++frames < FRAMES_A_TURN || rest.length === 0 || this.#sink !== undefined) continue;
        // Yield to other connections.
        this.#pause(rest);
        setImmediate(this.resume);
        return;
      } else {
        this.#pause(rest);
        return;
      }
    }
    if (this.#decoder.inFrame && !this.#stopped) this.#owner.onPartial();
    // Full already: stop before the next read rather than after it, so that it need not be copied.
    if (this.#sink !== undefined && this.#sink.space() === undefined) this.#pause(undefined);
  }

  #advance(sink: BodySink, n: number): void {
    sink.advance(n);
    this.#owner.onBodyBytes(n);
    if (sink !== this.#sink) return;
    if (sink.remaining === 0) this.#endBody();
    else if (sink.space() === undefined) this.#pause(undefined);
  }

  #endBody(): void {
    const sink = this.#sink;
    this.#sink = undefined;
    sink?.end();
    this.#owner.onBodyEnd();
  }

  #pause(rest: Uint8Array | undefined): void {
    this.#rest = rest;
    if (this.#paused) return;
    this.#paused = true;
    this.#owner.onPause(true);
  }
}

/** What the other side of a connection must do in time: speak, end what it begins, answer, take what is sent. */
import type { Socket } from 'node:net';
import type { Clock } from '../support/clock.js';
import { Deadline, type DeadlineOptions } from './deadline.js';
import type { Inbound } from './inbound.js';
import type { Outbound } from './outbound.js';
import { kernelQueue } from './kernel-queue.js';
import { SendProgress } from './send-progress.js';

/** Milliseconds until the first frame of a peer that connects is whole, unless told otherwise. */
export const FIRST_FRAME_TIMEOUT = 10_000;
/** Milliseconds in which a frame that is no answer is whole when it has begun, or has grown by so many bytes. */
export const FRAME_TIMEOUT = 8_000;
export const FRAME_PROGRESS = 4096;
/** Bytes of an answer or a body that must come in the time in which an answer must; or its end. */
const ANSWER_PROGRESS = 1024;
/**
 * Milliseconds in which the other side takes something of what waits for it, unless told otherwise. A reader
 * of 1 KiB/s on loopback is seen to acknowledge something every 65 s, because windows there open by 64 KiB;
 * over a network it is seen much sooner.
 */
export const STALL_TIMEOUT = 90_000;

/** How old what is known of the kernel may be, as a part of that. */
const TABLE_AGE = 1 / 100;

export interface DeadlineTimes {
  /** Milliseconds in which the other side sends 1 KiB of what it owes, or the end of it. */
  answerTimeout: number;
  /** Milliseconds in which the other side takes something of what waits for it. @default STALL_TIMEOUT */
  stallTimeout?: number | undefined;
  /** Milliseconds until the other side's first frame has come. @default none need come */
  firstFrameTimeout?: number | undefined;
  /** Milliseconds in which a frame that is no answer ends or grows by 4 KiB. @default FRAME_TIMEOUT */
  frameTimeout?: number | undefined;
}

export interface Watched {
  readonly socket: Socket;
  /** When the connection was made. @default now */
  readonly since?: number | undefined;
  readonly inbound: () => Pick<Inbound, 'partial' | 'isAwaited'>;
  readonly outbound: () => Pick<Outbound, 'inBody'>;
  /** Told once, with what was waited for and for how many milliseconds. */
  readonly onExpired: (what: string, ms: number) => void;
  readonly clock?: Clock | undefined;
}

export class ConnectionDeadlines {
  /** The other side owes an answer and could send it. */
  readonly answer: Deadline;
  readonly #first: Deadline | undefined;
  readonly #frame: Deadline;
  readonly #taking: Deadline;
  readonly #sending: SendProgress;
  readonly #inbound: Watched['inbound'];
  /** Bytes of the frame that is watched. */
  #partial = 0;

  constructor(
    times: DeadlineTimes,
    { socket, since, inbound, outbound, onExpired, clock }: Watched,
  ) {
    const { answerTimeout, stallTimeout = STALL_TIMEOUT } = times;
    const { firstFrameTimeout, frameTimeout = FRAME_TIMEOUT } = times;
    const make = (
      what: string,
      timeout: number,
      { least, look }: Pick<DeadlineOptions, 'least' | 'look'> = {},
    ): Deadline => {
      const expire = (): void => {
        this.close();
        onExpired(what, timeout);
      };
      // All of one shape: there are four for each connection.
      return new Deadline({ timeout, least, look, onExpired: expire, clock });
    };
    this.#inbound = inbound;
    this.answer = make('did not answer', answerTimeout, { least: ANSWER_PROGRESS });
    this.#frame = make('did not end a frame', frameTimeout, { least: FRAME_PROGRESS });
    const inKernel = () => kernelQueue(socket, stallTimeout * TABLE_AGE);
    this.#sending = new SendProgress(socket, () => outbound().inBody, inKernel);
    this.#taking = make('took nothing', stallTimeout, { look: this.#sending.look });
    if (firstFrameTimeout === undefined) return;
    this.#first = make('said nothing', firstFrameTimeout);
    this.#first.start(since);
  }

  /** Something waits to be written. */
  readonly wrote = (): void => {
    if (this.#taking.running) return;
    this.#sending.begin();
    this.#taking.start();
  };

  /** A frame has come, whole. */
  onFrame(): void {
    this.#first?.stop();
    this.#frame.stop();
    this.#partial = 0;
  }

  /** What was read ends inside a frame. */
  onPartial(): void {
    const { partial, isAwaited } = this.#inbound();
    const more = partial - this.#partial;
    this.#partial = partial;
    if (isAwaited) {
      // It has as much time as a body: on a line that others fill nothing may come for long.
      this.#frame.stop();
      this.answer.progress(more);
    } else if (this.#frame.running) {
      this.#frame.progress(more);
    } else {
      this.#frame.start();
    }
  }

  close(): void {
    for (const deadline of [this.answer, this.#first, this.#frame, this.#taking]) deadline?.close();
  }
}

/** Notices what makes every peer worth another attempt: this machine slept, or has other addresses now. */
import { interfaceAddresses } from '../net/scope.js';

export interface NetworkMonitorOptions {
  /** Milliseconds between looks. */
  every: number;
  onChange: () => void;
  /** The time of day in milliseconds; advances while the machine sleeps. @default Date.now */
  wallClock?: (() => number) | undefined;
  /** @default those of this machine's interfaces */
  addresses?: (() => string) | undefined;
}

/** A look that comes so many times `every` too late was not late: the machine slept. */
const LATE = 3;

export class NetworkMonitor {
  readonly #wallClock: () => number;
  readonly #addresses: () => string;
  readonly #timer: NodeJS.Timeout;
  /** Milliseconds that the machine slept, which `performance.now` does not count on all systems. */
  #slept = 0;
  #lastTime: number;
  #lastUptime = performance.now();
  #lastAddresses: string;

  constructor({ every, onChange, wallClock, addresses }: NetworkMonitorOptions) {
    this.#wallClock = wallClock ?? Date.now;
    this.#addresses = addresses ?? addressesNow;
    this.#lastTime = this.#wallClock();
    this.#lastAddresses = this.#addresses();
    this.#timer = setInterval(() => {
      if (this.#look(every)) onChange();
    }, every);
  }

  /** Milliseconds since 1970 by a clock that never goes back, and counts what the machine slept. */
  now(): number {
    return performance.timeOrigin + performance.now() + this.#slept;
  }

  close(): void {
    clearInterval(this.#timer);
  }

  #look(every: number): boolean {
    const [time, uptime, addresses] = [this.#wallClock(), performance.now(), this.#addresses()];
    const passed = time - this.#lastTime;
    const slept = passed > LATE * every;
    if (slept) this.#slept += Math.max(0, passed - (uptime - this.#lastUptime));
    const moved = addresses !== this.#lastAddresses;
    this.#lastTime = time;
    this.#lastUptime = uptime;
    this.#lastAddresses = addresses;
    return slept || moved;
  }
}

function addressesNow(): string {
  return interfaceAddresses(0).join();
}
